"""Write the dashboard and the rules for a service's objectives.

python -m agentguard.monitoring monitoring/ --success 0.995 --latency 10.24
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.monitoring.dashboard import dashboard
from agentguard.monitoring.objectives import Objectives
from agentguard.monitoring.rules import alerting, recording, yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["files", "main"]

COMMAND: Final = "python -m agentguard.monitoring"


def files(goal: Objectives | None = None) -> dict[str, str]:
    """What the files for these objectives hold, by name.

    Args:
        goal: what is promised; the defaults where left out.

    Examples:
        >>> from agentguard.monitoring.__main__ import files
        >>> list(files())
        ['recording.rules.yml', 'alerts.rules.yml', 'dashboard.json']
    """
    from agentguard import __version__

    goal = goal or Objectives()
    made = f"# agentguard {__version__}: {' '.join([COMMAND, '.', *_changed(goal)])}\n"
    return {
        "recording.rules.yml": made + yaml(recording(goal)),
        "alerts.rules.yml": made + yaml(alerting(goal)),
        "dashboard.json": json.dumps(dashboard(goal), indent=2, ensure_ascii=False) + "\n",
    }


def main(given: Sequence[str] | None = None) -> None:
    """Write the files, and say which.

    Args:
        given: arguments of the command line; the process's own where left out.
    """
    parser = ArgumentParser(
        prog=COMMAND,
        description="Write Prometheus rules and a Grafana dashboard for a service's objectives.",
    )
    parser.add_argument("folder", type=Path, help="where to write the files")
    for each in fields(Objectives):
        several = isinstance(each.default, tuple)
        parser.add_argument(
            _option(each.name),
            type=float if isinstance(each.default, float) else str,
            nargs="*" if several else None,
            default=each.default,
            metavar=each.name.upper(),
            help=f"{each.metadata['help']} (default: {_shown(each.default)})",
        )
    chosen: dict[str, Any] = vars(parser.parse_args(given))
    folder: Path = chosen.pop("folder")
    for each in fields(Objectives):
        if isinstance(each.default, tuple):
            chosen[each.name] = tuple(chosen[each.name])
    try:
        goal = Objectives(**chosen)
    except ValueError as error:
        parser.error(str(error))
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(goal).items():
        (folder / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{folder / name}\n")


def _shown(default: object) -> str:
    return (
        " ".join(cast("tuple[str, ...]", default)) if isinstance(default, tuple) else str(default)
    )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _changed(goal: Objectives) -> list[str]:
    """The options that make these objectives."""
    words: list[str] = []
    for each in fields(goal):
        value = getattr(goal, each.name)
        if value != each.default:
            words += [_option(each.name), *(value if isinstance(value, tuple) else [f"{value}"])]
    return words


if __name__ == "__main__":
    main()
