"""A window that rolls: the latest hour, not the hour on the clock."""

from __future__ import annotations

from agentguard.stores.ledger import Window

__all__ = ["rolling"]


def rolling(seconds: float, now: float, parts: int = 60) -> Window:
    """The window of the latest `seconds` as it is `now`.

    It is counted in parts, and the oldest one in full, although a piece of it has left the window
    already. So it never lets more pass than the limit in any stretch of `seconds`, and may hold
    back for a part longer than it must.

    Args:
        seconds: its length.
        now: wall-clock seconds.
        parts: into how many it is cut.

    Examples:
        >>> from agentguard.stores.windows import rolling
        >>> rolling(60, 1000.0, parts=6)
        Window(id='rolling 60 s / 6', ends=1070.0, part=100, since=94)
    """
    width = seconds / parts
    part = int(now // width)
    return Window(
        f"rolling {seconds:g} s / {parts}", (part + 1) * width + seconds, part, part - parts
    )
