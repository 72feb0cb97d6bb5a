"""What a service promises, and what is worth waking somebody for: the numbers behind the rules."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple, get_args

from agentguard.errors import Kind
from agentguard.exporters.instruments import INSTRUMENTS

__all__ = ["BURNS", "Burn", "Objectives"]

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR


class Burn(NamedTuple):
    """How fast a month's share of allowed failures may be used up before somebody is told.

    Attributes:
        rate: times the speed at which it lasts for 30 days.
        long: seconds over which it must have been that fast.
        short: seconds over which it must still be, so that the alert ends soon after its cause.
        severity: "critical" should wake somebody, "warning" can wait for the morning.
    """

    rate: float
    long: float
    short: float
    severity: str


BURNS: Final = (
    Burn(14.4, HOUR, HOUR / 12, "critical"),
    Burn(6, 6 * HOUR, HOUR / 2, "critical"),
    Burn(3, DAY, 2 * HOUR, "warning"),
    Burn(1, 3 * DAY, 6 * HOUR, "warning"),
)
"""Google, The Site Reliability Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts"
(https://sre.google/workbook/alerting-on-slos/): 2 % of 30 days' share in an hour, 5 % in six hours,
10 % in one day and in three."""


def _number(default: float, about: str) -> Any:
    return field(default=float(default), metadata={"help": about})


@dataclass(frozen=True, kw_only=True, slots=True)
class Objectives:
    """What the rules are made for. Every default is a beginning: yours are your service's own.

    Protects from pages that nobody can act on: a request that was at fault itself (`excused`) is
    no failure of the service, and a handful of requests (`least`) is no evidence.

    Args:
        success: part of the requests that must succeed.
        latency: seconds within which completed requests must end, streams at their last item. One
            of the buckets' bounds, as is `first_token`: nothing between them can be told apart.
        latency_success: part of the requests that must.
        first_token: seconds within which streams must begin.
        first_token_success: part of the streams that must.
        excused: kinds of failures that say nothing about the service. Refused for want of budget is
            one: budgets have alerts of their own.
        least: requests in the longer window below which an objective is not judged.
        circuit: seconds that a circuit may stay open or half-open.
        budget: used part of a budget that is told of.
        usd: US dollars an hour that are never too many.
        times: how many times the dearest hours of the history an hour may cost.
        cache: part of requests that a cache must have answered for its collapse to be told of.
        collapse: part of its usual hits below which a cache has collapsed.
        window: seconds of an "hour" in cost and caches.
        history: seconds of the past that it is compared with. A seventh of it must have been seen.
        labels: that Prometheus adds to what it scrapes, and that tell services apart.
        runbook: where the runbook is, as a path or URL; alerts link to their sections in it.
        scale: times all lengths of time but `latency` and `first_token`: for a rehearsal in minutes.

    Raises:
        ValueError: an alert could never fire, or never be right; the message says what to write.

    Examples:
        >>> from agentguard.monitoring.objectives import Objectives
        >>> Objectives(success=0.995).success
        0.995
    """

    success: float = _number(0.99, "part of the requests that must succeed")
    latency: float = _number(20.48, "seconds within which completed requests must end")
    latency_success: float = _number(0.95, "part of the requests that must end within --latency")
    first_token: float = _number(2.5, "seconds within which streams must begin")
    first_token_success: float = _number(
        0.95, "part of the streams that must begin within --first-token"
    )
    excused: tuple[str, ...] = field(
        default=(
            *("invalid_request", "context_length", "content_filter", "rejected"),
            *("budget_exceeded", "cancelled", "control"),
        ),
        metadata={"help": "kinds of failures that are not the service's"},
    )
    least: float = _number(20, "requests below which an objective is not judged")
    circuit: float = _number(120, "seconds that a circuit may stay open or half-open")
    budget: float = _number(0.8, "used part of a budget that is told of")
    usd: float = _number(1, "US dollars an hour that are never too many")
    times: float = _number(2, "how many times the dearest hours before an hour may cost")
    cache: float = _number(0.1, "hits that a cache must usually have for its collapse to count")
    collapse: float = _number(0.5, "part of its usual hits below which a cache has collapsed")
    window: float = _number(HOUR, "seconds of an hour in cost and caches")
    history: float = _number(7 * DAY, "seconds of the past that it is compared with")
    labels: tuple[str, ...] = field(
        default=("job",), metadata={"help": "labels of scraped targets that tell services apart"}
    )
    runbook: str = field(
        default="docs/runbook.md", metadata={"help": "where the runbook is, as a path or URL"}
    )
    scale: float = _number(1, "times all windows: for a rehearsal in minutes")

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(each.default, float | int) and not value > 0:
                raise ValueError(f"{each.name} must be above 0, not {value}")
        fastest = max(burn.rate for burn in BURNS)
        for name in ("success", "latency_success", "first_token_success"):
            value = getattr(self, name)
            if not 1 - 1 / fastest < value < 1:
                raise ValueError(
                    f"{name} must be above {1 - 1 / fastest:.4f} and below 1, not {value}: else "
                    f"nothing can fail {fastest} times as often as allowed, and the alert that is to "
                    "wake somebody never does"
                )
        self._bound("latency", "agentguard_request_duration_seconds")
        self._bound("first_token", "agentguard_time_to_first_token_seconds")
        if not self.budget <= 1 or not self.collapse < 1 or not self.cache < 1:
            raise ValueError("budget, collapse and cache are parts, as in 0.8, not percents")
        if not self.history >= 7 * self.window:
            raise ValueError("history must be at least seven times window")
        for kind in self.excused:
            if kind not in get_args(Kind):
                there = ", ".join(get_args(Kind))
                raise ValueError(f"{kind!r} is no kind of failure: there are {there}")
        for label in self.labels:
            if not label.isidentifier():
                raise ValueError(f"{label!r} is no label of Prometheus")

    def _bound(self, name: str, metric: str) -> None:
        value = getattr(self, name)
        bounds = next(each.buckets for each in INSTRUMENTS if each.name == metric)
        if value not in bounds:
            around = [f"{each:g}" for each in bounds if value / 3 <= each <= value * 3]
            raise ValueError(
                f"{name}={value:g} is not a bound of {metric}'s buckets; near it are "
                f"{', '.join(around) or f'{bounds[0]:g} to {bounds[-1]:g}'}"
            )
