"""What one attempt may use: its input, bounded or counted, and its output, bounded or expected."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine.bill import request_of
from agentguard.providers.items import fields, sequence
from agentguard.providers.output_limits import asked_output, least_output

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentguard.engine.call import Call
    from agentguard.policies.budget import Budget

__all__ = ["Demand"]

_MILLION: Final = 1_000_000
_UNKNOWN: Final = "unknown"
_DEAR: Final = "priority"
"""The class of service that costs more than the usual one."""


class Demand:
    """What an attempt may use.

    Attributes:
        model: that will serve, as far as can be seen.
        input: tokens of the prompt: no less than they are, until `count` makes it exact.
        output: tokens of the answer that are set aside.
        bounded: the provider is told that bound, or was told by the caller.
        counted: `input` is a count, not a bound.
        capped: `output` is less than was asked for or expected.
        nothing: a tool, which asks no model itself.
    """

    __slots__ = (
        "_call",
        "_embeds",
        "_rates",
        "_request",
        "_writes",
        "bounded",
        "capped",
        "counted",
        "input",
        "model",
        "nothing",
        "output",
    )

    def __init__(self, call: Call, model: str | None, budget: Budget) -> None:
        self.model = model
        self.nothing = call.target.tool
        self.bounded = self.capped = False
        self.counted = True
        self.input = self.output = 0
        self._call = call
        self._rates = budget.rates
        self._request: Any = None
        self._writes = True
        self._embeds = False
        if self.nothing:
            return
        if budget.counts_input:
            self._request = request_of(call)
            self.input = _bounded(self._request, model or _UNKNOWN)
            self.counted = self._request is None
        if not (budget.counts_output or budget.max_output):
            return
        if model is not None and _embeds(model):
            self.bounded = self._embeds = True
            return
        asked = asked_output(call.target, call.kwargs)
        if budget.max_output is not None:
            asked = budget.max_output if asked is None else min(asked, budget.max_output)
        self.bounded = asked is not None
        self.output = asked or budget.expect or budget.expected.tokens(model)

    def amount(self, unit: str) -> int:
        """What is to be set aside of this unit.

        Raises:
            Unpriced: it is money, and no price is known for the model.
        """
        if self.nothing:
            return 0
        if unit == "requests":
            return 1
        if unit == "tokens":
            return self.input + self.output
        if unit != "usd":
            return self.input if unit == "input_tokens" else self.output
        if self.model is None:
            return 1  # what it costs is known when it has answered; something must be left
        return self._most(self.output)

    def longer(self, unit: str, tokens: int) -> int:
        """What so many more tokens of output are, of this unit."""
        if unit != "usd":
            return tokens
        if self.model is None:
            return 0
        return self._most(self.output + tokens) - self._most(self.output)

    def count(self) -> None:
        """Count the input instead of bounding it: slower, and less is set aside."""
        if not self.counted:
            self.counted = True
            from agentguard.tokens.count import count_tokens

            try:
                counted = count_tokens(self._request, self.model or _UNKNOWN)
            except Exception:  # what cannot be counted keeps its bound
                return
            self.input = min(self.input, int(counted))
            self._writes = _marked(self._request)

    def fit(self, unit: str, left: int) -> bool:
        """Make the output as short as what is left demands; False when that is too short."""
        if unit in {"requests", "input_tokens"} or self.nothing or self._embeds:
            return False
        if unit == "usd":
            if self.model is None:
                return False
            rest = left - self._most(0) - 1  # what was rounded up
            output = rest * _MILLION // self._million
        else:
            output = left - (0 if unit == "output_tokens" else self.input)
        if not self._shortest <= output < self.output:
            return False
        self.output = output
        self.capped = True
        return True

    def least(self, unit: str) -> int:
        """What is needed of this unit where the answer is as short as it can be."""
        if unit in {"requests", "input_tokens"} or self.nothing or self._embeds:
            return self.amount(unit)
        whole, output = self.amount(unit), self._shortest
        if unit == "usd":
            if self.model is None:
                return whole
            # As much as `fit` needs: who waits for less would wait for ever.
            return min(whole, self._most(0) + 1 - (-output * self._million // _MILLION))
        return output if unit == "output_tokens" else self.input + output

    @property
    def _shortest(self) -> int:
        return min(least_output(self._call.target, self._call.kwargs), self.output)

    @property
    def _million(self) -> int:
        """What a million tokens of output cost, one more for what is rounded."""
        return self._most(_MILLION) - self._most(0) + 1

    def _most(self, output: int) -> int:
        return self._rates.most(
            self.model or _UNKNOWN,
            self._call.target.endpoint,
            self.input,
            output,
            writes=self._writes,
            tier=_DEAR if self._call.kwargs.get("service_tier") == _DEAR else None,
        )


def _bounded(request: Any, model: str) -> int:
    if request is None:
        return 0
    try:
        return _bound()(request, model)
    except Exception:  # arguments of the user's own function may be anything
        return 0


@functools.cache  # an import statement in a function takes as long as all the rest of it
def _bound() -> Callable[[Any, str], int]:
    from agentguard.tokens.count import bound_tokens

    return bound_tokens


@functools.lru_cache(maxsize=1024)
def _embeds(model: str) -> bool:
    from agentguard.tokens.families import family

    return family(model).embeds


def _marked(request: Any, depth: int = 6) -> bool:
    """Whether something in the request asks the provider to cache it."""
    if not depth:
        return False
    if sequence(request):
        return any(_marked(each, depth - 1) for each in request)
    known = fields(request)
    return "cache_control" in known or any(_marked(each, depth - 1) for each in known.values())
