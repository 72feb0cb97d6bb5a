"""What happened in one guarded call, kept only while somebody listens.

The engine fills these in; `report()` shows them, exporters read them from the events.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Literal

from agentguard.engine import clock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from agentguard.engine.arrivals import Arrivals
    from agentguard.engine.bill import Bill, Figures
    from agentguard.engine.chain import Policy
    from agentguard.errors import Kind
    from agentguard.events import Event
    from agentguard.providers.usage import Usage

__all__ = ["AttemptRecord", "CallRecord", "Ending"]

Ending = Literal["running", "completed", "failed", "abandoned"]

_lock: Final = threading.RLock()


class AttemptRecord:
    """One invocation of one target.

    Attributes:
        target: the name of what was called.
        number: 1 for the first try of this target's chain, 2 for its first retry ...
        outcome: "running", "completed", "failed" or "abandoned" (cancelled, or nobody read on).
        kind: of the failure, or None.
        error: the name of the exception's class, or None.
        status: the HTTP status of a failure, where there was an answer.
        request_id: the provider's id of the request, where it told one.
        wait: seconds waited before it.
        started: monotonic seconds.
        duration: seconds, to the end of a stream; None while running.
        first_token: seconds to the first content; for a unary answer its duration.
        asked: the model that was asked for, where it can be seen.
        provider: "openai", "anthropic" ..., where it can be seen.
        model: that the provider says it served.
        streamed: whether its answer is a stream; known once the stream is there.
        arrivals: when the items of a stream came, while a `report` is around; else None.
        bill: what it used and cost; None while running.
    """

    __slots__ = (
        "arrivals",
        "asked",
        "bill",
        "duration",
        "error",
        "first_token",
        "kind",
        "model",
        "number",
        "outcome",
        "provider",
        "request_id",
        "started",
        "status",
        "streamed",
        "target",
        "wait",
    )

    def __init__(self, target: str, number: int, wait: float, started: float) -> None:
        self.target = target
        self.number = number
        self.wait = wait
        self.started = started
        self.outcome: Ending = "running"
        self.kind: Kind | None = None
        self.error: str | None = None
        self.status: int | None = None
        self.request_id: str | None = None
        self.duration: float | None = None
        self.first_token: float | None = None
        self.asked: str | None = None
        self.provider: str | None = None
        self.model: str | None = None
        self.streamed = False
        self.arrivals: Arrivals | None = None
        self.bill: Bill | None = None

    @property
    def usage(self) -> Usage | None:
        """Its tokens, `estimated` or told by the provider; None where neither is possible.

        Those that guarded calls made inside have used are theirs.
        """
        return None if self.bill is None else self.bill.usage

    @property
    def estimated(self) -> bool:
        """Whether `usage` is an estimate: the answer was cut, or came without figures."""
        return self.bill is not None and self.bill.estimated

    @property
    def cost(self) -> Decimal | None:
        """US dollars; None where that is not known."""
        return None if self.bill is None else self.bill.cost

    def __repr__(self) -> str:
        return f"<attempt {self.number} of {self.target}: {self.kind or self.outcome}>"


class CallRecord:
    """One guarded call: its attempts, what policies did, and the guarded calls made inside it.

    Attributes:
        name: of the guarded callable.
        outcome: "running", "completed", "failed" or "abandoned".
        kind: of the failure that came out of the call, or None.
        error: the name of its class, or None.
        served_by: the name of the target whose answer was returned, or None.
        model: that served, where the provider says so.
        started: monotonic seconds.
        duration: seconds, to the end of a stream; None while running.
        first_token: seconds from the call to the first content of the answer returned.
        streamed: whether the answer returned is a stream; known once it is there.
        attempts: in the order they began.
        children: guarded calls made inside an attempt of this one.
        events: what policies said, in order.
        tags: the context it was called in.
        parent: the call this one was made inside, or None.
        inside: the attempt of it that this one was made inside, or None.
        policies: that stand around it, outermost first.
        trace: the id of the trace that it is part of, in hexadecimal, while `trace` is around.
        span: the id of its span there.
        run: the id of its run in LangSmith, where `trace` sends it there.
    """

    __slots__ = (
        "_behind",
        "_id",
        "attempts",
        "children",
        "duration",
        "error",
        "events",
        "first_token",
        "inside",
        "kind",
        "model",
        "name",
        "outcome",
        "parent",
        "policies",
        "run",
        "served_by",
        "span",
        "started",
        "streamed",
        "tags",
        "trace",
    )

    def __init__(
        self,
        name: str,
        started: float,
        tags: Mapping[str, object],
        parent: CallRecord | None,
        policies: tuple[Policy, ...] = (),
    ) -> None:
        self.name = name
        self.policies = policies
        self._behind: float | None = None
        self._id: str | None = None
        self.trace: str | None = None
        self.span: str | None = None
        self.run: str | None = None
        self.started = started
        self.tags = tags
        self.parent = parent
        self.inside: AttemptRecord | None = None
        self.outcome: Ending = "running"
        self.kind: Kind | None = None
        self.error: str | None = None
        self.served_by: str | None = None
        self.model: str | None = None
        self.duration: float | None = None
        self.first_token: float | None = None
        self.streamed = False
        self.attempts: list[AttemptRecord] = []
        self.children: list[CallRecord] = []
        self.events: list[Event] = []
        if parent is not None:
            parent.children.append(self)

    @property
    def id(self) -> str:
        """Thirteen hexadecimal digits, by chance, that tell it from other calls."""
        return self._id or self._named()

    def _named(self) -> str:
        with _lock:  # whoever asks first decides for all
            if self._id is None:
                self._id = f"{int(clock.now().random() * 2**52):013x}"
            return self._id

    def wall(self, moment: float) -> float:
        """A moment of monotonic seconds as seconds since the epoch.

        Told by one difference for all calls of a tree, so that each lies inside the one around it.

        Args:
            moment: such as `started`.
        """
        if self._behind is None:
            with _lock:  # whoever asks first decides for all
                if self._behind is None:
                    now, above = clock.now(), self.parent
                    here = now.time() - now.monotonic()
                    self._behind = here if above is None else above.wall(0.0)
        return self._behind + moment

    @property
    def figures(self) -> Figures:
        """What its attempts used and cost so far, and those of the calls made inside it."""
        from agentguard.engine.bill import Figures

        return Figures.of([self])

    @property
    def usage(self) -> Usage | None:
        """The tokens of its `figures`; None where nothing is known."""
        figures = self.figures
        return figures.usage if figures.total_tokens else None

    @property
    def cost(self) -> Decimal | None:
        """US dollars for all of its `figures` that has a price; None where nothing has."""
        return self.figures.cost

    def __repr__(self) -> str:
        return f"<call {self.name}: {self.kind or self.outcome}, {len(self.attempts)} attempts>"
