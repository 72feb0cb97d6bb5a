"""disabled, no_wait and replace."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from agentguard import deadline, guard, report, retry, timeout
from agentguard.engine import clock
from agentguard.errors import Timeout
from agentguard.testing import (
    FakeRuntime,
    ScriptedModel,
    Stall,
    disabled,
    no_wait,
    replace,
)
from tests.shapes import Harness, every_shape


@every_shape
def test_disabled_guards_do_nothing(harness: Harness) -> None:
    """A call inside is made once, with no policy and no bound, and fails as the bare one does."""
    error = ConnectionError("reset")
    subject = harness.guard([retry(attempts=3), timeout(1)], error, [Stall(60), "late"])
    with FakeRuntime() as time:
        with disabled(), deadline(5):
            run = subject.call()
        assert run.error is error
        assert len(run.calls) == 1
        assert run.slept == []
        with deadline(5), disabled():
            assert subject.call().text == "late"
        assert time.now == 60


def test_disabled_is_a_decorator_of_tests_too() -> None:
    """A sync and an async function run each of their calls inside the block."""
    model = ScriptedModel(ConnectionError(), repeat_last=True)

    @disabled()
    def sync_test() -> None:
        with pytest.raises(ConnectionError):
            retry(model.sync)()

    @disabled()
    async def async_test() -> None:
        with pytest.raises(ConnectionError):
            await retry(model.coroutine)()

    sync_test()
    asyncio.run(async_test())
    assert len(model.calls) == 2
    assert inspect.iscoroutinefunction(async_test)
    assert repr(disabled()) == "disabled()"


def test_a_generator_cannot_be_decorated() -> None:
    """The block would be left before the generator runs: the error says where to put it."""

    def fixture() -> Iterator[None]:
        yield

    for switch in (disabled(), no_wait()):
        with pytest.raises(TypeError, match="inside it"):
            switch(fixture)


def test_guards_are_back_after_disabled() -> None:
    """The scope outside the block is as before."""
    model = ScriptedModel(ConnectionError(), "ok")
    with disabled():
        pass
    with no_wait():
        assert retry(model.sync)() == "ok"


@every_shape
def test_no_wait_retries_at_once(harness: Harness) -> None:
    """Pauses return at once in every shape."""
    model = ScriptedModel(ConnectionError(), ConnectionError(), "ok")
    fn = retry(attempts=3, wait=lambda state: 100.0)(model.shape(harness.shape))

    async def consume() -> list[Any]:
        answer = fn("hi")
        if inspect.isawaitable(answer):
            answer = await answer
        return [item async for item in answer] if harness.streams else [answer]

    with no_wait():
        if harness.is_async:
            assert asyncio.run(consume()) == ["ok"]
        else:
            answer = fn("hi")
            assert (list(answer) if harness.streams else [answer]) == ["ok"]
    assert len(model.calls) == 3


def test_no_wait_keeps_clocks_and_bounds() -> None:
    """Time and bounds are those of the clock before; it comes back afterwards."""
    with FakeRuntime(start=500.0) as time:
        with no_wait() as switch:
            clock.now().sleep(100)
            assert (clock.now().monotonic(), clock.now().time()) == (0, 500)
            assert 0 <= clock.now().random() < 1
            with switch:  # again, within itself
                pass
            time.advance(7)
            assert clock.now().monotonic() == 7
        assert clock.now() is time

        async def hang() -> None:
            await asyncio.Event().wait()

        with no_wait(), pytest.raises(Timeout):
            asyncio.run(guard(timeout(30))(hang)())
        with no_wait(), pytest.raises(Timeout):
            guard(timeout(30))(lambda: time.pause(100))()
    assert repr(no_wait()) == "no_wait()"


def test_no_wait_decorates_tests() -> None:
    """A decorated test runs without waits."""
    model = ScriptedModel(ConnectionError(), "ok")

    @no_wait()
    def a_test() -> str:
        return retry(model.sync)()

    assert a_test() == "ok"


class Service:
    """Guarded methods of every kind."""

    @retry(attempts=2)
    def ask(self, question: str) -> str:
        return "real"

    @retry(attempts=2)
    async def ask_async(self, question: str) -> str:
        return "real"

    @retry(attempts=2)
    def stream(self, question: str) -> Iterator[str]:
        yield "real"

    @retry(attempts=2)
    async def astream(self, question: str) -> AsyncIterator[str]:
        yield "real"


async def collect(stream: AsyncIterator[str]) -> list[str]:
    """Read it to its end."""
    return [item async for item in stream]


def test_a_fake_stands_under_the_guards() -> None:
    """The policies see the fake's failures; afterwards the real callable is back."""
    service = Service()
    fake = ScriptedModel(ConnectionError("reset"), "fake")
    with no_wait(), report() as told, replace(Service.ask, lambda self, q: fake.sync(q)):
        assert service.ask("q") == "fake"
    assert [call.args for call in fake.calls] == [("q",), ("q",)]
    assert [attempt.target for attempt in told.calls[0].attempts] == ["Service.ask"] * 2
    assert service.ask("q") == "real"


