"""Prometheus collectors of every instrument, one set for each registry."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakKeyDictionary

from agentguard.exporters import outbox
from agentguard.exporters.instruments import INSTRUMENTS, MOST, OTHER
from agentguard.exporters.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import CollectorRegistry

    from agentguard.exporters.instruments import Instrument

__all__ = ["Collectors", "collectors"]

_LONGEST: Final = 128  # characters of a label's value
_WAITING: Final = 100_000  # what is counted on the other thread, and waits for it at most

_lock: Final = threading.Lock()
_by_registry: Final[WeakKeyDictionary[CollectorRegistry, Collectors]] = WeakKeyDictionary()


def collectors(registry: CollectorRegistry | None) -> Collectors:
    """The collectors of a registry, made when it is first asked for; None is the default one.

    Raises:
        ImportError: prometheus-client is not installed.
        TypeError: it is no registry.
        ValueError: something else in it has one of our names.
    """
    try:
        from prometheus_client import REGISTRY, CollectorRegistry
    except ImportError as error:
        raise ImportError(
            "metrics() needs prometheus-client: pip install agentguard-decorators"
        ) from error
    if registry is None:
        registry = REGISTRY
    if not isinstance(cast("object", registry), CollectorRegistry):
        raise TypeError(
            "metrics(registry=) takes a prometheus_client.CollectorRegistry(), not "
            f"{type(registry).__name__}"
        )
    with _lock:
        known = _by_registry.get(registry)
        if known is None:
            known = _by_registry[registry] = Collectors(registry)
        return known


class Collectors:
    """Every metric in one registry.

    A label whose values are not listed in its instrument takes `MOST` of them, first come, first
    served; what comes later is counted as `OTHER`, so that the number of series is bounded.

    Attributes:
        later: runs what takes too long for a caller's thread, in order.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._metrics = {each.name: _made(each, registry) for each in INSTRUMENTS}
        self._labels = {each.name: tuple(each.labels.items()) for each in INSTRUMENTS}
        self._known: dict[str, dict[str, None]] = {
            label: {} for each in INSTRUMENTS for label, values in each.labels.items() if not values
        }
        self._children: dict[tuple[str, ...], Any] = {}
        self.later: Outbox[Callable[[], object]] = Outbox("metrics", _do, size=_WAITING)
        outbox.told.add(self)

    def keep(self, label: str, values: Iterable[str]) -> None:
        """Always have room for these values of a label."""
        for value in values:
            self._known[label].setdefault(_readable(value))

    def child(self, *series: str) -> Any:
        """The one series of a metric, given by its name, with these values of its labels.

        Found with one look-up when it was asked for before: prometheus-client's own `labels()`
        takes ten times as long.
        """
        found = self._children.get(series)
        return self._made(series) if found is None else found

    def dropped(self, exporter: str) -> None:
        """Count an item that an outbox dropped."""
        self.child("agentguard_exporter_dropped_total", exporter).inc()

    def _made(self, series: tuple[str, ...]) -> Any:
        # Without a lock: threads that come at once can at worst take a value or two too many.
        name, *given = series
        labels = self._labels[name]
        values = tuple(
            value if listed else self._bounded(label, value)
            for (label, listed), value in zip(labels, given, strict=True)
        )
        child = self._metrics[name].labels(*values)
        if (name, *values) == series:
            self._children[series] = child  # and no other: these are bounded
        return child

    def _bounded(self, label: str, value: str) -> str:
        known, value = self._known[label], _readable(value)
        if value in known:
            return value
        if len(known) >= MOST:
            return OTHER
        known[value] = None
        return value


def _do(work: Callable[[], object]) -> None:
    work()


def _readable(value: str) -> str:
    """A value that can be exported: a lone surrogate would fail every scrape from then on."""
    return str(value)[:_LONGEST].encode("utf-8", "replace").decode("utf-8")


def _made(instrument: Instrument, registry: CollectorRegistry) -> Any:
    from prometheus_client import Counter, Gauge, Histogram

    name, labels = instrument.name, tuple(instrument.labels)
    try:
        if instrument.kind == "counter":
            return Counter(name, instrument.help, labels, registry=registry)
        if instrument.mode is not None:
            return Gauge(
                name, instrument.help, labels, registry=registry, multiprocess_mode=instrument.mode
            )
        return Histogram(
            name, instrument.help, labels, registry=registry, buckets=instrument.buckets
        )
    except ValueError as error:
        raise ValueError(
            f"something else in this registry is called {name}: give metrics() a registry of its "
            "own, metrics(registry=CollectorRegistry()), or rename the other"
        ) from error
