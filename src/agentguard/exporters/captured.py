"""What an attempt sent and was answered, as text of bounded length: only where capture is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentguard.providers.said import said
from agentguard.providers.sent_names import SCHEMAS

if TYPE_CHECKING:
    from agentguard.engine.call import Call

__all__ = ["bounded", "prompt_sent"]


def prompt_sent(call: Call, most: int) -> str:
    """The texts that a call is about to send, each with who says it; definitions of tools left out.

    Args:
        call: as an attempt makes it, hence with what `mask_pii` further out has put in place.
        most: characters.
    """
    texts = said(call.target, call.args, call.kwargs)
    lines = [
        f"{each.by}: {each.text}"
        for each in texts
        if each.where.partition("[")[0].partition(".")[0] not in SCHEMAS
    ]
    return bounded("\n".join(lines), most)


def bounded(text: str, most: int) -> str:
    """A text with its middle left out where it is longer than `most`.

    Examples:
        >>> bounded("from the beginning to the end", 12)
        'from t [... 17 characters ...] he end'
    """
    if len(text) <= most:
        return text
    head, tail = most - most // 2, most // 2
    cut = f" [... {len(text) - most} characters ...] "
    return text[:head] + cut + (text[-tail:] if tail else "")
