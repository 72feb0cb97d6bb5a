"""Any callable can be guarded and is afterwards what it was before."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import gc
import inspect
import pickle
import typing
import warnings
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

from agentguard import Policy, guard, retry, timeout
from tests.engine.kit import SHAPES, STREAMS, UNARY, Through, Watch, callables, use


@Through()
def plain(question: str, *, loud: bool = False) -> str:
    """Ask plainly."""
    return question.upper() if loud else question


@Through()
async def coro(question: str, *, loud: bool = False) -> str:
    """Ask and wait."""
    return question.upper() if loud else question


@Through()
def gen(question: str, *, loud: bool = False) -> Iterator[str]:
    """Ask piece by piece."""
    yield question.upper() if loud else question


@Through()
async def agen(question: str, *, loud: bool = False) -> AsyncIterator[str]:
    """Ask piece by piece and wait."""
    yield question.upper() if loud else question


GUARDED = {"plain": plain, "coro": coro, "gen": gen, "agen": agen}
named = pytest.mark.parametrize("name", GUARDED)


@pytest.mark.parametrize("shape", SHAPES)
async def test_answers_in_its_own_shape(shape):
    """The answer of every callable comes through, whole or piece by piece."""
    assert "".join(await use(Through()(callables("a", "b", "c")[shape]))) == "abc"


@pytest.mark.parametrize("shape", STREAMS)
async def test_streams_keep_their_items(shape):
    """A stream's items come out one by one, as they were."""
    assert await use(Through()(callables("a", "b", "c")[shape])) == ["a", "b", "c"]


@pytest.mark.parametrize("shape", SHAPES)
async def test_failures_come_out_unchanged(shape):
    """The very exception object comes out, in every shape."""
    error = LookupError("not here")
    with pytest.raises(LookupError) as caught:
        await use(Through()(callables(error)[shape]))
    assert caught.value is error


@pytest.mark.parametrize("shape", SHAPES)
async def test_arguments_come_through(shape):
    """One guard serves many callables, each called with its caller's arguments."""
    seen = []

    class Spy(Policy):
        async def around(self, call, next):
            seen.append((call.args, call.kwargs))
            return await next(call)

    fn = callables("a")[shape]
    args = () if isinstance(fn, functools.partial) else ("q",)
    await use(Spy()(fn), *args)
    assert seen == [(args, {})]


@named
def test_looks_like_what_it_guards(name):
    """Name, docstring, module, signature, annotations and hints are the callable's own."""
    fn = GUARDED[name]
    inner = inspect.unwrap(fn)
    assert inner is not fn
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__"):
        assert getattr(fn, attribute) == getattr(inner, attribute)
    assert inspect.signature(fn) == inspect.signature(inner)
    assert typing.get_type_hints(fn) == typing.get_type_hints(inner)
    assert inspect.getdoc(fn) == inner.__doc__


@named
def test_flags_tell_the_truth(name):
    """`inspect` and asyncio see the shape that the callable has."""
    fn, inner = GUARDED[name], inspect.unwrap(GUARDED[name])
    for ask in (
        inspect.iscoroutinefunction,
        asyncio.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        callable,
    ):
        assert ask(fn) == ask(inner)


@named
def test_copies_are_itself(name):
    """copy, deepcopy and pickle treat it as a function: by name."""
    fn = GUARDED[name]
    assert copy.copy(fn) is fn
    assert copy.deepcopy([fn])[0] is fn
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(fn, protocol)) is fn


@named
def test_takes_weak_references_and_attributes(name):
    """Frameworks keep weak references to functions, and put attributes on them."""
    fn = Through()(inspect.unwrap(GUARDED[name]))
    fn.marked = 1
    assert weakref.ref(fn)() is fn
    assert fn.marked == 1
    assert hash(fn) == hash(fn)
    assert fn == fn  # noqa: PLR0124


@named
async def test_binds_like_a_function(name):
    """In a class it becomes a method, which knows its instance and its signature."""
    seen = []
    shapes = {
        "plain": lambda self, x: seen.append((self, x)),
    }

    async def coro(self, x):
        seen.append((self, x))

    def gen(self, x):
        seen.append((self, x))
        yield x

    async def agen(self, x):
        seen.append((self, x))
        yield x

    def plain(self, x):
        return shapes["plain"](self, x)

    fn = {"plain": plain, "coro": coro, "gen": gen, "agen": agen}[name]
    cls = type("Bot", (), {"ask": Through()(fn)})
    bot = cls()
    await use(bot.ask, 1)
    await use(cls.ask, bot, 2)
    assert seen == [(bot, 1), (bot, 2)]
    assert list(inspect.signature(bot.ask).parameters) == ["x"]
    assert inspect.ismethod(bot.ask)
    for ask in (inspect.iscoroutinefunction, inspect.isgeneratorfunction):
        assert ask(bot.ask) == ask(fn)
    assert inspect.isasyncgenfunction(bot.ask) == inspect.isasyncgenfunction(fn)


