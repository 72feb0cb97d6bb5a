"""How much of what: the limits of a budget, in the whole numbers that ledgers add up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.engine.arguments import plain, told
from agentguard.stores.ledger import MOST

if TYPE_CHECKING:
    from agentguard.providers.usage import Usage

__all__ = ["UNITS", "Amount", "Limit", "figure", "nano", "units"]

Amount = int | float | Decimal
"""Tokens and requests are whole numbers, dollars any."""

UNITS: Final = ("usd", "tokens", "input_tokens", "output_tokens", "requests")

_NANO: Final = 1_000_000_000


class Limit:
    """One limit of a budget.

    Args:
        unit: "usd", "tokens", "input_tokens", "output_tokens" or "requests".
        amount: a number, a mapping by key, or a function of the key. A mapping that changes is read
            anew each time. A key that a mapping does not have has no allowance; None is no limit.
    """

    __slots__ = ("_amount", "_fixed", "unit")

    def __init__(self, unit: str, amount: object) -> None:
        self.unit = unit
        self._amount: Any = amount
        self._fixed: int | None = None
        if callable(amount) and not isinstance(amount, Mapping):
            plain("budget", unit, amount, "a number, a mapping by key, or a function of the key")
        elif isinstance(amount, Mapping):
            for each in cast("Mapping[str, object]", amount).values():
                units(unit, each)
        else:
            self._fixed = units(unit, amount)

    @property
    def counts_input(self) -> bool:
        """Whether what is asked counts."""
        return self.unit in {"usd", "tokens", "input_tokens"}

    @property
    def counts_output(self) -> bool:
        """Whether the length of the answer counts."""
        return self.unit in {"usd", "tokens", "output_tokens"}

    @property
    def by_key(self) -> bool:
        """Whether it differs from key to key."""
        return self._fixed is None

    def of(self, key: str) -> int:
        """The limit for this key, as it is now."""
        if self._fixed is not None:
            return self._fixed
        amount: Any = self._amount
        if isinstance(amount, Mapping):
            try:
                found: Any = cast("Mapping[str, Any]", amount)[key]
            except KeyError:
                found = 0
        else:
            found = cast("Callable[[str], Any]", amount)(key)
        return MOST if found is None else units(self.unit, found)

    def __repr__(self) -> str:
        return f"Limit({self.unit}={'by key' if self.by_key else figure(self.unit, self.of(''))})"


def units(name: str, amount: object) -> int:
    """An amount as a user writes it, as a ledger counts it: dollars in nano-dollars.

    Args:
        name: the unit.
        amount: as written.
    """
    if amount is None:
        return MOST
    if isinstance(amount, bool) or not isinstance(amount, (int, float, Decimal)):
        raise TypeError(
            f"budget({name}=) is a number, a mapping by key or a function of the key, not "
            f"{told(amount)}"
        )
    if math.isnan(amount) or amount < 0:
        raise ValueError(f"budget({name}=) is zero or more, not {amount!r}")
    if math.isinf(amount):
        return MOST
    if name == "usd":
        return min(int(Decimal(str(amount)) * _NANO), MOST)
    if amount != int(amount):
        raise ValueError(f"budget({name}=) is a whole number, not {amount!r}")
    return min(int(amount), MOST)


def figure(unit: str, amount: int) -> int | Decimal:
    """The other way round: what a ledger counts, as a user reads it."""
    return (Decimal(amount) / _NANO) if unit == "usd" else amount


def nano(dollars: Decimal) -> int:
    """Dollars as nano-dollars, rounded up."""
    return int((dollars * _NANO).to_integral_value(ROUND_CEILING))


def amount_of(unit: str, usage: Usage, dollars: Decimal | None) -> int:
    """What a ledger books for an attempt that used this.

    Args:
        unit: of the limit.
        usage: its tokens.
        dollars: its cost; None where no price is known.
    """
    if unit == "usd":
        return 0 if dollars is None else nano(dollars)
    if unit == "tokens":
        return usage.total_tokens
    if unit == "input_tokens":
        return usage.input_tokens
    return usage.output_tokens if unit == "output_tokens" else 1
