"""A guarded callable under test: what one call of it gave and did, whatever its shape."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine import clock
from agentguard.engine.chain import Policy
from agentguard.engine.guard import guard
from agentguard.engine.loop import held
from agentguard.engine.reply import observe
from agentguard.engine.scope import Block
from agentguard.engine.streams import settle_lost
from agentguard.testing.clock import FakeRuntime
from agentguard.testing.model import SHAPES, ScriptedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from agentguard.engine.call import Call, Outcome
    from agentguard.engine.chain import Next
    from agentguard.engine.records import CallRecord
    from agentguard.engine.reply import Reply
    from agentguard.engine.scope import Scope
    from agentguard.events import Event, Listener
    from agentguard.testing.model import ScriptedCall

__all__ = ["ASYNC", "STREAMS", "UNARY", "Listening", "Run", "Subject"]

UNARY: Final = ("sync", "coroutine", "awaitable")
STREAMS: Final = tuple(shape for shape in SHAPES if shape not in UNARY)
ASYNC: Final = (
    "coroutine",
    "awaitable",
    "asyncgen",
    "returns_async_stream",
    "hands_async_stream",
)

_ROUNDS: Final = 100  # of the event loop, for clean-up that outlives the call


class Run:
    """What one call gave and did.

    Attributes:
        items: what came, in order; of a unary answer this one.
        error: what the call or its stream raised, or None.
        calls: what the model received during this call.
        slept: the pauses, in seconds, in order.
        outcomes: how the call ended as `observe` outermost sees it: one, once its stream is over.
        events: what its listeners heard.
        now: virtual seconds when it was over.
    """

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.error: BaseException | None = None
        self.calls: list[ScriptedCall] = []
        self.slept: list[float] = []
        self.outcomes: list[Outcome] = []
        self.events: list[Event] = []
        self.now = 0.0

    def __repr__(self) -> str:
        return f"<run: {self.items!r}, {self.error!r}, {len(self.calls)} calls, {self.outcome}>"

    @property
    def text(self) -> str:
        """The answer's text; raises what the call raised."""
        if self.error is not None:
            raise self.error
        return "".join(self.items)

    @property
    def value(self) -> Any:
        """The one item of the answer; raises what the call raised."""
        if self.error is not None:
            raise self.error
        (only,) = self.items
        return only

    @property
    def outcome(self) -> str:
        """The kind of the one outcome."""
        return ", ".join(outcome.kind for outcome in self.outcomes)

    @property
    def record(self) -> CallRecord:
        """The record that its listeners were given."""
        return self.events[0].call

    @property
    def attempts(self) -> list[tuple[str, str, str | None]]:
        """Each attempt's target, outcome and kind of failure."""
        return [(each.target, each.outcome, each.kind) for each in self.record.attempts]

    def heard(self, kind: type[Event]) -> list[Any]:
        """The events of one class."""
        return [event for event in self.events if isinstance(event, kind)]


class _Outcomes(Policy):
    """Outermost: sees every outcome."""

    name = "outcomes"

    def __init__(self) -> None:
        self.run = Run()

    async def around(self, call: Call, next: Next) -> Reply:
        return await observe(next(call), self.run.outcomes.append)


class Listening(Block):
    """Pass the events of the calls inside to a listener."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def surround(self, outer: Scope) -> Scope:
        """Add the listener."""
        return outer.within(listeners=(*outer.listeners, self.listener))


class Subject:
    """One guarded callable on a scripted model, called in whatever way its shape asks for.

    Args:
        shape: one of `SHAPES`.
        policies: outermost first.
        model: what it calls.
        blocks: entered around every call.
        **options: of the guard.

    Attributes:
        fn: the guarded callable itself.
    """

    def __init__(
        self,
        shape: str,
        policies: Iterable[Policy],
        model: ScriptedModel,
        blocks: Sequence[contextlib.AbstractContextManager[Any]] = (),
        **options: Any,
    ) -> None:
        self.shape = shape
        self.model = model
        self._outcomes = _Outcomes()
        self._blocks = blocks
        self.fn: Callable[..., Any] = guard(self._outcomes, *policies, **options)(
            model.shape(shape)
        )

    def call(self, *args: Any, read: int | None = None, drop: bool = False, **kwargs: Any) -> Run:
        """Call it and read the answer, in virtual time.

        Args:
            *args: for the callable; ("hi",) if none are given.
            read: of a stream, how many items to read before it is closed; None for all.
            drop: let go of the stream after `read` items without closing it.
            **kwargs: for the callable.
        """
        run = self._outcomes.run = Run()
        before = len(self.model.calls)
        with contextlib.ExitStack() as stack:
            time = clock.now()
            if not isinstance(time, FakeRuntime):
                time = stack.enter_context(FakeRuntime())
            slept = len(time.slept)
            stack.enter_context(Listening(run.events.append))
            for block in self._blocks:
                stack.enter_context(block)
            self._make(run, args or ("hi",), kwargs, read, drop=drop)
            run.slept, run.now = time.slept[slept:], time.now
        run.calls = self.model.calls[before:]
        return run

    def _make(
        self,
        run: Run,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        read: int | None,
        *,
        drop: bool,
    ) -> None:
        if self.shape in ASYNC:
            import asyncio

            asyncio.run(self._call_async(run, args, kwargs, read, drop=drop))
        else:
            self._call(run, args, kwargs, read, drop=drop)
            settle_lost()

    def _call(
        self,
        run: Run,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        read: int | None,
        *,
        drop: bool,
    ) -> None:
        try:
            answer = self.fn(*args, **kwargs)
            if self.shape in UNARY:
                run.items.append(answer)
                return
            while read is None or len(run.items) < read:
                run.items.append(next(answer))
        except StopIteration as stop:
            if self.shape in UNARY:
                run.error = stop
        except BaseException as error:
            run.error = error
        else:
            if not drop:
                answer.close()

    async def _call_async(
        self,
        run: Run,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        read: int | None,
        *,
        drop: bool,
    ) -> None:
        import asyncio

        await self._read_async(run, args, kwargs, read, drop=drop)
        settle_lost()
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
            if not held:
                return

    async def _read_async(
        self,
        run: Run,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        read: int | None,
        *,
        drop: bool,
    ) -> None:
        try:
            answer = self.fn(*args, **kwargs)
            if inspect.isawaitable(answer):
                answer = await answer
            if self.shape in UNARY:
                run.items.append(answer)
                return
            while read is None or len(run.items) < read:
                run.items.append(await anext(answer))
        except StopAsyncIteration:
            return
        except BaseException as error:
            run.error = error
        else:
            if not drop:
                await answer.aclose()
