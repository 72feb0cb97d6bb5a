"""`reload`: what the file says of switches, again, while the program runs."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from agentguard.engine.switches import switch_all
from agentguard.settings.sources import CONFIG, from_file

if TYPE_CHECKING:
    from agentguard.engine.switches import Mode

__all__ = ["PRESETS", "begin", "reload"]

PRESETS: Final = ("development", "staging", "production", "internal_tool")
_lock: Final = threading.Lock()
_switched: set[str] = set()
_read: str | None = None


def begin() -> None:
    """Switch what the file says, once: a preset made later must not undo what was switched by hand."""
    if os.environ.get(CONFIG) != _read:
        reload()


def reload() -> None:
    """Read the file that AGENTGUARD_CONFIG names again, and switch what its `[switches]` say.

    What an earlier reading switched and this one does not is as it was written again. Where the
    file is wrong, or names what is locked, nothing changes. The other settings are read when a
    preset is made: a guard does not change under way.

    Raises:
        ValueError: names what is wrong, and where.
        TypeError: a policy is named that cannot be switched.

    Examples:
        >>> from agentguard import settings
        >>> settings.reload()
    """
    global _read  # noqa: PLW0603  which file it was that holds now
    with _lock:
        file = from_file(PRESETS)
        wanted: dict[str, Mode | None] = dict.fromkeys(_switched)
        if file is not None:
            wanted.update(file.switches)
        try:
            switch_all(wanted)
        except (TypeError, ValueError) as error:
            where = "[switches]" if file is None else f"{file.path} [switches]"
            raise type(error)(f"{where}: {error}") from None
        _switched.clear()
        _switched.update(name for name, mode in wanted.items() if mode is not None)
        _read = os.environ.get(CONFIG)
