"""The histograms of OpenTelemetry's conventions for generative AI, where a MeterProvider is set."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentguard.exporters.gen_ai import first_chunk

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, MeterProvider

    from agentguard.engine.records import AttemptRecord
    from agentguard.exporters.opentelemetry_call import AttemptSpan

__all__ = ["Instruments"]

_SECONDS: Final = tuple(0.01 * 2**power for power in range(14))
"""0.01 to 81.92 s."""

_TOKENS: Final = tuple(4.0**power for power in range(14))
"""1 to 67,108,864."""


class _Histogram(NamedTuple):
    name: str
    unit: str
    description: str
    buckets: tuple[float, ...]


_ALL: Final = (
    _Histogram(
        "gen_ai.client.operation.duration",
        "s",
        "Seconds that a request to a model took, of a stream to its last item.",
        _SECONDS,
    ),
    _Histogram("gen_ai.client.token.usage", "{token}", "Input and output tokens.", _TOKENS),
    _Histogram(
        "gen_ai.client.operation.time_to_first_chunk",
        "s",
        "Seconds to the first content of a stream.",
        _SECONDS,
    ),
)


class Instruments:
    """Measures attempts.

    Args:
        provider: of meters; by default the one that is set for the process.
    """

    def __init__(self, provider: MeterProvider | None = None) -> None:
        self._given = provider
        self._made: tuple[Histogram, ...] | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is a provider that does something with measurements."""
        return self._given is not None or _set() is not None

    def measure(self, known: AttemptSpan, record: AttemptRecord) -> None:
        """Count an attempt that has ended, if it asked a provider itself."""
        asked, bill = known.asked, record.bill
        if asked is None or bill is None or not bill.counted:
            return
        told: dict[str, Any] = {**asked.attributes}
        if record.model is not None:
            told["gen_ai.response.model"] = record.model
        ended = {**told}
        if record.outcome == "failed":
            ended["error.type"] = record.error or record.kind or "_OTHER"
        duration, tokens, chunk = self._histograms()
        seconds = record.started + (record.duration or 0.0) - known.began
        duration.record(max(0.0, seconds), ended, known.context)
        used = None if bill.estimated else bill.usage
        if used is not None:
            for kind, count in (("input", used.input_tokens), ("output", used.output_tokens)):
                tokens.record(count, {**told, "gen_ai.token.type": kind}, known.context)
        first = first_chunk(record, known.began)
        if first is not None:
            chunk.record(first, told, known.context)

    def flush(self, milliseconds: int) -> Any:
        """Have the provider send what was measured."""
        provider = self._given or _set()
        force = getattr(provider, "force_flush", None)
        return None if force is None else force(milliseconds)

    def _histograms(self) -> tuple[Histogram, ...]:
        if self._made is None:
            from opentelemetry import metrics

            from agentguard import __version__
            from agentguard.exporters.opentelemetry import SCHEMA

            meter = metrics.get_meter("agentguard", __version__, self._given, SCHEMA)
            self._made = tuple(
                meter.create_histogram(
                    each.name,
                    each.unit,
                    each.description,
                    explicit_bucket_boundaries_advisory=each.buckets,
                )
                for each in _ALL
            )
        return self._made


def _set() -> MeterProvider | None:
    """The process's provider; None while there is only the API's own, which does nothing."""
    metrics = sys.modules.get("opentelemetry.metrics")
    provider = None if metrics is None else metrics.get_meter_provider()
    own = type(provider).__module__.startswith("opentelemetry.metrics")
    return None if own else provider