@named
async def test_works_under_staticmethod_and_classmethod(name):
    """Directly above `def`, under @staticmethod or @classmethod, it works as either."""
    seen = []

    def plain(*args):
        seen.append(args)

    async def coro(*args):
        seen.append(args)

    def gen(*args):
        seen.append(args)
        yield 1

    async def agen(*args):
        seen.append(args)
        yield 1

    fn = Through()({"plain": plain, "coro": coro, "gen": gen, "agen": agen}[name])
    cls = type("Bot", (), {"static": staticmethod(fn), "of": classmethod(fn)})
    await use(cls.static, 1)
    await use(cls().static, 2)
    await use(cls.of, 3)
    await use(cls().of, 4)
    assert seen == [(1,), (2,), (cls, 3), (cls, 4)]


@pytest.mark.xfail(
    strict=True,
    reason="the wrapper is a function and takes the instance, which a bound method does not",
)
@pytest.mark.parametrize(
    "shape", ["partial", "partial of generator", "method", "generator method", "callable object"]
)
async def test_what_does_not_bind_still_does_not(shape):
    """A partial, a bound method or an object kept in a class does not take the instance."""
    seen = []

    class Spy(Policy):
        async def around(self, call, next):
            seen.append(call.args)
            return await next(call)

    cls = type("Bot", (), {"ask": Spy()(callables("a")[shape])})
    await use(cls().ask)
    assert seen == [()]


def test_signatures_of_partials_methods_and_objects():
    """The signature is that of the partial, the bound method, the object's call."""

    class Bot:
        def ask(self, question: str) -> str:
            return question

        def __call__(self, prompt: str) -> str:
            return prompt

    bot = Bot()
    for fn in (bot.ask, bot, functools.partial(plain, loud=True), len):
        assert inspect.signature(Through()(fn)) == inspect.signature(fn)
    assert Through()(functools.partial(plain, loud=True)).__name__ == "plain"
    assert Through()(bot).__name__.endswith("Bot")


async def test_mocks_are_unary():
    """unittest.mock answers and mocked callables work in every flavour, and are never streams."""
    answer = MagicMock()
    assert Through()(Mock(return_value=answer))("q") is answer
    assert Through()(MagicMock(return_value=answer))("q") is answer
    assert await Through()(AsyncMock(return_value=answer))("q") is answer
    failing = AsyncMock(side_effect=[ConnectionError(), "a"])
    assert await retry(wait=lambda _: 0)(failing)("q") == "a"
    mock = AsyncMock(return_value="x")
    guarded = Through()(mock)
    assert await asyncio.gather(guarded(1), guarded(2)) == ["x", "x"]
    assert mock.await_count == 2


def test_exhausted_mock_raises_stop_iteration():
    """StopIteration of the callable comes out as it is, not as a RuntimeError."""
    mock = Mock(side_effect=["a"])
    ask = guard(retry(), timeout(30, thread=False))(mock)
    assert ask() == "a"
    with pytest.raises(StopIteration):
        ask()
    error = StopIteration("mine")

    def raises():
        raise error

    with pytest.raises(StopIteration) as caught:
        Through()(raises)()
    assert caught.value is error


async def test_exhausted_async_mock():
    """StopAsyncIteration of an exhausted AsyncMock comes out as it is."""
    ask = Through()(AsyncMock(side_effect=["a"]))
    assert await ask() == "a"
    with pytest.raises(StopAsyncIteration):
        await ask()


def test_exhausted_mock_in_a_worker():
    """Also when a time bound made the call run in a worker thread."""
    with pytest.raises(StopIteration):
        timeout(30)(Mock(side_effect=[]))()


async def test_awaitable_answers_of_any_kind():
    """Futures, tasks and objects with `__await__` are awaited, not returned."""

    class Waits:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return "waited"

    async def ask():
        return "task"

    def future():
        made = asyncio.get_running_loop().create_future()
        made.set_result("future")
        return made

    assert await Through()(lambda: Waits())() == "waited"  # noqa: PLW0108
    assert await Through()(lambda: asyncio.ensure_future(ask()))() == "task"
    assert await Through()(future)() == "future"


async def test_an_awaitable_function_can_be_a_task():
    """What a function returned for an awaitable can be gathered and made a task."""

    async def ask():
        return 1

    guarded = Through()(lambda: ask())  # noqa: PLW0108
    assert await asyncio.create_task(guarded()) == 1
    assert await asyncio.gather(guarded(), guarded()) == [1, 1]


