"""`attempt.surround`: set around each step of a target, in whatever thread or task, and not between."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
from contextvars import ContextVar
from typing import Any

import pytest

from agentguard import Attempt, Call, Next, Policy, Reply, guard, timeout
from agentguard.engine.lost import settle_lost
from tests.engine.kit import SHAPES, STREAMS, begin, callables, close, use

WHERE: ContextVar[str] = ContextVar("where", default="outside")


class Room:
    """What surrounds one attempt: a name, and what the target left there with its last step."""

    def __init__(self, name: str) -> None:
        self.name, self.entered, self.left = name, 0, 0

    def __call__(self) -> Any:
        outer = WHERE.get()
        WHERE.set(self.name)
        self.entered += 1

        def leave() -> None:
            self.left += 1
            self.name = WHERE.get()
            WHERE.set(outer)

        return leave


class In(Policy):
    """Surrounds every attempt with a room."""

    def __init__(self) -> None:
        self.rooms: list[Room] = []

    async def around(self, call: Call, next: Next) -> Reply:
        return await next(call.on_attempt(self.meet))

    def meet(self, attempt: Attempt) -> None:
        self.rooms.append(Room("inside"))
        attempt.surround(self.rooms[-1])


def seeing(shape: str) -> tuple[Any, list[str]]:
    """A callable of this shape that notes what is set in each of its steps."""
    seen: list[str] = []

    class Noting:
        """Items that look around when they are made."""

        def __iter__(self):
            for text in ("a", "b"):
                seen.append(WHERE.get())
                yield text
            seen.append(WHERE.get())

    noting = Noting()

    def each() -> Any:
        try:
            yield from noting
        finally:
            seen.append(WHERE.get())

    async def aeach() -> Any:
        try:
            for item in noting:
                await asyncio.sleep(0)
                seen.append(WHERE.get())
                yield item
        finally:
            seen.append(WHERE.get())

    def function() -> str:
        return "".join(noting)

    async def coroutine() -> str:
        await asyncio.sleep(0)
        return "".join(noting)

    async def coroutine_stream() -> Any:
        seen.append(WHERE.get())
        return aeach()

    async def coroutine_sync() -> Any:
        return each()

    made = {
        "function": function,
        "coroutine": coroutine,
        "generator": each,
        "asyncgen": aeach,
        "returns a stream": lambda: each(),  # noqa: PLW0108  it has no flags
        "returns an async stream": lambda: aeach(),  # noqa: PLW0108  it has no flags
        "coroutine of an async stream": coroutine_stream,
        "coroutine of a sync iterator": coroutine_sync,
        "lambda of an awaitable": lambda: coroutine(),  # noqa: PLW0108  it has no flags
    }
    return made[shape], seen


KINDS = (
    "function",
    "coroutine",
    "generator",
    "asyncgen",
    "returns a stream",
    "returns an async stream",
    "coroutine of an async stream",
    "coroutine of a sync iterator",
    "lambda of an awaitable",
)
STREAMING = [
    kind for kind in KINDS if kind not in {"function", "coroutine", "lambda of an awaitable"}
]
BOUNDS: dict[str, tuple[Policy, ...]] = {
    "unbounded": (),
    "bounded": (timeout(30),),
    "patient": (timeout(30, idle=30),),
    "without threads": (timeout(30, thread=False),),
}


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("kind", KINDS)
async def test_every_step_is_inside_and_its_reader_is_not(kind: str, bound: str):
    """In each shape, with time bounds kept in workers and without: the target sees the room alone."""
    fn, seen = seeing(kind)
    policy = In()
    safe = guard(policy, *BOUNDS[bound])(fn)
    answer = safe()
    if hasattr(answer, "__await__"):
        answer = await answer
    assert WHERE.get() == "outside"
    if hasattr(answer, "__anext__"):
        async for _ in answer:
            assert WHERE.get() == "outside"
    elif hasattr(answer, "__next__"):
        for _ in answer:
            assert WHERE.get() == "outside"
    assert WHERE.get() == "outside"
    assert seen
    assert {*seen} == {"inside"}
    (room,) = policy.rooms
    assert room.entered == room.left > 0


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("kind", STREAMING)
async def test_the_clean_up_of_a_stream_is_inside(kind: str, bound: str):
    """What a generator does when it is closed half read, it does inside."""
    fn, seen = seeing(kind)
    stream, _ = await begin(guard(In(), *BOUNDS[bound])(fn))
    await close(stream)
    assert WHERE.get() == "outside"
    assert {*seen} == {"inside"}


@pytest.mark.parametrize("kind", STREAMING)
async def test_the_clean_up_of_a_dropped_stream_is_inside(kind: str):
    """So is what it does when nobody holds it any more."""
    fn, seen = seeing(kind)
    held = [await begin(guard(In())(fn))]
    before = len(seen)
    held.clear()
    gc.collect()
    settle_lost()
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(seen) > before
    assert {*seen} == {"inside"}
    assert WHERE.get() == "outside"


@pytest.mark.parametrize("kind", ["generator", "asyncgen"])
async def test_what_is_sent_and_thrown_arrives_inside(kind: str):
    """`send` and `throw` resume the generator in its room, too."""
    seen = []

    def generator() -> Any:
        try:
            seen.append((WHERE.get(), (yield "a")))
            yield "b"
        except KeyError:
            seen.append((WHERE.get(), "thrown"))
            yield "c"

    async def asyncgen() -> Any:
        try:
            seen.append((WHERE.get(), (yield "a")))
            yield "b"
        except KeyError:
            seen.append((WHERE.get(), "thrown"))
            yield "c"

    if kind == "generator":
        stream = In()(generator)()
        items = [next(stream), stream.send("sent"), stream.throw(KeyError())]
    else:
        astream = In()(asyncgen)()
        items = [
            await anext(astream),
            await astream.asend("sent"),
            await astream.athrow(KeyError()),
        ]
    assert items == ["a", "b", "c"]
    assert seen == [("inside", "sent"), ("inside", "thrown")]
    assert WHERE.get() == "outside"


@pytest.mark.parametrize("kind", ["generator", "asyncgen"])
async def test_what_a_step_leaves_set_goes_on_with_the_next(kind: str):
    """A `with` around a `yield` stays in force inside, and its reader never sees it."""
    seen = []

    def generator() -> Any:
        token = WHERE.set("deeper")
        yield "a"
        seen.append(WHERE.get())
        yield "b"
        WHERE.reset(token)
        seen.append(WHERE.get())

    async def asyncgen() -> Any:
        for item in generator():
            yield item

    async for _ in _read(In()(generator if kind == "generator" else asyncgen)()):
        assert WHERE.get() == "outside"
    assert seen == ["deeper", "inside"]
    assert WHERE.get() == "outside"


async def _read(stream: Any) -> Any:
    if hasattr(stream, "__anext__"):
        async for item in stream:
            yield item
    else:
        for item in stream:
            yield item


async def test_pulls_in_several_tasks_each_leave_nothing_behind():
    """A stream whose items are pulled by one task each: every task is as it was."""
    fn, seen = seeing("asyncgen")
    stream = In()(fn)()

    async def pull() -> tuple[Any, str]:
        item = await anext(stream, None)
        return item, WHERE.get()

    assert [await asyncio.create_task(pull()) for _ in range(3)] == [
        ("a", "outside"),
        ("b", "outside"),
        (None, "outside"),
    ]
    assert {*seen} == {"inside"}


async def test_a_suspended_call_that_is_collected_changes_nothing_elsewhere():
    """Closed by the collector in another Context, it leaves what is set there alone."""
    never = asyncio.Event()

    async def hang() -> None:
        await never.wait()

    policy = In()
    call = policy(hang)()
    step = call.__await__()
    contextvars.copy_context().run(next, step)
    assert policy.rooms[0].entered == 1
    WHERE.set("mine")
    del step
    call.close()
    gc.collect()
    assert WHERE.get() == "mine"
    assert policy.rooms[0].left == 0


async def test_concurrent_calls_do_not_see_each_other():
    """Calls of one loop at once: each is in its own room, their caller in none."""
    seen: list[tuple[str, str]] = []

    class Named(In):
        def meet(self, attempt: Attempt) -> None:
            attempt.surround(Room(attempt.call.args[0]))

    @Named()
    async def ask(name: str) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
            seen.append((name, WHERE.get()))

    await asyncio.gather(*(ask(str(number)) for number in range(10)))
    assert len(seen) == 50
    assert all(name == where for name, where in seen)
    assert WHERE.get() == "outside"


def test_several_are_left_last_first_and_a_fault_of_one_breaks_nothing(caplog):
    """One that raises is logged; the others are entered, and left in the reverse order."""
    said: list[str] = []

    class Both(In):
        def meet(self, attempt: Attempt) -> None:
            for name in ("one", "two"):
                attempt.surround(
                    lambda name=name: said.append(name) or (lambda: said.append(f"-{name}"))
                )
            attempt.surround(lambda: 1 / 0)
            attempt.surround(lambda: lambda: 1 / 0)

    with caplog.at_level(logging.ERROR, logger="agentguard"):
        assert Both()(lambda: "42")() == "42"
    assert said == ["one", "two", "-two", "-one"]
    assert len(caplog.records) == 2


@pytest.mark.parametrize("shape", SHAPES)
async def test_answers_stay_what_they_are(shape: str):
    """Surrounded or not, a callable of any shape answers the same."""
    assert await use(In()(callables("a", "b")[shape])) == (
        ["a", "b"] if shape in STREAMS else ["ab"]
    )
