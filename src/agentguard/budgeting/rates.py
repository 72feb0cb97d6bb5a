"""What tokens may cost at most, in nano-dollars, before anybody knows which of them are cached."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from agentguard.budgeting.limits import nano
from agentguard.engine import clock
from agentguard.providers.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Hashable

    from agentguard.providers.endpoint import Endpoint

__all__ = ["Rates", "Unpriced"]

_MILLION: Final = 1_000_000
_PLAIN: Final = 100_000
"""Input tokens up to which no provider has a second price."""

_FRESH: Final = 1.0
"""Seconds for which prices are not looked up again."""

_MOST: Final = 1024


class Unpriced(Exception):
    """No price is known for the model."""


class Rates:
    """The prices of models, as whole numbers that are quick to multiply."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, int, int]] = {}

    def most(
        self,
        model: str,
        seen: Endpoint,
        input: int,  # noqa: A002
        output: int,
        *,
        writes: bool,
        tier: str | None = None,
    ) -> int:
        """What a request costs at most.

        Args:
            model: that serves it.
            seen: where it goes.
            input: tokens.
            output: tokens.
            writes: the input may be written to the provider's cache, which can cost more.
            tier: the class of service that is asked for, where it costs more.

        Raises:
            Unpriced: no price is known.
        """
        if input > _PLAIN:
            return _dearest(model, seen, input, output, writes=writes, tier=tier)
        key = (model, seen.provider, seen.base_url, writes, tier)
        known = self._known.get(key)
        now = clock.monotonic()
        if known is None or known[0] <= now:
            if len(self._known) >= _MOST:
                self._known.clear()
            # Rates for a million come from a hundred thousand, where the first price holds.
            part, times = _PLAIN, _MILLION // _PLAIN
            into = _dearest(model, seen, part, 0, writes=writes, tier=tier) * times
            out = _dearest(model, seen, 0, part, writes=False, tier=tier) * times
            known = self._known[key] = (now + _FRESH, into, out)
        return -(-(input * known[1] + output * known[2]) // _MILLION)


def _dearest(
    model: str, seen: Endpoint, tokens: int, output: int, *, writes: bool, tier: str | None
) -> int:
    from agentguard.tokens.prices import price

    usages = [Usage(tokens, output)]
    if writes:
        usages += [
            Usage(tokens, output, cache_write_tokens=tokens),
            Usage(tokens, output, cache_write_tokens=tokens, cache_write_1h_tokens=tokens),
        ]
    dearest = Decimal(0)
    for usage in usages:
        cost = price(model, usage, seen.provider, base_url=seen.base_url, service_tier=tier)
        if cost is None:
            raise Unpriced(model)
        dearest = max(dearest, cost)
    return nano(dearest)
