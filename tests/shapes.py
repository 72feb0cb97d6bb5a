"""Write a test of a policy once, and run it in every shape of callable.

    from tests.shapes import Harness, every_shape

    @every_shape
    def test_retry_answers_after_a_failure(harness: Harness) -> None:
        \"\"\"What fails once is tried again, after a pause.\"\"\"
        run = harness.run(retry(attempts=3, wait=wait_fixed(2)), ConnectionError(), "answer")
        assert run.text == "answer"
        assert len(run.calls) == 2
        assert run.slept == [2]

`every_shape`, `unary_shapes` and `stream_shapes` run a test in all shapes, in those that answer at
once, and in those that stream. A script is that of `agentguard.testing.ScriptedModel`: in a unary
shape a list is an answer in one piece, in a streaming shape an object is a stream of one item.

For several calls of one guarded callable, with one state of its policies:

    subject = harness.guard(breaker(fail_max=2), ConnectionError(), ConnectionError(), "never")
    subject.call(); subject.call()
    assert isinstance(subject.call().error, CircuitOpen)

Time is virtual. To move it between calls, put the clock around them yourself:

    with FakeRuntime() as time:
        subject.call()
        time.advance(60)
        subject.call()

Other targets, of the same shape: `backup = harness.target("from the backup")`, then
`fallback(backup)`; `backup.model.calls` is its journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from agentguard import events
from agentguard.engine import clock
from agentguard.engine.call import Call, Outcome
from agentguard.engine.chain import Next, Policy
from agentguard.engine.decorate import guard
from agentguard.engine.records import CallRecord
from agentguard.engine.reply import Reply, observe
from agentguard.engine.scope import Block, Scope
from agentguard.testing import SHAPES, FakeRuntime, ScriptedCall, ScriptedModel

__all__ = [
    "ASYNC",
    "STREAMS",
    "UNARY",
    "Harness",
    "Run",
    "Subject",
    "every_shape",
    "stream_shapes",
    "unary_shapes",
]

UNARY = ("sync", "coroutine", "awaitable")
STREAMS = tuple(shape for shape in SHAPES if shape not in UNARY)
ASYNC = ("coroutine", "awaitable", "asyncgen", "returns_async_stream", "hands_async_stream")

Guards = Policy | guard | Sequence[Policy]


class Run:
    """What one call gave and did.

    Attributes:
        items: what came, in order; of a unary answer this one.
        error: what the call or its stream raised, or None.
        calls: what the model received during this call.
        slept: pauses in seconds, in order.
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
        self.events: list[events.Event] = []
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

    def heard(self, kind: type[events.Event]) -> list[Any]:
        """The events of one class."""
        return [event for event in self.events if isinstance(event, kind)]


class _Outcomes(Policy):
    """Outermost: sees every outcome."""

    name = "outcomes"

    def __init__(self) -> None:
        self.run = Run()

    async def around(self, call: Call, next: Next) -> Reply:
        return await observe(next(call), self.run.outcomes.append)


class _Listen(Block):
    """Hear the events of the calls inside."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def surround(self, outer: Scope) -> Scope:
        return outer.within(listeners=(*outer.listeners, self.run.events.append))


class Subject:
    """One guarded callable on a scripted model.

    Attributes:
        model: the scripted model inside.
        fn: the guarded callable itself.
        shape: the name of its shape.
    """

    def __init__(
        self, shape: str, policies: Sequence[Policy], options: guard, model: ScriptedModel
    ):
        self.shape = shape
        self.model = model
        self._outcomes = _Outcomes()
        around = guard(
            self._outcomes,
            *policies,
            strict_streams=options.options.strict_streams,
            abandon_after=options.options.abandon_after,
        )
        self.fn = around(model.shape(shape))

    def call(self, *args: Any, read: int | None = None, drop: bool = False, **kwargs: Any) -> Run:
        """Call it and read the answer.

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
            stack.enter_context(_Listen(run))
            if self.shape in ASYNC:
                asyncio.run(self._read_async(run, args or ("hi",), kwargs, read, drop=drop))
            else:
                self._read(run, args or ("hi",), kwargs, read, drop=drop)
            run.slept, run.now = time.slept[slept:], time.now
        run.calls = self.model.calls[before:]
        return run

    def _read(
        self, run: Run, args: tuple[Any, ...], kwargs: Any, read: int | None, *, drop: bool
    ) -> None:
        try:
            answer = self.fn(*args, **kwargs)
            if self.shape in UNARY:
                run.items.append(answer)
                return
            if read == 0 and not drop:
                answer.close()
            while read is None or len(run.items) < read:
                run.items.append(next(answer))
        except StopIteration:
            pass
        except BaseException as error:
            run.error = error
        if self.shape not in UNARY and run.error is None and not drop:
            answer.close()

    async def _read_async(
        self, run: Run, args: tuple[Any, ...], kwargs: Any, read: int | None, *, drop: bool
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
            pass
        except BaseException as error:
            run.error = error
        if self.shape not in UNARY and run.error is None and not drop:
            await answer.aclose()


class Harness:
    """Makes and calls guarded callables of one shape.

    Attributes:
        shape: its name, one of `agentguard.testing.SHAPES`.
        is_async: whether its calls need an event loop.
        streams: whether it streams.
    """

    def __init__(self, shape: str) -> None:
        self.shape = shape
        self.is_async = shape in ASYNC
        self.streams = shape in STREAMS

    def __repr__(self) -> str:
        return f"<harness {self.shape}>"

    def run(self, guards: Guards, *script: Any, **options: Any) -> Run:
        """Call a fresh model once under `guards`: one policy, several, or a guard.

        `options` are those of `Subject.call`.
        """
        return self.guard(guards, *script).call(**options)

    def guard(self, guards: Guards, *script: Any, repeat_last: bool = False) -> Subject:
        """A fresh model under `guards`, to be called several times."""
        if isinstance(guards, Policy):
            guards = (guards,)
        options = guards if isinstance(guards, guard) else guard(Policy())
        policies = guards.policies if isinstance(guards, guard) else guards
        model = ScriptedModel(*script, repeat_last=repeat_last)
        return Subject(self.shape, policies, options, model)

    def target(self, *script: Any, repeat_last: bool = False, name: str = "backup") -> Any:
        """Another callable of this shape, for `fallback`; its `model` is the scripted model."""
        model = ScriptedModel(*script, repeat_last=repeat_last, name=name)
        fn = model.shape(self.shape)
        fn.model = model  # type: ignore[attr-defined]
        return fn

    def wait_for(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run a coroutine function of the test's own under virtual time."""
        with FakeRuntime():
            return asyncio.run(make())


def _in(shapes: Sequence[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("harness", [Harness(shape) for shape in shapes], ids=shapes)


every_shape = _in(SHAPES)
unary_shapes = _in(UNARY)
stream_shapes = _in(STREAMS)
