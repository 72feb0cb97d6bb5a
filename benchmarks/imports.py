"""What importing agentguard costs, and what it loads."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.common import Row, against, none_left, section
from benchmarks.results import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ABOUT = (
    "Each in a fresh interpreter, the least of several, with bytecode cached. Nothing of another "
    "distribution is loaded by `import agentguard`, nor asyncio, concurrent.futures or logging."
)
REPEATS = 7
LITELLM = ROOT / ".venvs" / "litellm" / "bin" / "python"
FORBIDDEN = {"asyncio", "concurrent", "logging"}

PROBE = """
import json, sys, time
before = set(sys.modules)
started = time.perf_counter()
import {module}
seconds = time.perf_counter() - started
print(json.dumps([seconds, sorted(set(sys.modules) - before)]))
"""


def imported(module: str, interpreter: str | Path) -> tuple[float, list[str]]:
    """Seconds that one import takes, and the modules it loads."""
    command = [interpreter, "-c", PROBE.format(module=module)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found: Any = json.loads(run.stdout)
    return found[0], found[1]


def main() -> None:
    """Measure and print."""
    modules: dict[str, str | Path] = {
        "agentguard": sys.executable,
        "tenacity": sys.executable,
        "stamina": sys.executable,
        "pybreaker": sys.executable,
        "openai": sys.executable,
        "langchain_core.runnables": sys.executable,
        "langchain.agents": sys.executable,
        "litellm": LITELLM,
    }
    best = dict.fromkeys(modules, float("inf"))
    loaded: dict[str, list[str]] = {}
    for _ in range(REPEATS):
        for module, interpreter in modules.items():
            taken, loaded[module] = imported(module, interpreter)
            best[module] = min(best[module], taken)
    mine = best.pop("agentguard")
    rows: list[Row] = [
        against(f"import agentguard, {module}", mine, taken, show=_ms)
        for module, taken in best.items()
    ]
    rows += [
        Row(f"modules loaded, {module}", str(len(loaded["agentguard"])), str(len(loaded[module])))
        for module in best
    ]
    tops = {name.partition(".")[0] for name in loaded["agentguard"]} - {"agentguard"}
    foreign = [name for name in tops if name not in sys.stdlib_module_names or name in FORBIDDEN]
    rows.append(none_left("import agentguard: modules that it must not load", len(foreign)))
    print(section(ABOUT, rows, "tenacity", "stamina", "pybreaker", "openai", "langchain"))


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


if __name__ == "__main__":
    main()
