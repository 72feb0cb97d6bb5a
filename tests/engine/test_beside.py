from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from agentguard import Call, Next, Policy, Reply, errors, guard, timeout
from agentguard.engine.beside import beside
from agentguard.engine.runtime import Runtime
from agentguard.testing import FakeRuntime, ScriptedModel, Stall, cancel_everywhere
from tests.shapes import ASYNC, Harness, every_shape

async_shapes = pytest.mark.parametrize("harness", [Harness(shape) for shape in ASYNC], ids=ASYNC)
CANCELLABLE = ("coroutine", "asyncgen", "returns_async_stream")  # async before they are called


class Checked(Policy):
    """Runs a check beside the call that takes a while and finds something or nothing."""

    def __init__(self, found: object = "", seconds: float = 0.0) -> None:
        self.found = found
        self.seconds = seconds
        self.ended: list[str] = []
        self.replies: list[Reply | None] = []

    async def around(self, call: Call, next: Next) -> Reply:
        """Refuse for what was found."""
        reply, found = await beside(call, next, self.look, bool)
        self.replies.append(reply)
        if found:
            raise errors.InputRejected("found")
        assert reply is not None
        return reply

    async def look(self, runtime: Runtime) -> Any:
        """Take a while, and find what there is to find."""
        try:
            await runtime.sleep(self.seconds)
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("looked")
        if isinstance(self.found, BaseException):
            raise self.found
        return self.found


@async_shapes
@pytest.mark.parametrize("seconds", [0, 2, 9], ids=["at_once", "meanwhile", "afterwards"])
def test_an_answer_is_handed_on_when_the_check_has_passed(harness: Harness, seconds: float) -> None:
    """Call and check take as long as the longer of the two."""
    policy = Checked(seconds=seconds)
    run = harness.run(policy, [Stall(5), "answer"])
    assert run.text == "answer"
    assert run.now == max(5, seconds)
    assert policy.ended == ["looked"]


@async_shapes
@pytest.mark.parametrize("seconds", [0, 2, 9], ids=["at_once", "meanwhile", "afterwards"])
def test_what_the_check_finds_ends_the_call(harness: Harness, seconds: float) -> None:
    """An async call is cancelled; what another one brings is let go of."""
    policy = Checked("bad", seconds)
    run = harness.run(policy, [Stall(5), "answer", "more"])
    assert isinstance(run.error, errors.InputRejected)
    assert run.items == []
    assert policy.replies == [None]
    assert run.now == (seconds if harness.shape in CANCELLABLE else max(5, seconds))


@async_shapes
def test_a_stream_that_is_refused_is_closed(harness: Harness) -> None:
    """Each stream that was opened has ended or was closed once."""
    subject = harness.guard(Checked("bad", 3), ["some", Stall(9), "more"])
    assert isinstance(subject.call().error, errors.InputRejected)
    model = subject.model
    assert model.opened == model.ended + model.closed


@async_shapes
@pytest.mark.parametrize("seconds", [0, 9], ids=["before", "after"])
def test_an_error_of_the_check_comes_out(harness: Harness, seconds: float) -> None:
    """It ends the call as a finding does."""
    run = harness.run(Checked(KeyError("check"), seconds), [Stall(5), "answer"])
    assert isinstance(run.error, KeyError)


@async_shapes
@pytest.mark.parametrize("seconds", [0, 9], ids=["before", "after"])
def test_an_error_of_the_call_comes_out_when_the_check_has_passed(
    harness: Harness, seconds: float
) -> None:
    """The check is not left behind."""
    policy = Checked(seconds=seconds)
    run = harness.run(policy, [Stall(5), ConnectionError("reset")])
    assert isinstance(run.error, ConnectionError)
    assert policy.ended == ["looked"]


@async_shapes
def test_what_is_found_comes_before_an_error_of_the_call(harness: Harness) -> None:
    """A request that is refused is refused whether or not the provider was up."""
    run = harness.run(Checked("bad", 9), [Stall(5), ConnectionError("reset")])
    assert isinstance(run.error, errors.InputRejected)


@async_shapes
def test_a_deadline_bounds_the_wait_for_the_check(harness: Harness) -> None:
    """A check that hangs does not hold its caller for ever."""
    run = harness.run([timeout(30, total=30), Checked(seconds=500)], "answer")
    assert isinstance(run.error, errors.Timeout)
    assert run.now == 30


@every_shape
def test_a_check_that_passes_at_once_changes_nothing(harness: Harness) -> None:
    """In every shape the items come as they would without it."""
    run = harness.run(Checked(), ["one ", "two"])
    assert run.text == "one two"
    assert len(run.calls) == 1


@every_shape
def test_a_check_that_finds_something_at_once_lets_nothing_through(harness: Harness) -> None:
    """In every shape nothing is shown, and a stream is closed."""
    subject = harness.guard(Checked("bad"), ["one ", "two"])
    run = subject.call()
    assert isinstance(run.error, errors.InputRejected)
    assert run.items == []
    assert subject.model.opened == subject.model.ended + subject.model.closed