def test_a_scripted_model_takes_the_shape_it_stands_for() -> None:
    """It is given whole; `replace` chooses among its shapes, and hands it back."""

    @retry
    def ask() -> str:
        return "real"

    @retry
    async def ask_async() -> str:
        return "real"

    @retry
    def stream() -> Iterator[str]:
        yield "real"

    @retry
    async def astream() -> AsyncIterator[str]:
        yield "real"

    model = ScriptedModel(["a", "b"], repeat_last=True)
    with replace(ask, model) as given, replace(ask_async, model):
        assert given is model
        assert ask() == "ab"
        assert asyncio.run(ask_async()) == "ab"
    with replace(stream, model), replace(astream, model):
        assert list(stream()) == ["a", "b"]
        assert asyncio.run(collect(astream())) == ["a", "b"]
    assert (ask(), list(stream())) == ("real", ["real"])


def test_a_bound_method_is_replaced_for_its_object_alone() -> None:
    """Other objects of the class keep calling the real method, in every shape."""
    mine, other = Service(), Service()
    with (
        replace(mine.ask, lambda q: "fake"),
        replace(mine.ask_async, lambda q: "fake"),
        replace(mine.stream, lambda q: ["fa", "ke"]),
        replace(mine.astream, lambda q: ["fa", "ke"]),
    ):
        assert (mine.ask("q"), other.ask("q")) == ("fake", "real")
        assert asyncio.run(mine.ask_async("q")) == "fake"
        assert asyncio.run(other.ask_async("q")) == "real"
        assert (list(mine.stream("q")), list(other.stream("q"))) == (["fa", "ke"], ["real"])
        assert asyncio.run(collect(mine.astream("q"))) == ["fa", "ke"]
        assert asyncio.run(collect(other.astream("q"))) == ["real"]
    assert mine.ask("q") == "real"


def test_fakes_are_adapted_to_the_shape() -> None:
    """Sync fakes under async functions, answers and iterators under generators."""

    async def afake(self: object, q: str) -> str:
        return "async fake"

    async def astream(self: object, q: str) -> AsyncIterator[str]:
        yield "a"
        yield "b"

    def generator(self: object, q: str) -> Iterator[str]:
        yield "g"

    service = Service()
    with replace(Service.ask_async, lambda self, q: "sync fake"):
        assert asyncio.run(service.ask_async("q")) == "sync fake"
    with replace(Service.ask_async, afake):
        assert asyncio.run(service.ask_async("q")) == "async fake"
    for fake, items in [
        (lambda self, q: "one", ["one"]),
        (lambda self, q: ["a", "b"], ["a", "b"]),
        (generator, ["g"]),
    ]:
        with replace(Service.stream, fake):
            assert list(service.stream("q")) == items
        with replace(Service.astream, fake):
            assert asyncio.run(collect(service.astream("q"))) == items
    with replace(Service.astream, afake):
        assert asyncio.run(collect(service.astream("q"))) == ["async fake"]
    with replace(Service.astream, astream):
        assert asyncio.run(collect(service.astream("q"))) == ["a", "b"]


def test_replacements_nest_and_survive_errors() -> None:
    """The inner one is undone first, and an exception in the block undoes it too."""
    service = Service()
    with replace(Service.ask, lambda self, q: "outer"):
        with pytest.raises(KeyError), replace(Service.ask, lambda self, q: "inner"):
            assert service.ask("q") == "inner"
            raise KeyError
        assert service.ask("q") == "outer"
    assert service.ask("q") == "real"


def test_what_is_not_guarded_is_refused() -> None:
    """The error says what is missing: a guard, the guarded function under another decorator."""

    def plain() -> str:
        return "real"

    with pytest.raises(TypeError, match="plain is not guarded"), replace(plain, plain):
        pass
    with pytest.raises(TypeError, match="is not guarded"), replace(3, plain):  # type: ignore[arg-type]
        pass

    @functools.wraps(Service.ask)
    def around(*args: Any) -> Any:
        return Service.ask(*args)

    with pytest.raises(TypeError, match="__wrapped__"), replace(around, plain):
        pass
    with pytest.raises(TypeError, match="ScriptedModel"), replace(Service.ask, "fake"):
        pass

    async def afake(self: object, q: str) -> str:
        return "fake"

    with pytest.raises(TypeError, match="sync fake"), replace(Service.stream, afake):
        pass


def test_what_is_learned_of_a_fake_is_forgotten_with_it() -> None:
    """That a fake streams says nothing of the real target."""
    ask = retry(lambda: "real")
    with replace(ask, ScriptedModel(["a"]).returns_stream):
        assert list(ask()) == ["a"]
    assert ask() == "real"
    assert not ask.__agentguard__.target.streams
