"""The one definition of every metric: the collectors, the dashboard, the rules and the docs are made of it.

Names and units follow Prometheus' conventions: base units (seconds, tokens, US dollars) in the
name, `_total` on counters. A label's values are either listed here, or bounded: see `MOST`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from agentguard.errors import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["INSTRUMENTS", "MOST", "OTHER", "Instrument"]

MOST: Final = 50
"""Values that a label without listed ones may have; what comes later is `OTHER`."""

OTHER: Final = "other"

_OUTCOMES: Final = ("completed", "failed", "abandoned")
_FAILURES: Final[tuple[str, ...]] = get_args(Kind)
_KINDS: Final = ("", *_FAILURES)  # "", which to Prometheus is no label, where nothing failed
_MODES: Final = ("on", "shadow")
_UNITS: Final = ("usd", "tokens", "input_tokens", "output_tokens", "requests")

_LATENCY: Final = tuple(0.01 * 2**power for power in range(15))
"""0.01 to 163.84 s. OpenTelemetry's for gen_ai.client.operation.duration end at 81.92 s; answers of
reasoning models take longer, so there is one more."""

_FIRST_TOKEN: Final = (
    *(0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0),
)
"""OpenTelemetry's for gen_ai.server.time_to_first_token, from 0.01 s on, and three for models that
reason before they speak."""

_OUTPUT_TOKEN: Final = (
    *(0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
)
"""OpenTelemetry's for gen_ai.server.time_per_output_token, and two for the fastest servers."""


Values = tuple[str, ...] | None
Mode = Literal["livesum", "livemax", "mostrecent"]


class Instrument(NamedTuple):
    """One metric.

    Attributes:
        name: as it is exported; of a histogram without `_bucket`, `_sum` and `_count`.
        kind: what Prometheus calls its type.
        help: one sentence.
        labels: by name: the values that it may have, or None where they are bounded by `MOST`.
        buckets: upper bounds of a histogram, in its unit; +Inf comes on top.
        mode: of a gauge, how several processes' values become one (prometheus-client's
            `multiprocess_mode`).
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Mapping[str, Values]
    buckets: tuple[float, ...] = ()
    mode: Mode | None = None


def _counter(metric: str, about: str, /, **labels: Values) -> Instrument:
    return Instrument(f"agentguard_{metric}_total", "counter", about, labels)


def _gauge(metric: str, about: str, mode: Mode, /, **labels: Values) -> Instrument:
    return Instrument(f"agentguard_{metric}", "gauge", about, labels, mode=mode)


def _histogram(
    metric: str, about: str, buckets: tuple[float, ...], /, **labels: Values
) -> Instrument:
    return Instrument(f"agentguard_{metric}_seconds", "histogram", about, labels, buckets)


INSTRUMENTS: Final[tuple[Instrument, ...]] = (
    # Requests: what a caller asked for, whatever it took
    _counter(
        "requests",
        "Guarded calls that ended, streams at their end; kind is that of the failure.",
        name=None,
        outcome=_OUTCOMES,
        kind=_KINDS,
    ),
    _gauge("requests_in_flight", "Guarded calls and streams under way.", "livesum", name=None),
    _histogram(
        "request_duration",
        "Seconds from a guarded call to its end, of a stream to its last item.",
        _LATENCY,
        name=None,
        outcome=_OUTCOMES,
    ),
    _histogram(
        "time_to_first_token",
        "Seconds from a guarded call to the first content of the stream that it returned.",
        _FIRST_TOKEN,
        name=None,
        model=None,
    ),
    # Attempts: what costs money
    _counter(
        "attempts",
        "Times a model was asked, retries and fallbacks included; each once, where it was made.",
        name=None,
        target=None,
        model=None,
        outcome=_OUTCOMES,
        kind=_KINDS,
    ),
    _histogram(
        "attempt_duration",
        "Seconds that an attempt took, of a stream to its last item.",
        _LATENCY,
        name=None,
        target=None,
    ),
    _histogram(
        "time_per_output_token",
        "Seconds between two output tokens of a completed stream: (duration - time to first token) "
        "/ (output tokens - 1).",
        _OUTPUT_TOKEN,
        name=None,
        model=None,
    ),
    _counter(
        "tokens",
        "Tokens used, each in one type: input without what the provider's cache read or wrote, "
        "output without reasoning.",
        name=None,
        model=None,
        type=("input", "cache_read", "cache_write", "output", "reasoning"),
    ),
    _counter("cost_usd", "US dollars that attempts cost.", name=None, model=None),
    _counter(
        "unpriced_attempts",
        "Attempts whose cost is not known, and is missing in agentguard_cost_usd_total.",
        name=None,
        model=None,
    ),
    _counter(
        "late_results",
        "Answers that came after their caller had given up; their tokens and cost are counted.",
        name=None,
    ),
    # What policies did
    _counter(
        "retries",
        "Attempts that were scheduled again, by what had failed.",
        name=None,
        kind=_FAILURES,
    ),
    _counter(
        "fallbacks",
        "Turns to another target, by what had failed.",
        name=None,
        target=None,
        kind=_FAILURES,
    ),
    _counter(
        "wait_seconds",
        "Seconds spent waiting before attempts, by the policy that waits.",
        name=None,
        reason=None,
    ),
    _counter("timeouts", "Time bounds that passed.", name=None, bound=None),
    _gauge(
        "circuit_state",
        "0 closed, 1 half-open, 2 open, as last told in a process; of several the highest.",
        "livemax",
        circuit=None,
    ),
    _counter(
        "circuit_transitions",
        "Changes of circuits' states.",
        circuit=None,
        state=("closed", "half_open", "open"),
    ),
    _counter(
        "cache_requests",
        "What caches answered: hit, stale (served after its time), joined (the same call was under "
        "way), alike (asked before in other words), items (some of a list), miss.",
        name=None,
        cache=None,
        result=("hit", "stale", "joined", "alike", "items", "miss"),
    ),
    _counter(
        "saved_usd",
        "US dollars saved by answers from `cache`, and by what the provider's prompt cache read.",
        name=None,
        by=("cache", "prompt_cache"),
    ),
    _counter(
        "surcharge_usd",
        "US dollars that writing to a provider's prompt cache cost on top of plain input.",
        name=None,
    ),
    _gauge(
        "budget_used_ratio",
        "Used part of a budget's limit in its window, as last charged.",
        "mostrecent",
        budget=None,
        unit=_UNITS,
    ),
    _gauge(
        "budget_used",
        "Used of a budget in its window, in its unit, as last charged.",
        "mostrecent",
        budget=None,
        unit=_UNITS,
    ),
    _gauge(
        "budget_limit", "A budget's limit, in its unit.", "mostrecent", budget=None, unit=_UNITS
    ),
    _counter(
        "budget_charged",
        "Charged to a budget, in its unit, all users of it together.",
        budget=None,
        unit=_UNITS,
    ),
    _counter(
        "budget_thresholds",
        "Shares of a budget's limit that were reached, in percent.",
        budget=None,
        unit=_UNITS,
        percent=None,
    ),
    _counter("masked", "Personal data and secrets taken out of requests.", name=None, type=None),
    _counter(
        "refusals",
        "Requests and answers that a policy refused, or with mode shadow would have.",
        name=None,
        policy=None,
        mode=_MODES,
    ),
    _counter(
        "findings",
        "Rules that refused requests and answers broke: a refusal may break several.",
        name=None,
        policy=None,
        rule=None,
        mode=_MODES,
    ),
    _counter("store_failures", "Times that a policy's store could not be reached.", name=None),
    _counter("exporter_dropped", "Items that an exporter dropped.", exporter=None),
)
