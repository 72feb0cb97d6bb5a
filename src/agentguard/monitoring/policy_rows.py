"""Rows of the dashboard about policies: what they did, and what they could not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentguard.monitoring.panels import Panel, Query
from agentguard.monitoring.promql import ratio
from agentguard.monitoring.recorded import CACHED, REQUESTS, TOKENS

if TYPE_CHECKING:
    from agentguard.monitoring.objectives import Objectives
    from agentguard.monitoring.promql import Queries

__all__ = ["budgets", "caches", "reliability", "safety"]

_RATE: Final = "$__rate_interval"
_RANGE: Final = "$__range"
_ATTEMPTS: Final = "agentguard_attempts_total"


def reliability(ask: Queries) -> tuple[Panel, ...]:
    """What fails, and what is done about it."""
    attempts = ask.rate(_ATTEMPTS, _RATE, "name")
    failed = ask.rate(_ATTEMPTS, _RATE, "target", outcome="failed")
    return (
        Panel(
            "Attempts for a request",
            "How often a model is asked for one request: above 1 by retries, below by caches.",
            (Query(ratio(attempts, ask.rate(REQUESTS, _RATE, "name")), "{{name}}"),),
        ),
        Panel(
            "Failed attempts",
            "Part of the attempts that failed, by what was called, before retries and fallbacks.",
            (Query(ratio(failed, ask.rate(_ATTEMPTS, _RATE, "target")), "{{target}}"),),
            unit="percentunit",
            most=1,
        ),
        Panel(
            "Circuits",
            "Open: calls are refused. Half-open: some are let through to try.",
            (Query(ask.now("agentguard_circuit_state", "circuit", function="max"), "{{circuit}}"),),
            kind="state-timeline",
            limits=(1, 2),
            states=("closed", "half-open", "open"),
        ),
        Panel(
            "Retries",
            "Attempts that were scheduled again, by what had failed.",
            (
                Query(
                    ask.rate("agentguard_retries_total", _RATE, "name", "kind"), "{{name}} {{kind}}"
                ),
            ),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Fallbacks",
            "Turns to another target, by what had failed.",
            (
                Query(
                    ask.rate("agentguard_fallbacks_total", _RATE, "target", "kind"),
                    "to {{target}} {{kind}}",
                ),
            ),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Timeouts",
            "Time bounds that passed, by bound.",
            (
                Query(
                    ask.rate("agentguard_timeouts_total", _RATE, "name", "bound"),
                    "{{name}} {{bound}}",
                ),
            ),
            unit="reqps",
            stacked=True,
        ),
    )


def caches(ask: Queries) -> tuple[Panel, ...]:
    """What caches answer, and the provider's."""
    prompt = ask.rate(TOKENS, _RATE, "name", type=("input", "cache_read", "cache_write"))
    hits = ask.rate(CACHED, _RATE, "cache", result=("!", "miss"))
    return (
        Panel(
            "Answered by a cache",
            "Part of the requests that a cache answered.",
            (Query(ratio(hits, ask.rate(CACHED, _RATE, "cache")), "{{cache}}"),),
            unit="percentunit",
            most=1,
        ),
        Panel(
            "Requests of caches",
            "What caches answered, a second.",
            (Query(ask.rate(CACHED, _RATE, "cache", "result"), "{{cache}} {{result}}"),),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Prompt tokens read from the provider's cache",
            "Part of the prompt tokens that the provider had cached.",
            (Query(ratio(ask.rate(TOKENS, _RATE, "name", type="cache_read"), prompt), "{{name}}"),),
            unit="percentunit",
            most=1,
        ),
    )


def budgets(goal: Objectives, ask: Queries) -> tuple[Panel, ...]:
    """How budgets stand."""

    def budget(metric: str) -> str:
        return ask.now(metric, "budget", "unit", function="max")

    refused = ask.rate(REQUESTS, _RATE, "name", outcome="failed", kind="budget_exceeded")
    return (
        Panel(
            "Used of budgets",
            "Used part of each budget in its window, as last charged. Budgets kept for each user are "
            "not shown.",
            (Query(budget("agentguard_budget_used_ratio"), "{{budget}} {{unit}}"),),
            unit="percentunit",
            kind="bargauge",
            limits=(goal.budget, 1),
            most=1,
        ),
        Panel(
            "Budgets",
            "Used and limit of each budget, in its unit.",
            (
                Query(budget("agentguard_budget_used"), "{{budget}} {{unit}} used"),
                Query(budget("agentguard_budget_limit"), "{{budget}} {{unit}} limit"),
            ),
        ),
        Panel(
            "Refused for want of budget",
            "Requests that failed because a budget had too little left.",
            (Query(refused, "{{name}}"),),
            unit="reqps",
            limits=(0.000001,),
        ),
    )


def safety(ask: Queries) -> tuple[Panel, ...]:
    """What is refused and masked; and what telemetry itself has lost."""
    refusals, dropped = "agentguard_refusals_total", "agentguard_exporter_dropped_total"
    return (
        Panel(
            "Refusals",
            "Requests and answers that policies refused, or in shadow would have.",
            (Query(ask.rate(refusals, _RATE, "policy", "mode"), "{{policy}} {{mode}}"),),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Rules that were broken",
            "By refused requests and answers.",
            (
                Query(
                    ask.rate("agentguard_findings_total", _RATE, "policy", "rule"),
                    "{{policy}} {{rule}}",
                ),
            ),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Masked",
            "Personal data and secrets taken out of requests, a second.",
            (Query(ask.rate("agentguard_masked_total", _RATE, "type"), "{{type}}"),),
            stacked=True,
        ),
        Panel(
            "Stores that could not be reached",
            "Times in the time shown, by guard.",
            (Query(ask.grown("agentguard_store_failures_total", _RANGE, "name"), "{{name}}"),),
            kind="stat",
            width=12,
            limits=(1,),
        ),
        Panel(
            "Dropped telemetry",
            "Items in the time shown, by exporter.",
            (Query(ask.grown(dropped, _RANGE, "exporter"), "{{exporter}}"),),
            kind="stat",
            width=12,
            limits=(1,),
        ),
    )
