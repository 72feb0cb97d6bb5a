"""How a budget stands, and the sentence with which it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agentguard.budgeting.limits import figure
from agentguard.errors import BudgetExceeded

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["Standing", "Threshold", "exceeded"]


class Standing(NamedTuple):
    """How one unit of a budget stands, for one key, in its window.

    Attributes:
        unit: "usd", "tokens", "input_tokens", "output_tokens" or "requests".
        used: what was booked. Dollars are a `Decimal`.
        reserved: what calls under way have set aside.
        limit: with what was granted on top; None where there is none.
        left: what a call may still use; None where there is no limit.
        renews: seconds until the window ends, None when it never does.
    """

    unit: str
    used: int | Decimal
    reserved: int | Decimal
    limit: int | Decimal | None
    left: int | Decimal | None
    renews: float | None

    @property
    def told(self) -> dict[str, float | None]:
        """It as plain numbers, for JSON."""
        shown: dict[str, float | None] = {"used": _plain(self.used)}
        for name, amount in (("limit", self.limit), ("left", self.left)):
            shown[name] = None if amount is None else _plain(amount)
        return shown | {"renews": None if self.renews is None else round(self.renews, 1)}


class Threshold(NamedTuple):
    """What `on_threshold` is told.

    Attributes:
        budget: its name.
        key: whose share of it.
        unit: what is counted.
        percent: of the limit that has been reached.
        used: what was booked.
        limit: how much there is.
    """

    budget: str
    key: str
    unit: str
    percent: int
    used: int | Decimal
    limit: int | Decimal


def exceeded(
    budget: str,
    per: str,
    unit: str,
    *,
    used: int,
    limit: int,
    asked: int,
    renews: float | None,
    least: int | None = None,
    reserved: int = 0,
    cut: bool = False,
) -> BudgetExceeded:
    """The refusal.

    Args:
        budget: its name.
        per: its window, as it was written.
        unit: what has run out.
        used: with what is set aside.
        limit: how much there is.
        asked: how much the call might use.
        renews: seconds.
        least: how much it would use with the shortest answer.
        reserved: what is set aside for calls that may give it back.
        cut: a stream is ended, of which something was delivered.
    """
    left = max(limit - used, 0)
    held = f" while calls under way hold {_shown(unit, reserved)}" if reserved else ""
    told = (
        f"the budget {budget!r} has {_shown(unit, left)} of {_shown(unit, limit)}{per} left{held}, "
        "and "
    )
    if cut:
        told += f"the stream needs more than the {_shown(unit, asked)} it was given: it was cut"
    else:
        told += f"this call may use {_shown(unit, asked)}"
    when = "It does not renew" if renews is None else f"It renews in {renews:.0f} s"
    if reserved and (asked if least is None else least) <= left + reserved:
        when = "There may be room when they have ended"
        renews = 1.0 if renews is None else min(renews, 1.0)
    remedy = (
        "errors.partial(error) has what arrived"
        if cut
        else "raise the limit, bound the answer with max_output=, or put a fallback to a cheaper "
        "model inside of the budget"
    )
    return BudgetExceeded(
        f"{told}. {when}; {remedy}",
        budget=budget,
        unit=unit,
        used=figure(unit, used),
        limit=figure(unit, limit),
        asked=figure(unit, asked),
        least=None if least is None else figure(unit, least),
        retry_after=renews,
    )


def _plain(amount: int | Decimal) -> float:
    return amount if isinstance(amount, int) else float(amount)


def _shown(unit: str, amount: int) -> str:
    if unit == "usd":
        return f"${figure(unit, amount):.9f}".rstrip("0").removesuffix(".")
    name = unit.replace("_", " ")
    return f"{amount:,} {name.removesuffix('s') if amount == 1 else name}"
