"""What a report says of calls and attempts beside the drawing, in text and HTML alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentguard.telling import dollars, lasted

if TYPE_CHECKING:
    from agentguard.engine.bill import Figures
    from agentguard.engine.records import AttemptRecord, CallRecord

__all__ = ["ending", "served", "spent", "spent_once", "took"]


def ending(record: CallRecord | AttemptRecord) -> str:
    """How it ended: "completed", or "failed: overloaded"."""
    return record.outcome if record.kind is None else f"{record.outcome}: {record.kind}"


def took(record: CallRecord | AttemptRecord) -> list[str]:
    """How long it took, and of a stream how long to its first content."""
    times = [lasted(record.duration)]
    if record.streamed and record.first_token is not None:
        times.append(f"first content {lasted(record.first_token)}")
    return times


def served(call: CallRecord) -> str:
    """Who answered, where that is not the call's own name, and with which model."""
    by = f"served by {call.served_by}" if call.served_by not in {None, call.name} else ""
    model = f"({call.model})" if call.model else ""
    return by if by.endswith(model) else f"{by} {model}".strip()


def spent(figures: Figures) -> list[str]:
    """Tokens, cost and what caches saved, of a call or of several."""
    said: list[str] = []
    if figures.total_tokens:
        about = "about " if figures.estimated else ""
        said.append(f"{about}{figures.input_tokens:,} + {figures.output_tokens:,} tokens")
        cost = "cost unknown" if figures.cost is None else dollars(figures.cost)
        missing = figures.unpriced and figures.cost is not None
        attempts = "1 attempt" if figures.unpriced == 1 else f"{figures.unpriced:,} attempts"
        unpriced = f" and {attempts} of unknown cost" if missing else ""
        said.append(cost + unpriced)
    if figures.saved:
        said.append(f"saved {dollars(figures.saved)}")
    return said


def spent_once(attempt: AttemptRecord) -> list[str]:
    """Tokens and cost of one attempt; nothing where the calls inside it have used them."""
    usage = attempt.usage
    if usage is None or not usage.total_tokens:
        return []
    about = "about " if attempt.estimated else ""
    cost = "cost unknown" if attempt.cost is None else dollars(attempt.cost)
    return [f"{about}{usage.input_tokens:,} + {usage.output_tokens:,} tokens", cost]
