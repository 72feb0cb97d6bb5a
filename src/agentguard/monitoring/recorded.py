"""What Prometheus records all the time: how far a service is from its objectives, and its costs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from agentguard.monitoring.objectives import BURNS
from agentguard.monitoring.promql import Queries, length, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentguard.monitoring.objectives import Objectives

__all__ = [
    "CACHED",
    "DURATION",
    "FIRST_TOKEN",
    "REQUESTS",
    "TOKENS",
    "Objective",
    "Record",
    "Recorded",
]

REQUESTS: Final = "agentguard_requests_total"
DURATION: Final = "agentguard_request_duration_seconds"
FIRST_TOKEN: Final = "agentguard_time_to_first_token_seconds"  # noqa: S105
CACHED: Final = "agentguard_cache_requests_total"
TOKENS: Final = "agentguard_tokens_total"


class Record(NamedTuple):
    """A query that Prometheus evaluates all the time, and keeps under a name."""

    name: str
    expr: str


class Objective(NamedTuple):
    """One objective.

    Attributes:
        alert: that tells of it.
        what: of what has failed, in words.
        record: name of the part that failed.
        allowed: part that may fail.
        failed: the query of the part that failed in a window.
        seen: the query of how many there were in a window.
    """

    alert: str
    what: str
    record: str
    allowed: float
    failed: Callable[[str], str]
    seen: Callable[[str], str]


class Recorded:
    """The recording rules of a service.

    Args:
        goal: what it promises.

    Attributes:
        cost: name of the US dollars of the last hour.
        hits: name of the part of requests that a cache answered.
        reads: name of the part of prompt tokens that the provider's cache held.
        objectives: that are recorded.
    """

    def __init__(self, goal: Objectives) -> None:
        self.goal = goal
        self.ask = Queries(targets=goal.labels)
        self.hour = self.length(goal.window)
        self.past = self.length(goal.history)
        self._level = "_".join((*goal.labels, "name"))
        self.cost = f"{self._level}:agentguard_cost_usd:increase{self.hour}"
        self.hits = f"{self._level}_cache:agentguard_cache_hits:ratio_rate{self.hour}"
        self.reads = self.part("prompt_cache_reads", self.hour)
        self.objectives = tuple(self._objectives())

    def part(self, what: str, window: str) -> str:
        """The name of a part of requests, tokens and the like in a window."""
        return f"{self._level}:agentguard_{what}:ratio_rate{window}"

    def length(self, seconds: float) -> str:
        """A length of time to look at, as Prometheus writes it."""
        return length(seconds * self.goal.scale)

    def groups(self) -> dict[str, tuple[Record, ...]]:
        """All recording rules, by group."""
        return {"objectives": tuple(self._burning()), "cost_and_caches": tuple(self._spending())}

    def _objectives(self) -> Iterator[Objective]:
        goal = self.goal
        yield Objective(
            "AgentguardErrorBurn",
            "of the requests of {{ $labels.name }} failed",
            "request_errors",
            1 - goal.success,
            self._failed,
            partial(self._seen, REQUESTS),
        )
        yield Objective(
            "AgentguardLatencyBurn",
            f"of the requests of {{{{ $labels.name }}}} took longer than {goal.latency:g} s",
            "slow_requests",
            1 - goal.latency_success,
            self._slow,
            partial(self._seen, DURATION),
        )
        yield Objective(
            "AgentguardFirstTokenBurn",
            f"of the streams of {{{{ $labels.name }}}} began later than {goal.first_token:g} s",
            "slow_first_tokens",
            1 - goal.first_token_success,
            self._late,
            partial(self._seen, FIRST_TOKEN),
        )

    def _seen(self, metric: str, window: str) -> str:
        return self.ask.increase(metric, window, "name")

    def _failed(self, window: str) -> str:
        excused = self.goal.excused
        kinds: dict[str, tuple[str, ...]] = {"kind": ("!", *excused)} if excused else {}
        return ratio(
            self.ask.rate(REQUESTS, window, "name", outcome="failed", **kinds),
            self.ask.rate(REQUESTS, window, "name", outcome=("completed", "failed"), **kinds),
        )

    def _slow(self, window: str) -> str:
        return self.ask.above(self.goal.latency, DURATION, window, "name", outcome="completed")

    def _late(self, window: str) -> str:
        return self.ask.above(self.goal.first_token, FIRST_TOKEN, window, "name")

    def _burning(self) -> Iterator[Record]:
        windows = sorted({each for burn in BURNS for each in (burn.long, burn.short)})
        for objective in self.objectives:
            for window in map(self.length, windows):
                yield Record(self.part(objective.record, window), objective.failed(window))

    def _spending(self) -> Iterator[Record]:
        ask, hour = self.ask, self.hour
        yield Record(self.cost, ask.increase("agentguard_cost_usd_total", hour, "name"))
        yield Record(
            self.hits,
            ratio(
                ask.rate(CACHED, hour, "name", "cache", result=("!", "miss")),
                ask.rate(CACHED, hour, "name", "cache"),
            ),
        )
        prompt = ("input", "cache_read", "cache_write")
        yield Record(
            self.reads,
            ratio(
                ask.rate(TOKENS, hour, "name", type="cache_read"),
                ask.rate(TOKENS, hour, "name", type=prompt),
            ),
        )
