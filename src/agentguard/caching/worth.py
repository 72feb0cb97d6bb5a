"""Which answers are worth keeping: whole ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard.providers.finish import ending
from agentguard.providers.shapes import shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentguard.engine.call import Attempt
    from agentguard.providers.finish import Ending
    from agentguard.providers.shapes import Reading

__all__ = ["worth"]

_SAID: Final[Mapping[Ending | None, str]] = {
    "cut": "the answer was cut off",
    "filtered": "a filter took it, or the model refused",
    "failed": "it failed",
    "unfinished": "it was not finished",
    None: "what its end means is not known",
}


def worth(attempt: Attempt, last: Sequence[Any] = ()) -> str | None:
    """Why an answer must not be kept, or None when it may be.

    Args:
        attempt: that brought it. Responses that were recorded inside it are judged too.
        last: of a stream, what came last.
    """
    reading = attempt.reading
    if reading.error is not None:
        return "it holds an error"
    for each in (reading, *(attempt.recorded or ())):
        reason = _lacks(each)
        if reason is not None:
            return reason
    if not reading.content:
        return "it is empty"
    if last and not reading.finished and shape_of(last[-1]).ends is not False:
        return "the stream did not say that it had ended"
    return None


def _lacks(reading: Reading) -> str | None:
    if reading.refused:
        return "the model refused"
    for word in (reading.finish_reason, *reading.others):
        if word is not None:
            end = ending(word)
            if end != "whole":
                return f"{_SAID[end]} ({word[:40]})"
    return None
