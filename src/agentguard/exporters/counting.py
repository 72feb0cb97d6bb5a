"""What each event adds to the metrics: the one place that turns events into series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard import events
from agentguard.exporters.instruments import OTHER
from agentguard.exporters.spending import Spending
from agentguard.telling import circuit_named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    _End = tuple[Callable[[], None], Callable[[], None], Callable[[float], None]]
    _Try = tuple[str, Callable[[], None], Callable[[float], None]]
    Counted = Mapping[type[events.Event], Callable[["Counting", Any, str], None]]

    from agentguard.exporters.prometheus import Collectors

__all__ = ["OF_REQUESTS", "OF_WHAT_HAPPENS", "Counting"]

_RESULTS: Final = {"fresh": "hit"}
_MOST: Final = 1024  # combinations that are remembered
_STATES: Final = ("closed", "half_open", "open")


class Counting:
    """Adds events to the collectors of one registry.

    Args:
        to: the collectors.
        models: to tell apart; None for as many as there is room for.
        targets: the same.
    """

    def __init__(
        self, to: Collectors, models: frozenset[str] | None, targets: frozenset[str] | None
    ) -> None:
        self.child = to.child
        self._models, self._targets = models, targets
        self._spending = Spending(to)
        # What the ends of calls and attempts add to, found with one look-up.
        self._ends: dict[tuple[str, str, str | None], _End] = {}
        self._tries: dict[tuple[str, str, str | None, str, str | None], _Try] = {}
        to.keep("model", models or ())
        to.keep("target", targets or ())

    # Requests

    def started(self, event: events.CallStarted, name: str) -> None:
        """One more is in flight."""
        self.child("agentguard_requests_in_flight", name).inc()

    def ended(self, event: events.CallEnded, name: str) -> None:
        """One less is in flight; how it ended."""
        call = event.call
        key = name, call.outcome, call.kind
        leave, count, last = self._ends.get(key) or self._end(key)
        leave()
        count()
        last(call.duration or 0.0)
        if call.streamed and call.first_token is not None:
            asked = call.attempts[-1].asked if call.attempts else None
            model = self._model(asked or call.model)
            child = self.child("agentguard_time_to_first_token_seconds", name, model)
            child.observe(call.first_token)

    def _end(self, key: tuple[str, str, str | None]) -> _End:
        name, outcome, kind = key
        if len(self._ends) >= _MOST:
            self._ends.clear()
        found = self._ends[key] = (
            self.child("agentguard_requests_in_flight", name).dec,
            self.child("agentguard_requests_total", name, outcome, kind or "").inc,
            self.child("agentguard_request_duration_seconds", name, outcome).observe,
        )
        return found

    # Attempts

    def attempt_started(self, event: events.AttemptStarted, name: str) -> None:
        """What `retry` waited before it."""
        if event.attempt.wait:
            self.child("agentguard_wait_seconds_total", name, "retry").inc(event.attempt.wait)

    def attempt_ended(self, event: events.AttemptEnded, name: str) -> None:
        """How it ended, and what it used; where guarded calls inside asked the model, they tell."""
        attempt = event.attempt
        bill = attempt.bill
        if bill is None or not bill.counted:
            return
        asked = attempt.asked or attempt.model
        key = name, attempt.target, asked, attempt.outcome, attempt.kind
        model, count, last = self._tries.get(key) or self._try(key)
        count()
        last(attempt.duration or 0.0)
        self._spending.attempt(name, model, attempt, bill)

    def _try(self, key: tuple[str, str, str | None, str, str | None]) -> _Try:
        name, target, asked, outcome, kind = key
        target, model = self._target(target), self._model(asked)
        if len(self._tries) >= _MOST:
            self._tries.clear()
        found = self._tries[key] = (
            model,
            self.child("agentguard_attempts_total", name, target, model, outcome, kind or "").inc,
            self.child("agentguard_attempt_duration_seconds", name, target).observe,
        )
        return found

    def came_late(self, event: events.LateResult, name: str) -> None:
        """What it used that its end did not know of."""
        attempt = event.attempt
        bill = attempt.bill
        self.child("agentguard_late_results_total", name).inc()
        if bill is not None and bill.replaces is not None:  # else its end is still to come
            self._spending.more(name, self._model(attempt.asked or attempt.model), bill)

    # Policies

    def retried(self, event: events.Retried, name: str) -> None:
        """By what had failed."""
        self.child("agentguard_retries_total", name, event.kind).inc()

    def fell_back(self, event: events.FellBack, name: str) -> None:
        """By what had failed, and to whom."""
        target = self._target(event.target)
        self.child("agentguard_fallbacks_total", name, target, event.kind).inc()

    def delayed(self, event: events.Delayed, name: str) -> None:
        """By who lets it wait."""
        self.child("agentguard_wait_seconds_total", name, event.policy).inc(event.wait)

    def timed_out(self, event: events.TimedOut, name: str) -> None:
        """By bound."""
        self.child("agentguard_timeouts_total", name, event.bound).inc()

    def circuit_moved(self, event: Moved, name: str) -> None:
        """Its new state; not of one of several that a key tells apart, which may be a user."""
        state = _MOVED[type(event)]
        circuit = circuit_named(event)
        self.child("agentguard_circuit_transitions_total", circuit, state).inc()
        if not event.keyed:
            self.child("agentguard_circuit_state", circuit).set(_STATES.index(state))

    def circuit_rejected(self, event: events.CircuitRejected, name: str) -> None:
        """A refusal by the breaker."""
        self._refused(name, "breaker", shadow=event.shadow)

    def rejected(self, event: events.Rejected, name: str) -> None:
        """A refusal, and the rules that were broken."""
        mode = self._refused(name, event.policy, shadow=event.shadow)
        for rule in event.rules:
            self.child("agentguard_findings_total", name, event.policy, rule, mode).inc()

    def _refused(self, name: str, policy: str, *, shadow: bool) -> str:
        mode = "shadow" if shadow else "on"
        self.child("agentguard_refusals_total", name, policy, mode).inc()
        return mode

    def masked(self, event: events.Masked, name: str) -> None:
        """By type."""
        for kind, count in event.counts.items():
            self.child("agentguard_masked_total", name, kind).inc(count)

    def hit(self, event: events.CacheHit, name: str) -> None:
        """How it was found, and what that saved."""
        result = _RESULTS.get(event.how, event.how)
        self.child("agentguard_cache_requests_total", name, event.cache, result).inc()
        self._spending.hit(name, event)

    def missed(self, event: events.CacheMissed, name: str) -> None:
        """A miss."""
        self.child("agentguard_cache_requests_total", name, event.cache, "miss").inc()

    def charged(self, event: events.BudgetCharged, name: str) -> None:
        """What was booked; and where it stands, unless it is one of many users'."""
        budget, unit = event.budget, event.unit
        self.child("agentguard_budget_charged_total", budget, unit).inc(float(event.amount))
        if not event.keyed:
            used, limit = float(event.used), float(event.limit)
            self.child("agentguard_budget_used", budget, unit).set(used)
            self.child("agentguard_budget_limit", budget, unit).set(limit)
            ratio = used / limit if limit else 1.0
            self.child("agentguard_budget_used_ratio", budget, unit).set(ratio)

    def crossed(self, event: events.BudgetThreshold, name: str) -> None:
        """By percent."""
        series = event.budget, event.unit, str(event.percent)
        self.child("agentguard_budget_thresholds_total", *series).inc()

    def store_failed(self, event: events.StoreFailed, name: str) -> None:
        """Count it."""
        self.child("agentguard_store_failures_total", name).inc()

    # Labels

    def _model(self, name: str | None) -> str:
        models = self._models
        return name or "" if models is None or name in models else OTHER

    def _target(self, name: str) -> str:
        targets = self._targets
        return name if targets is None or name in targets else OTHER


