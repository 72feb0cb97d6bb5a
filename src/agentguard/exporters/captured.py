"""What an attempt sent and was answered, as text of bounded length: only where capture is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentguard.providers.said import said
from agentguard.providers.sent_names import SCHEMAS

if TYPE_CHECKING:
    from agentguard.engine.call import Call
    from agentguard.masking.masker import Masker

__all__ = ["bounded", "masked", "prompt_sent"]


def prompt_sent(call: Call, masker: Masker, most: int) -> str:
    """The texts that a call is about to send, each with who says it; definitions of tools left out.

    Args:
        call: as an attempt makes it, hence with what `mask_pii` further out has put in place. A tool
            inside that gets values.
        masker: what it masks once more with.
        most: characters.
    """
    texts = said(call.target, call.args, call.kwargs)
    lines = [
        f"{each.by}: {each.text}"
        for each in texts
        if each.where.partition("[")[0].partition(".")[0] not in SCHEMAS
    ]
    return masked("\n".join(lines), masker, most)


def masked(text: str, masker: Masker, most: int) -> str:
    """A text without personal data and secrets, of bounded length.

    Masked as a whole and cut then, so that no half of a value is left.

    Args:
        text: any.
        masker: what it is masked with.
        most: characters.
    """
    return bounded(masker.mask(text)[0], most)


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
