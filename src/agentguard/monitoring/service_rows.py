"""Rows of the dashboard about a service: what it promises, what is asked of it and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentguard.monitoring.objectives import BURNS
from agentguard.monitoring.panels import Panel, Query
from agentguard.monitoring.recorded import DURATION, FIRST_TOKEN, REQUESTS, TOKENS

if TYPE_CHECKING:
    from agentguard.monitoring.objectives import Objectives
    from agentguard.monitoring.promql import Queries
    from agentguard.monitoring.recorded import Recorded

__all__ = ["cost", "latency", "objectives", "traffic"]

_RATE: Final = "$__rate_interval"
_RANGE: Final = "$__range"
_COST: Final = "agentguard_cost_usd_total"


def objectives(recorded: Recorded, ask: Queries) -> tuple[Panel, ...]:
    """How fast what may fail is used up."""
    return tuple(
        Panel(
            f"{objective.record.replace('_', ' ').capitalize()}: burn rate",
            f"Times the speed at which the {objective.allowed * 100:.6g}% that may fail last for 30 "
            f"days. Above {BURNS[0].rate:g} in {recorded.length(BURNS[0].long)} somebody is woken.",
            tuple(
                Query(
                    f"{ask.recorded(recorded.part(objective.record, window))} "
                    f"/ {objective.allowed:.6g}",
                    f"{{{{name}}}} {window}",
                )
                for window in (recorded.length(burn.long) for burn in BURNS)
            ),
            limits=(1, BURNS[0].rate),
        )
        for objective in recorded.objectives
    )


def traffic(ask: Queries) -> tuple[Panel, ...]:
    """What is asked, and how it ends."""
    return (
        Panel(
            "Requests",
            "Guarded calls that ended, a second.",
            (Query(ask.rate(REQUESTS, _RATE, "name", "outcome"), "{{name}} {{outcome}}"),),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Failures by kind",
            "What came out of guarded calls, after retries and fallbacks.",
            (
                Query(
                    ask.rate(REQUESTS, _RATE, "name", "kind", outcome="failed"), "{{name}} {{kind}}"
                ),
            ),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "In flight",
            "Calls and streams under way.",
            (Query(ask.now("agentguard_requests_in_flight", "name"), "{{name}}"),),
        ),
    )


def latency(goal: Objectives, ask: Queries) -> tuple[Panel, ...]:
    """How long it takes."""

    def quantiles(metric: str, label: str) -> tuple[Query, ...]:
        return tuple(
            Query(ask.quantile(part, metric, _RATE, label), f"{{{{{label}}}}} p{part * 100:g}")
            for part in (0.5, 0.95, 0.99)
        )

    return (
        Panel(
            "Duration",
            "Seconds from a guarded call to its end, of a stream to its last item.",
            quantiles(DURATION, "name"),
            unit="s",
            limits=(goal.latency,),
        ),
        Panel(
            "Time to first token",
            "Seconds from a guarded call to the first content of its stream.",
            quantiles(FIRST_TOKEN, "name"),
            unit="s",
            limits=(goal.first_token,),
        ),
        Panel(
            "Time per output token",
            "Seconds between two tokens of completed streams, by model.",
            quantiles("agentguard_time_per_output_token_seconds", "model"),
            unit="s",
        ),
        Panel(
            "Duration of attempts",
            "Seconds that one attempt took, by what was called.",
            quantiles("agentguard_attempt_duration_seconds", "target"),
            unit="s",
            width=12,
        ),
        Panel(
            "Waiting",
            "Seconds spent waiting before attempts, a second: 1 is one caller who waits all the time.",
            (
                Query(
                    ask.rate("agentguard_wait_seconds_total", _RATE, "name", "reason"),
                    "{{name}} {{reason}}",
                ),
            ),
            width=12,
            stacked=True,
        ),
    )


def cost(ask: Queries) -> tuple[Panel, ...]:
    """What it costs, and saves."""
    saved = "agentguard_saved_usd_total"
    return (
        Panel(
            "Cost",
            "US dollars in the time shown.",
            (Query(ask.increase(_COST, _RANGE, "name"), "{{name}}"),),
            unit="currencyUSD",
            kind="stat",
        ),
        Panel(
            "Saved",
            "US dollars in the time shown, by answers from cache() and by the provider's prompt cache.",
            (Query(ask.increase(saved, _RANGE, "by"), "{{by}}"),),
            unit="currencyUSD",
            kind="stat",
        ),
        Panel(
            "Without a price",
            "Attempts in the time shown whose cost is not known: they are missing here.",
            (Query(ask.grown("agentguard_unpriced_attempts_total", _RANGE, "model"), "{{model}}"),),
            kind="stat",
            limits=(1,),
        ),
        Panel(
            "Cost of an hour",
            "US dollars an hour at the present rate, by model.",
            (Query(f"{ask.rate(_COST, _RATE, 'name', 'model')} * 3600", "{{name}} {{model}}"),),
            unit="currencyUSD",
            width=12,
            stacked=True,
        ),
        Panel(
            "Tokens",
            "Tokens a second, each in one type.",
            (Query(ask.rate(TOKENS, _RATE, "type"), "{{type}}"),),
            width=12,
            stacked=True,
        ),
    )