@pytest.mark.parametrize("found", ["", "bad", KeyError("check")], ids=["passes", "finds", "fails"])
@pytest.mark.parametrize("answer", ["hello", ConnectionError("reset")], ids=["answers", "fails"])
@pytest.mark.parametrize("first", ["check", "call"])
def test_a_sync_call_waits_for_its_check(found: object, answer: object, first: str) -> None:
    """Whichever is over first: what the check finds or raises comes before what the call does."""
    over = {"check": threading.Event(), "call": threading.Event()}

    class Ordered(Checked):
        async def look(self, runtime: Runtime) -> Any:
            assert not runtime.is_async
            if first == "call":
                assert over["call"].wait(10)
            try:
                return await super().look(runtime)
            finally:
                over["check"].set()

    def model(question: str) -> str:
        if first == "check":
            assert over["check"].wait(10)
        over["call"].set()
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    expected: Any = found if isinstance(found, Exception) else errors.InputRejected("found")
    if not found:
        expected = answer if isinstance(answer, Exception) else None
    ask = guard(Ordered(found))(model)
    if expected is None:
        assert ask("hi") == "hello"
    else:
        with pytest.raises(type(expected)):
            ask("hi")


def test_a_deadline_bounds_a_sync_call_and_its_check() -> None:
    """A check that hangs is left behind in its worker, which then ends."""
    release, ended = threading.Event(), threading.Event()

    class Hanging(Checked):
        async def look(self, runtime: Runtime) -> Any:
            release.wait(10)
            ended.set()
            return ""

    def model(question: str) -> str:
        return "hello"

    with pytest.raises(errors.Timeout):
        guard(timeout(0.05), Hanging())(model)("hi")
    release.set()
    assert ended.wait(10)


@pytest.mark.parametrize("shape", CANCELLABLE)
def test_a_cancelled_caller_takes_the_check_along(shape: str) -> None:
    """Wherever the cancellation arrives no task of the check is left."""
    policies: list[Checked] = []

    async def main() -> int:
        async def once() -> None:
            policy = Checked(seconds=3)
            policies.append(policy)
            fn = guard(policy)(ScriptedModel([Stall(1), "a", Stall(1), "b"]).shape(shape))
            answer: Any = fn("hi")
            if hasattr(answer, "__await__"):
                answer = await answer
            if hasattr(answer, "__aiter__"):
                async for _ in answer:
                    pass

        def nobody_left() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert not [task for task in others if "look" in repr(task.get_coro())]

        return await cancel_everywhere(once, nobody_left)

    with FakeRuntime():
        places = asyncio.run(main())
    assert places >= 2
    assert {end for policy in policies for end in policy.ended} == {"looked", "cancelled"}


def test_a_cancellation_by_somebody_else_is_not_taken_for_the_checks() -> None:
    """Both at once: the caller is cancelled."""

    async def main() -> None:
        policy = Checked("bad", 2)
        fn = guard(policy)(ScriptedModel([Stall(5), "answer"]).coroutine)
        task = asyncio.ensure_future(fn("hi"))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(2, task.cancel)
        await task

    with FakeRuntime(), pytest.raises((asyncio.CancelledError, errors.InputRejected)) as caught:
        asyncio.run(main())
    assert caught.type in {asyncio.CancelledError, errors.InputRejected}


def test_the_callers_task_is_not_left_cancelling() -> None:
    """After a refusal the task goes on as if nothing had been cancelled."""

    async def main() -> None:
        fn = guard(Checked("bad", 1))(ScriptedModel([Stall(5), "answer"]).coroutine)
        with pytest.raises(errors.InputRejected):
            await fn("hi")
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)

    with FakeRuntime():
        asyncio.run(main())


def test_an_interrupt_of_a_sync_call_does_not_wait_for_the_check() -> None:
    """KeyboardInterrupt comes out at once; the worker ends by itself."""
    release, ended = threading.Event(), threading.Event()

    class Slow(Checked):
        async def look(self, runtime: Runtime) -> Any:
            release.wait(10)
            ended.set()
            return ""

    def model(question: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guard(Slow())(model)("hi")
    release.set()
    assert ended.wait(10)


def test_a_sync_call_under_a_loop_that_swallows_is_refused_all_the_same() -> None:
    """A callable that turns the cancellation into an answer is let go of."""

    async def model(question: str) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "swallowed"
        return "never"

    async def main() -> None:
        with pytest.raises(errors.InputRejected):
            await guard(Checked("bad", 1))(model)("hi")
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    with FakeRuntime():
        asyncio.run(main())


def run_in_threads(work: Callable[[], None], count: int) -> None:
    """Run `work` in threads at once; what one raises is raised."""
    failures: list[BaseException] = []

    def each() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=each) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures


def test_threads_and_tasks_share_one_policy() -> None:
    """Eight threads of each kind get their own answers from one object."""
    policy = Checked()

    def model(question: str) -> str:
        return question

    async def model_async(question: str) -> str:
        await asyncio.sleep(0)
        return question

    sync, coroutine = guard(policy)(model), guard(policy)(model_async)

    def work() -> None:
        name = threading.current_thread().name
        for _ in range(20):
            assert sync(name) == name

    async def main() -> None:
        answers = await asyncio.gather(*(coroutine(str(n)) for n in range(50)))
        assert answers == [str(n) for n in range(50)]

    run_in_threads(work, 4)
    run_in_threads(lambda: asyncio.run(main()), 4)
