"""Tokens and dollars as metrics: counted at once, but for what a tokenizer has to count first.

Price lists take a sixth of a second to load, which must not happen on a caller's event loop. They
are loaded where `metrics()` is written rather than on a thread beside: nothing then waits to be
priced when a process forks or ends. An answer that was cut, or came without figures, is counted
from its text, which takes milliseconds: that is left to the thread beside.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from agentguard.exporters.figures import figure

if TYPE_CHECKING:
    from agentguard.engine.bill import Bill
    from agentguard.engine.records import AttemptRecord
    from agentguard.events import CacheHit
    from agentguard.exporters.prometheus import Collectors
    from agentguard.providers.usage import Usage

__all__ = ["Spending"]


class Spending:
    """Adds bills to the collectors of one registry."""

    def __init__(self, to: Collectors) -> None:
        self._child = to.child
        self._later = to.later

    def attempt(self, name: str, model: str, attempt: AttemptRecord, bill: Bill) -> None:
        """What an attempt used and cost."""
        if bill.estimated:
            self._later.put(functools.partial(self._spent, name, model, bill))
            return
        usage = bill.usage
        if usage is not None:
            self._spent(name, model, bill)
            if attempt.streamed and attempt.outcome == "completed":
                self._paced(name, model, attempt, usage)
        elif not bill.known:
            self._child("agentguard_unpriced_attempts_total", name, model).inc()

    def more(self, name: str, model: str, bill: Bill) -> None:
        """What a late answer used beyond the bill that was counted when it was given up."""
        self._later.put(functools.partial(self._spent, name, model, bill))

    def hit(self, name: str, hit: CacheHit) -> None:
        """What an answer from a cache saved."""
        saved = figure(lambda: hit.saved)
        if saved is not None and saved > 0:
            self._child("agentguard_saved_usd_total", name, "cache").inc(float(saved))

    def _spent(self, name: str, model: str, bill: Bill) -> None:
        cost = figure(lambda: bill.cost)
        usage, saved = bill.usage, bill.saved
        before = bill.replaces
        if before is not None and before.counted:
            # What was estimated may have been more: a counter keeps it.
            if usage is not None and before.usage is not None:
                usage -= before.usage
            if cost is not None and before.cost is not None:
                cost, saved = cost - before.cost, saved - before.saved
        if usage is not None:
            self._used(name, model, usage)
        if cost is None:
            if before is None:
                self._child("agentguard_unpriced_attempts_total", name, model).inc()
            return
        if cost > 0:
            self._child("agentguard_cost_usd_total", name, model).inc(float(cost))
        if not saved:
            return
        if saved > 0:
            self._child("agentguard_saved_usd_total", name, "prompt_cache").inc(float(saved))
        else:
            self._child("agentguard_surcharge_usd_total", name).inc(float(-saved))

    def _used(self, name: str, model: str, usage: Usage) -> None:
        """Tokens by type, each token in one."""
        series, child = ("agentguard_tokens_total", name, model), self._child
        read, written = usage.cached_tokens, usage.cache_write_tokens
        reasoned = usage.reasoning_tokens
        fresh, said = usage.input_tokens - read - written, usage.output_tokens - reasoned
        if fresh > 0:
            child(*series, "input").inc(fresh)
        if said > 0:
            child(*series, "output").inc(said)
        if read > 0:
            child(*series, "cache_read").inc(read)
        if written > 0:
            child(*series, "cache_write").inc(written)
        if reasoned > 0:
            child(*series, "reasoning").inc(reasoned)

    def _paced(self, name: str, model: str, attempt: AttemptRecord, usage: Usage) -> None:
        """Seconds between two output tokens.

        Not where there was reasoning: whether its tokens came before the first content or were
        part of it cannot be told.
        """
        first, duration, tokens = attempt.first_token, attempt.duration, usage.output_tokens
        if first is None or duration is None or tokens < 2 or usage.reasoning_tokens:
            return
        pace = (duration - first) / (tokens - 1)
        self._child("agentguard_time_per_output_token_seconds", name, model).observe(pace)