Moved = events.CircuitOpened | events.CircuitHalfOpened | events.CircuitClosed

_MOVED: Final[Mapping[type[events.Event], str]] = {
    events.CircuitClosed: "closed",
    events.CircuitHalfOpened: "half_open",
    events.CircuitOpened: "open",
}

OF_REQUESTS: Final[Counted] = {
    events.CallStarted: Counting.started,
    events.CallEnded: Counting.ended,
}
"""What is told of a request itself: counted by every `metrics` around it."""

OF_WHAT_HAPPENS: Final[Counted] = {
    events.AttemptStarted: Counting.attempt_started,
    events.AttemptEnded: Counting.attempt_ended,
    events.LateResult: Counting.came_late,
    events.Retried: Counting.retried,
    events.FellBack: Counting.fell_back,
    events.Delayed: Counting.delayed,
    events.TimedOut: Counting.timed_out,
    events.CircuitOpened: Counting.circuit_moved,
    events.CircuitHalfOpened: Counting.circuit_moved,
    events.CircuitClosed: Counting.circuit_moved,
    events.CircuitRejected: Counting.circuit_rejected,
    events.Rejected: Counting.rejected,
    events.Masked: Counting.masked,
    events.CacheHit: Counting.hit,
    events.CacheMissed: Counting.missed,
    events.BudgetCharged: Counting.charged,
    events.BudgetThreshold: Counting.crossed,
    events.StoreFailed: Counting.store_failed,
}
"""What happens inside: counted once, by the innermost."""
