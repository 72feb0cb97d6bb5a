"""A receiver and an exporter that sends to it, as most tests of LangSmith have them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from langsmith import Client

import agentguard as ag
from agentguard.exporters.langsmith import LangSmith
from tests.exporters.langsmith_receiver import Receiver, receiving

Way = Literal["multipart", "zstd", "batch", "single"]
WAYS: tuple[Way, ...] = ("multipart", "zstd", "batch", "single")


class Traced:
    """What is traced, and what arrived of it.

    Attributes:
        receiver: that it is sent to.
        client: of LangSmith's.
        to: the exporter.
    """

    def __init__(self, receiver: Receiver, client: Any, **settings: Any) -> None:
        self.receiver = receiver
        self.client = client
        self.to = LangSmith(client, **settings)

    @property
    def policy(self) -> Any:
        """A `trace` that sends there."""
        return ag.trace(self.to)

    def runs(self) -> list[dict[str, Any]]:
        """All that was sent, in the order in which it began, each whole and in its place."""
        assert ag.flush(30)
        self.receiver.tree_is_whole()
        assert self.to.dropped == 0
        return sorted(self.receiver.runs.values(), key=lambda run: str(run["dotted_order"]))


def metadata(run: dict[str, Any]) -> dict[str, Any]:
    """What a run says beside its content, without what every client adds."""
    told: dict[str, Any] = run["extra"]["metadata"]
    return {
        name: value
        for name, value in told.items()
        if name != "revision_id" and not name.startswith("LANGSMITH_")
    }


def client_of(url: str, way: Way = "multipart", **settings: Any) -> Client:
    """A client that tells the receiver in this way."""
    settings = {"api_key": "lsv2_pt_" + "0f" * 18, "timeout_ms": 2000, **settings}
    return Client(url, auto_batch_tracing=way != "single", **settings)


@contextmanager
def traced(way: Way = "multipart", **settings: Any) -> Iterator[Traced]:
    """What a test needs; its client is closed, and its threads end."""
    with receiving("multipart" if way == "single" else way) as receiver:
        client = client_of(receiver.url, way)
        found = Traced(receiver, client, **settings)
        yield found
        receiver.gate.set()
        client.cleanup(1)
        found.to.outbox.forget()  # else the next flush would wait for what is left
