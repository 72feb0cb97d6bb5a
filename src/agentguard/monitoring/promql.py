"""Queries that are built of the metrics' definition: what it does not have cannot be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentguard.exporters.instruments import INSTRUMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentguard.exporters.instruments import Instrument

    Where = str | tuple[str, ...]

__all__ = ["Queries", "length", "ratio"]

_NAMED: Final = {each.name: each for each in INSTRUMENTS}
_OWN: Final = {label for each in INSTRUMENTS for label in each.labels}
_SIGNS: Final = {
    (False, False): "=",
    (False, True): "=~",
    (True, False): "!=",
    (True, True): "!~",
}
_UNITS: Final = (
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
)


class Queries:
    """Queries of one dashboard or file of rules.

    Args:
        targets: labels that Prometheus adds to what it scrapes, and that results keep apart.
        variables: labels that a dashboard's variables of the same names choose by.

    Examples:
        >>> Queries(targets=("job",)).rate("agentguard_retries_total", "5m", "name")
        'sum by (job, name) (rate(agentguard_retries_total[5m]))'
    """

    def __init__(self, *, targets: tuple[str, ...] = (), variables: tuple[str, ...] = ()) -> None:
        self.targets = targets
        self.variables = variables

    def series(self, metric: str, /, **where: Where) -> str:
        """The series of a counter or gauge.

        Args:
            metric: its name.
            **where: by label: the value, or several; those after a "!" are the ones left out.

        Raises:
            LookupError: the definition has no such metric, label or value.
        """
        return self._series(metric, "", where)

    def recorded(self, record: str) -> str:
        """The series that a rule records."""
        return f"{record}{{{', '.join(_chosen(self.variables))}}}"

    def rate(self, metric: str, window: str, /, *by: str, **where: Where) -> str:
        """What is added to a counter in a second, on average over `window`."""
        return self._sum("rate", metric, window, by, where)

    def increase(self, metric: str, window: str, /, *by: str, **where: Where) -> str:
        """What was added to a counter in `window`; to a histogram: how often it observed."""
        return self._sum("increase", metric, window, by, where)

    def grown(self, metric: str, window: str, /, *by: str, **where: Where) -> str:
        """What was added to a counter in `window`, that with which it began included.

        An increase begins at the second time that Prometheus sees a series, and so misses what
        happens once.
        """
        found = self.series(metric, **where)
        grown = f"increase({found}[{window}]) > 0 or {found} unless {found} offset {window}"
        return f"sum{self._by(metric, by)} ({grown})"

    def now(self, metric: str, /, *by: str, function: str = "sum", **where: Where) -> str:
        """What gauges say, all instances together: their sum, or what `function` makes of them."""
        if _NAMED[metric].kind != "gauge":
            raise LookupError(f"{metric} only grows: ask for its rate or increase")
        return f"{function}{self._by(metric, by)} ({self.series(metric, **where)})"

    def quantile(self, part: float, metric: str, window: str, /, *by: str, **where: Where) -> str:
        """The value below which this part of a histogram's observations lies."""
        observed = self._sum("rate", metric, window, ("le", *by), where, "_bucket")
        return f"histogram_quantile({part}, {observed})"

    def above(self, bound: float, metric: str, window: str, /, *by: str, **where: Where) -> str:
        """The part of a histogram's observations above one of its buckets' bounds."""
        bounds = _NAMED[metric].buckets
        if bound not in bounds:
            raise LookupError(
                f"{metric} cannot tell what is above {bound:g}; it can of "
                f"{', '.join(f'{each:g}' for each in bounds)}"
            )
        within = {**where, "le": str(float(bound))}
        part = self._sum("rate", metric, window, by, within, "_bucket")
        return f"1 - {ratio(part, self._sum('rate', metric, window, by, where))}"

    def _series(self, metric: str, part: str, where: Mapping[str, Where]) -> str:
        instrument = _NAMED[metric]
        if bool(part) != (instrument.kind == "histogram"):
            raise LookupError(f"{metric} is a {instrument.kind}: it has no series {metric}{part}")
        added = (each for each in self.variables if each in instrument.labels or each not in _OWN)
        matchers = _chosen(added)
        matchers += [_matcher(instrument, label, value) for label, value in where.items()]
        return f"{metric}{part}{{{', '.join(matchers)}}}" if matchers else f"{metric}{part}"

    def _sum(
        self,
        function: str,
        metric: str,
        window: str,
        by: tuple[str, ...],
        where: Mapping[str, Where],
        part: str = "",
    ) -> str:
        kind = _NAMED[metric].kind
        if kind == "gauge":
            raise LookupError(f"{metric} goes up and down: it has no rate")
        chosen = self._series(metric, part or ("_count" if kind == "histogram" else ""), where)
        return f"sum{self._by(metric, by)} ({function}({chosen}[{window}]))"

    def _by(self, metric: str, by: tuple[str, ...]) -> str:
        for label in by:
            if label not in _NAMED[metric].labels and label != "le":
                raise LookupError(f"{metric} has no label {label}")
        kept = (*self.targets, *by)
        return f" by ({', '.join(kept)})" if kept else ""


def _chosen(variables: Iterable[str]) -> list[str]:
    return [f'{each}=~"${each}"' for each in variables]


def _matcher(instrument: Instrument, label: str, value: Where) -> str:
    values = (value,) if isinstance(value, str) else value
    negated = values[0] == "!"
    values = values[negated:]
    if label != "le":
        known = instrument.labels[label]
        strange = [each for each in values if known is not None and each not in known]
        if strange:
            raise LookupError(f"{instrument.name} has no {label} {strange[0]!r}")
    sign = _SIGNS[negated, len(values) > 1]
    return f'{label}{sign}"{"|".join(values)}"'


def ratio(part: str, whole: str) -> str:
    """A part of a whole; 0 where the part was never seen, nothing where there is no whole."""
    return f"({part}\nor {whole} * 0)\n/ ({whole} > 0)"


def length(seconds: float) -> str:
    """A length of time as Prometheus writes it.

    Examples:
        >>> length(3600), length(5400), length(0.25)
        ('1h', '90m', '250ms')
    """
    milliseconds = round(seconds * 1000)
    for name, size in _UNITS:
        if milliseconds >= size and milliseconds % size == 0:
            return f"{milliseconds // size}{name}"
    return f"{milliseconds}ms"
