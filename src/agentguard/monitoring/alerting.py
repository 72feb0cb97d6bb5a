"""What somebody is told of: every alert, when it is raised and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from agentguard.monitoring.objectives import BURNS, DAY, HOUR
from agentguard.monitoring.recorded import CACHED, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.monitoring.objectives import Burn
    from agentguard.monitoring.recorded import Objective, Recorded

__all__ = ["ALERTS", "Alert", "Alerting", "Condition"]

ALERTS: Final = (
    "AgentguardErrorBurn",
    "AgentguardLatencyBurn",
    "AgentguardFirstTokenBurn",
    "AgentguardCircuitOpen",
    "AgentguardStoreUnreachable",
    "AgentguardTelemetryDropped",
    "AgentguardBudgetNearlySpent",
    "AgentguardBudgetRefusing",
    "AgentguardCostAnomaly",
    "AgentguardUnpricedModel",
    "AgentguardCacheCollapse",
    "AgentguardPromptCacheCollapse",
)
"""Names of all alerts. The runbook has a section for each, by this name."""


class Condition(NamedTuple):
    """What is compared with what. The first of an alert gives it its value and labels."""

    left: str
    sign: str
    right: str

    def __str__(self) -> str:
        return f"{self.left} {self.sign} {self.right}"


class Alert(NamedTuple):
    """When somebody is told, and what.

    Attributes:
        name: of the alert; several rules may share one.
        severity: "critical" should wake somebody, "warning" can wait for the morning.
        conditions: that hold together.
        summary: in a few words, for a list or a phone.
        description: with the values, and what it means.
        hold: seconds that the conditions must have held.
        window: that it looks at, where alerts of one name differ in it.
    """

    name: str
    severity: str
    conditions: tuple[Condition, ...]
    summary: str
    description: str
    hold: float = 0
    window: str = ""

    @property
    def expr(self) -> str:
        """Its conditions as one query."""
        return "\nand ".join(map(str, self.conditions))


class Alerting:
    """The alerting rules of a service.

    Args:
        recorded: what Prometheus records of it.
    """

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self._goal = recorded.goal
        self._ask = recorded.ask
        self._soon = recorded.length(HOUR / 12)

    def groups(self) -> dict[str, tuple[Alert, ...]]:
        """All alerting rules, by group."""
        return {
            "objectives": tuple(
                self._burn(each, burn) for each in self.recorded.objectives for burn in BURNS
            ),
            "reliability": tuple(self._reliability()),
            "cost": tuple(self._cost()),
            "caches": tuple(self._caches()),
        }

    def _burn(self, objective: Objective, burn: Burn) -> Alert:
        recorded = self.recorded
        long, short = recorded.length(burn.long), recorded.length(burn.short)
        limit = f"{burn.rate:g} * {objective.allowed:.6g}"
        what = f"{{{{ $value | humanizePercentage }}}} {objective.what}"
        return Alert(
            objective.alert,
            burn.severity,
            (
                Condition(recorded.part(objective.record, long), ">", limit),
                Condition(recorded.part(objective.record, short), ">", limit),
                Condition(objective.seen(long), ">=", f"{self._goal.least:g}"),
            ),
            what,
            f"In the last {long} {what}; {objective.allowed * 100:.6g}% may. It was more than "
            f"{burn.rate:g} times that in the last {short}, too: so fast a month's share is gone in "
            f"{30 * DAY / HOUR / burn.rate:g} hours.",
            window=long,
        )

    def _reliability(self) -> Iterator[Alert]:
        goal, ask, soon = self._goal, self._ask, self._soon
        circuit = ask.now("agentguard_circuit_state", "circuit", function="max")
        yield Alert(
            "AgentguardCircuitOpen",
            "warning",
            (Condition(circuit, ">", "0"),),
            "The circuit of {{ $labels.circuit }} is open",
            "Calls to {{ $labels.circuit }} are refused, or only tried, since "
            f"{self.recorded.length(goal.circuit)} or longer: it kept failing, and trial calls do, "
            "too. Fallbacks answer where there are any.",
            hold=goal.circuit * goal.scale,
        )
        yield Alert(
            "AgentguardStoreUnreachable",
            "warning",
            (Condition(ask.grown("agentguard_store_failures_total", soon, "name"), ">", "0"),),
            "A store of {{ $labels.name }} cannot be reached",
            f"{{{{ $value | humanize }}}} times in the last {soon} a policy of "
            "{{ $labels.name }} could not reach its store. Budgets refuse, caches miss and circuits "
            "count for themselves, unless they were told otherwise.",
        )
        dropped = ask.grown("agentguard_exporter_dropped_total", soon, "exporter")
        yield Alert(
            "AgentguardTelemetryDropped",
            "warning",
            (Condition(dropped, ">", "0"),),
            "{{ $labels.exporter }} drops telemetry",
            f"{{{{ $value | humanize }}}} items for {{{{ $labels.exporter }}}} were dropped in the "
            f"last {soon}: its receiver is slow or away. Calls are not affected.",
        )

    def _cost(self) -> Iterator[Alert]:
        goal, ask, soon = self._goal, self._ask, self._soon
        cost, hour, past = self.recorded.cost, self.recorded.hour, self.recorded.past
        used = ask.now("agentguard_budget_used_ratio", "budget", "unit", function="max")
        yield Alert(
            "AgentguardBudgetNearlySpent",
            "warning",
            (Condition(used, ">=", f"{goal.budget:g}"),),
            "{{ $value | humanizePercentage }} of the budget {{ $labels.budget }} is used",
            "{{ $value | humanizePercentage }} of the {{ $labels.unit }} of the budget "
            "{{ $labels.budget }} is used in its window. When too little is left calls are refused, "
            "or answered as its exceeded= says.",
        )
        refused = ask.increase(REQUESTS, soon, "name", outcome="failed", kind="budget_exceeded")
        yield Alert(
            "AgentguardBudgetRefusing",
            "critical",
            (Condition(refused, ">", "0"),),
            "A budget refuses requests of {{ $labels.name }}",
            "About {{ $value | humanize }} requests of {{ $labels.name }} failed in the last "
            f"{soon} because a budget has too little left.",
        )
        usual = f"{goal.times:g} * quantile_over_time(0.95, {cost}[{past}] offset {hour})"
        yield Alert(
            "AgentguardCostAnomaly",
            "warning",
            (
                Condition(cost, ">", usual),
                Condition(cost, ">=", f"{goal.usd:g}"),
                self._has_past(cost),
            ),
            f"{{{{ $labels.name }}}} cost ${{{{ $value | humanize }}}} in {hour}",
            f"{{{{ $labels.name }}}} cost ${{{{ $value | humanize }}}} in the last {hour}, more "
            f"than {goal.times:g} times what its dearest hours cost in the {past} before.",
        )
        unpriced = ask.grown("agentguard_unpriced_attempts_total", hour, "name", "model")
        yield Alert(
            "AgentguardUnpricedModel",
            "warning",
            (Condition(unpriced, ">", "0"),),
            'No price is known for {{ or $labels.model "a model that cannot be seen" }}',
            f"{{{{ $value | humanize }}}} attempts of {{{{ $labels.name }}}} in the last {hour} "
            "have no known cost: they are missing in costs and in budgets of money.",
        )

    def _caches(self) -> Iterator[Alert]:
        ask, hour = self._ask, self.recorded.hour
        yield self._collapse(
            "AgentguardCacheCollapse",
            self.recorded.hits,
            ask.increase(CACHED, hour, "name", "cache"),
            "The cache {{ $labels.cache }} of {{ $labels.name }} hardly answers any more",
            "The cache {{ $labels.cache }} answered {{ $value | humanizePercentage }} of the "
            "requests of {{ $labels.name }}",
        )
        yield self._collapse(
            "AgentguardPromptCacheCollapse",
            self.recorded.reads,
            ask.increase("agentguard_attempts_total", hour, "name"),
            "Prompts of {{ $labels.name }} are hardly read from the provider's cache any more",
            "The provider's cache held {{ $value | humanizePercentage }} of the prompt tokens of "
            "{{ $labels.name }}",
        )

    def _collapse(self, name: str, part: str, seen: str, summary: str, answered: str) -> Alert:
        goal, hour, past = self._goal, self.recorded.hour, self.recorded.past
        usual = f"avg_over_time({part}[{past}] offset {hour})"
        return Alert(
            name,
            "warning",
            (
                Condition(part, "<", f"{goal.collapse:g} * {usual}"),
                Condition(usual, ">=", f"{goal.cache:g}"),
                Condition(seen, ">=", f"{goal.least:g}"),
                self._has_past(part),
            ),
            summary,
            f"{answered} in the last {hour}, less than {goal.collapse:g} times its average in the "
            f"{past} before. Its keys or the prompts have changed, or it was emptied.",
        )

    def _has_past(self, record: str) -> Condition:
        """It needs a past to be compared with: a seventh of it, a day of a week."""
        first = self.recorded.length(self._goal.history / 7)
        return Condition(
            f"count_over_time({record}[{self.recorded.past}] offset {first})", ">", "0"
        )
