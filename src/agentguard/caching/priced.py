"""What a kept answer would cost, if it were asked for now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from agentguard.caching.answers import About
    from agentguard.engine.call import Call

__all__ = ["price_of"]


def price_of(call: Call, known: About) -> Decimal | None:
    """US dollars; None where the usage or the price is not known.

    Args:
        call: that asked for it.
        known: what the answer tells of itself.
    """
    model = known.model or call.kwargs.get("model")
    if known.usage is None or not isinstance(model, str):
        return None
    from agentguard.tokens.prices import price

    return price(
        model, known.usage, known.provider, base_url=known.base_url, service_tier=known.tier
    )
