"""A report in a terminal: a bar for each attempt, its words beside it. No colours."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Final

from agentguard import events
from agentguard.reporting.timeline import ended, lines, printable, span
from agentguard.reporting.words import ending, served, spent, took
from agentguard.telling import in_words, lasted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentguard.engine.records import AttemptRecord, CallRecord

__all__ = ["as_text"]

_QUIET: Final = (
    events.Retried,
    events.LateResult,
    events.BudgetCharged,
    events.CacheMissed,
    events.CacheStored,
)
"""What the lines of attempts show by themselves, or what is no news."""

_BLOCKS: Final = "\N{MIDDLE DOT}\N{LIGHT SHADE}\N{FULL BLOCK}"
_ASCII: Final = ".-#"


def as_text(calls: Sequence[CallRecord]) -> str:
    """The lines that `print(report)` shows, as wide as the terminal, in what it can write.

    A bar is a call's time from its beginning to its end: dots are waiting, what is shaded is time
    to the first content of a stream, what is solid is work.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    pen = _BLOCKS if _writes(encoding, _BLOCKS) else _ASCII
    width = max(20, min(50, shutil.get_terminal_size((90, 24)).columns // 3))
    text = "\n".join(line for call in calls for line in _lines(call, pen, width))
    text = text or "no guarded call was made"
    return text if pen is _BLOCKS else text.encode(encoding, "backslashreplace").decode(encoding)


def _writes(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _lines(root: CallRecord, pen: str, width: int) -> Iterator[str]:
    start, stop = span(root)
    scale = width / max(stop - start, 1e-9)
    for depth, call, attempt, event in lines(root):
        indent = "  " * depth
        if attempt is not None:
            bar = _bar(attempt, start, scale, pen, width)
            yield f"{indent}|{bar}| {_told(attempt)}"
        elif event is None:
            yield f"{indent}{_headline(call)}"
        elif not isinstance(event, _QUIET):
            yield f"{indent}- {printable(in_words(event))}"


def _headline(call: CallRecord) -> str:
    who = served(call)
    times = ", ".join([ending(call), *took(call)])
    times += f" {who}" if who.startswith("(") else f", {who}" if who else ""
    return printable(f"{call.name}  {', '.join([times, *spent(call.figures)])}")


def _told(attempt: AttemptRecord) -> str:
    outcome = attempt.outcome if attempt.kind is None else attempt.kind
    waited = f" after a wait of {lasted(attempt.wait)}" if attempt.wait else ""
    target = printable(attempt.target)
    return f"{target} #{attempt.number}: {outcome}, {lasted(attempt.duration)}{waited}"


def _bar(attempt: AttemptRecord, start: float, scale: float, pen: str, width: int) -> str:
    def place(at: float, *, most: int = width - 1) -> int:
        return min(most, max(0, round((at - start) * scale)))

    waited, began = place(attempt.started - attempt.wait), place(attempt.started)
    stop = max(place(ended(attempt), most=width), began + 1)
    first = attempt.first_token if attempt.arrivals is not None else 0.0
    content = stop if first is None else min(place(attempt.started + first), stop - 1)
    bar = " " * waited + pen[0] * (began - waited) + pen[1] * (content - began)
    return f"{bar}{pen[2] * (stop - content)}".ljust(width)
