"""`metrics`: every call, attempt, token and dollar, counted for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, cast

from agentguard.engine.arguments import label, told
from agentguard.engine.chain import Policy
from agentguard.engine.spelling import Bare
from agentguard.exporters.counting import OF_REQUESTS, OF_WHAT_HAPPENS, Counting
from agentguard.exporters.instruments import MOST
from agentguard.exporters.prometheus import collectors
from agentguard.tokens import prices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prometheus_client import CollectorRegistry

    from agentguard import events
    from agentguard.engine.records import CallRecord
    from agentguard.exporters.counting import Counted

__all__ = ["Metrics", "metrics"]

_MOST: Final = 64  # combinations of policies that are remembered: blocks make new ones each time


class Metrics(Policy):
    """Count every call, attempt, token and dollar for Prometheus.

    Protects from learning of outages, slowness and spend from users and invoices.

    What is counted stands in the table of its page, names, labels and buckets included. An attempt
    is counted once, by the innermost `metrics` around it, however deep guards nest; a stream at its
    end. A request is counted by every `metrics` around it, but a request made inside another of
    the same name is part of that.

    No label holds a prompt, an answer, a user, a tenant or another tag, and the values that a label
    can have are bounded: of models and targets by the lists given here, else the first 50 are told
    apart and later ones are counted as "other".

    Args:
        name: the label `name` of everything that it counts, as in "support": guards of one name
            share their series. By default the name of the guarded callable.
        registry: a `prometheus_client.CollectorRegistry`; prometheus-client's default one when None.
            Where PROMETHEUS_MULTIPROC_DIR is set, all processes are counted together.
        models: to tell apart, by the name that is asked for. All others are "other".
        targets: to tell apart, by the name of the callable. All others are "other".

    Raises:
        ImportError: prometheus-client is not installed.
        ValueError: another metric in the registry has the name of one of these.

    Events:
        None of its own: it hears those of all others.

    Examples:
        >>> import agentguard as ag
        >>> from prometheus_client import CollectorRegistry
        >>> registry = CollectorRegistry()
        >>> @ag.guard(ag.metrics("support", registry=registry), ag.retry())
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> ask("?")
        '42'
        >>> ended = {"name": "support", "outcome": "completed", "kind": ""}
        >>> registry.get_sample_value("agentguard_requests_total", ended)
        1.0
    """

    name: ClassVar[str] = "metrics"
    innermost: ClassVar[bool] = True
    spellings: ClassVar[Mapping[str, str]] = {
        "": 'metrics("support")',
        "buckets": "nothing: the buckets are those of OpenTelemetry, see docs/policies/metrics.md",
        "labels": "nothing: what calls are for, such as users, is no label; see usage().by(...)",
        "labelnames": "nothing: what calls are for, such as users, is no label; see usage().by(...)",
        "namespace": "name=",
        "prefix": "name=",
        "port": "prometheus_client.start_http_server(port) beside it",
        "collector_registry": "registry=",
    }

    def __init__(
        self,
        name: str | None = None,
        *,
        registry: CollectorRegistry | None = None,
        models: Iterable[str] | None = None,
        targets: Iterable[str] | None = None,
    ) -> None:
        label("metrics", "name", name)
        self.label = name
        self.models = _listed("models", models)
        self.targets = _listed("targets", targets)
        self.to = collectors(registry)
        self.to.keep("name", () if name is None else (name,))
        self._counting = Counting(self.to, self.models, self.targets)
        self._own_registry = registry is not None
        self._parts: dict[int, _Part] = {}  # by the id of a call's policies
        prices.load()  # else the first call would, on its caller's event loop

    def hear(self, event: events.Event) -> None:
        """Count it."""
        call = request = event.call
        part = self._parts.get(id(call.policies)) or self._part(call.policies)
        while not part.surrounded and request.parent is not None:
            request = request.parent
            part = self._parts.get(id(request.policies)) or self._part(request.policies)
        count = part.counted.get(type(event))
        if count is None:
            return
        if call.parent is None or type(event) not in OF_REQUESTS or self._begins(call, request):
            count(self._counting, event, self.label or request.name)

    def _part(self, policies: tuple[Policy, ...]) -> _Part:
        ours = [each for each in policies if isinstance(each, Metrics)]
        further_in = ours
        while self in further_in:
            further_in = further_in[further_in.index(self) + 1 :]
        counted: Counted = {}
        if self in ours and not any(each.shares(self) for each in further_in):
            counted = {**OF_REQUESTS}
        if not further_in:
            counted = {**counted, **OF_WHAT_HAPPENS}
        part = _Part(policies, bool(ours), counted)
        if len(self._parts) >= _MOST:
            self._parts.clear()
        self._parts[id(policies)] = part
        return part

    def shares(self, other: Metrics) -> bool:
        """Whether both count into the same series."""
        return self.to is other.to and self.label == other.label

    def _begins(self, call: CallRecord, request: CallRecord) -> bool:
        """Whether the call is a request, and no part of one that is counted under the same name."""
        name, above = self.label or call.name, call.parent
        while above is not None:
            ours = (each for each in above.policies if isinstance(each, Metrics))
            if any(each.to is self.to and (each.label or above.name) == name for each in ours):
                return False
            above = above.parent
        return request is call

    def explain(self) -> Sequence[tuple[str, object]]:
        """Its name, where it counts, and what it tells apart."""
        return [
            ("label", self.label or "that of the callable"),
            ("registry", "given" if self._own_registry else "prometheus-client's own"),
            ("models", _shown(self.models)),
            ("targets", _shown(self.targets)),
        ]


class _Part(NamedTuple):
    """What is counted here of a call with these policies: itself, what happens in it, or both.

    It holds the policies, so that the id under which it is kept stays theirs. `surrounded`: there
    is a `metrics` among them; where there is none, the call is part of one further out.
    """

    policies: tuple[Policy, ...]
    surrounded: bool
    counted: Counted


def _listed(name: str, given: object) -> frozenset[str] | None:
    if given is None:
        return None
    listed = [given] if isinstance(given, str) else given
    if isinstance(given, str) or not isinstance(listed, (list, tuple, set, frozenset)):
        raise TypeError(f'metrics({name}=) is a list of names, as in ["a", "b"], not {told(given)}')
    for each in cast("Iterable[object]", listed):
        if not isinstance(each, str):
            raise TypeError(f"metrics({name}=) is a list of names: {told(each)} is none")
    return frozenset(cast("Iterable[str]", listed))


def _shown(listed: frozenset[str] | None) -> object:
    return f"the first {MOST}" if listed is None else sorted(listed)


metrics = Bare(Metrics)
