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
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from agentguard import Policy, guard
from agentguard.testing import SHAPES, FakeRuntime, ScriptedModel
from agentguard.testing.subject import ASYNC, STREAMS, UNARY, Run, Subject

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

Guards = Policy | guard | Sequence[Policy]


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
        options: dict[str, Any] = {}
        if isinstance(guards, guard):
            options["strict_streams"] = guards.options.strict_streams
            options["abandon_after"] = guards.options.abandon_after
            options["on_blind"] = guards.options.on_blind
            guards = guards.policies
        policies = (guards,) if isinstance(guards, Policy) else guards
        model = ScriptedModel(*script, repeat_last=repeat_last)
        return Subject(self.shape, policies, model, **options)

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