async def test_an_awaitable_that_nobody_awaits_is_let_go():
    """A handed-back call that is never awaited settles its accounts."""
    watch = Watch()

    async def ask():
        return 1

    def hand():
        return ask()

    pending = watch(hand)()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "never awaited", as for the bare coroutine
        del pending
        gc.collect()
    use_again = watch(hand)
    assert await use_again() == 1
    assert sorted(watch.kinds) == ["abandoned", "completed"]


def test_stacked_guards_become_one():
    """Decorators on each other join one chain, outermost first, around the innermost callable."""
    inner, outer = Watch(), Watch()

    def ask():
        return 1

    once = inner(ask)
    twice = outer(once)
    assert twice() == 1
    assert inspect.unwrap(twice) is ask
    assert len(inner.outcomes) == len(outer.outcomes) == 1
    assert inner.outcomes[0].attempt is outer.outcomes[0].attempt
    assert once() == 1
    assert len(outer.outcomes) == 1


def test_stacking_keeps_what_either_guard_was_told():
    """The outer guard's own settings are not lost when it stands on another."""
    bottom = Through()(lambda: iter(()))
    over = guard(retry(), strict_streams=True, abandon_after=7)(bottom)
    options = over.__agentguard__.options
    assert options.strict_streams is True
    assert options.abandon_after == 7
    under = guard(Through(), strict_streams=False, abandon_after=7)(lambda: iter(()))
    options = Watch()(under).__agentguard__.options
    assert options.strict_streams is False
    assert options.abandon_after == 7


def test_a_foreign_decorator_between_is_not_skipped():
    """functools.wraps copies our attribute: what another decorator does is kept all the same."""
    log = []

    def foreign(fn):
        @functools.wraps(fn)
        def around(*args):
            log.append("foreign")
            return fn(*args)

        return around

    inner, outer = Watch(), Watch()
    ask = outer(foreign(inner(lambda: 1)))
    assert ask() == 1
    assert log == ["foreign"]
    assert len(inner.outcomes) == len(outer.outcomes) == 1
    assert inner.outcomes[0].attempt is not outer.outcomes[0].attempt


async def test_stacked_generators_become_one():
    """The same for generators and async generators."""
    for shape in ("generator", "asyncgen", "coroutine"):
        inner, outer = Watch(), Watch()
        await use(outer(inner(callables("a", "b")[shape])))
        assert inner.outcomes[0].attempt is outer.outcomes[0].attempt, shape


def test_a_guarded_method_of_an_instance_can_be_guarded_again():
    """A bound method of a guarded function is another callable: guarded again, it nests."""

    class Bot:
        @Through()
        def ask(self):
            return self

    bot = Bot()
    watch = Watch()
    assert watch(bot.ask)() is bot
    assert watch.kinds == ["completed"]


def test_generators_satisfy_the_protocols():
    """What a guarded generator returns passes for a generator where protocols are checked."""
    assert isinstance(gen("q"), Iterator)
    assert isinstance(gen("q"), Generator)
    assert isinstance(agen("q"), AsyncIterator)
    assert isinstance(agen("q"), AsyncGenerator)


def test_as_a_context_manager():
    """contextlib.contextmanager over a guarded generator function enters, leaves and throws."""
    log = []

    @contextlib.contextmanager
    @Through()
    def session():
        log.append("in")
        try:
            yield "it"
        except KeyError:
            log.append("caught")
        finally:
            log.append("out")

    with session() as it:
        assert it == "it"
    assert log == ["in", "out"]
    with session():
        raise KeyError
    assert log[2:] == ["in", "caught", "out"]
    error = ValueError()
    with pytest.raises(ValueError) as caught, session():
        raise error
    assert caught.value is error
    stop = StopIteration()
    with pytest.raises(StopIteration) as stopped, session():
        raise stop
    assert stopped.value is stop


async def test_as_an_async_context_manager():
    """The same for contextlib.asynccontextmanager."""
    log = []

    @contextlib.asynccontextmanager
    @Through()
    async def session():
        log.append("in")
        try:
            yield "it"
        except KeyError:
            log.append("caught")
        finally:
            log.append("out")

    async with session() as it:
        assert it == "it"
    async with session():
        raise KeyError
    error = ValueError()
    with pytest.raises(ValueError) as caught:
        async with session():
            raise error
    assert caught.value is error
    assert log == ["in", "out", "in", "caught", "out", "in", "out"]


@pytest.mark.parametrize("shape", UNARY)
async def test_positional_defaults_and_bad_arguments(shape):
    """A wrong argument is the callable's own TypeError."""
    with pytest.raises(TypeError):
        await use(retry(callables("a")[shape]), 1, 2, 3)
