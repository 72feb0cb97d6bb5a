"""What surrounds a call is captured when it is called, and travels with it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentguard import Policy, carry, context, deadline, errors, report
from agentguard.engine.scope import current, surrounding
from agentguard.testing import FakeRuntime
from tests.engine.kit import STREAMS, Through, begin, callables, close, use


class Tags(Policy):
    """Remembers the tags each call was made with."""

    def __init__(self) -> None:
        self.seen: list[dict] = []

    async def around(self, call, next):
        self.seen.append(dict(call.scope.tags))
        return await next(call)


def here() -> dict:
    """Return the tags at this point."""
    return dict(surrounding().tags)


# --- blocks -----------------------------------------------------------------------------------


def test_context_adds_to_what_is_around():
    """Inner blocks add tags and override; leaving restores."""
    assert here() == {}
    with context(user="u", feature="a"):
        with context(tenant="t", feature="b"):
            assert here() == {"user": "u", "tenant": "t", "feature": "b"}
        assert here() == {"user": "u", "feature": "a"}
    assert here() == {}


def test_any_word_is_a_tag():
    """Tags may come from a request: no name is taken by the block itself."""
    with context(self="1", user="u"):
        assert surrounding().tags == {"self": "1", "user": "u"}


def test_known_data_is_no_tag():
    """What the application knows is found by masks, and in no label or `repr`."""
    block = context(user="u", known={"name": "Kim Minsu", "address": ["Seoul 1", "Busan 2"]})
    with block:
        with context(known={"name": "Lee"}):
            assert surrounding().known[-1] == ("name", "Lee")
        assert here() == {"user": "u"}
        assert surrounding().known == (
            ("name", "Kim Minsu"),
            ("address", "Seoul 1"),
            ("address", "Busan 2"),
        )
    assert surrounding().known == ()
    assert "Kim" not in repr(block)


@pytest.mark.parametrize("known", ["Kim", {"name": 1}, {"name": [None]}], ids=str)
def test_known_data_is_texts(known):
    """Anything but texts by their types is refused, unquoted."""
    with pytest.raises(TypeError, match=r"context\(known=\)"):
        context(known=known)


async def test_blocks_work_with_async_with():
    """The same blocks serve `async with`."""
    async with context(user="u"), deadline(5), report():
        assert here() == {"user": "u"}
    assert here() == {}


def test_left_by_an_exception():
    """An exception leaves the block and is not swallowed."""
    with pytest.raises(KeyError), context(user="u"):
        raise KeyError
    assert here() == {}


def test_values_are_not_shown():
    """The repr of a context names its tags, not their values."""
    assert "secret" not in repr(context(user="secret", key="secret"))


def test_blocks_left_out_of_order():
    """Generators and frameworks leave blocks in any order: what is left does not come back."""
    first, second, third = context(a=1), context(b=2), context(c=3)
    first.__enter__()
    second.__enter__()
    third.__enter__()
    second.__exit__(None, None, None)
    assert here() == {"a": 1, "b": 2, "c": 3}
    third.__exit__(None, None, None)
    assert here() == {"a": 1}
    first.__exit__(None, None, None)
    assert here() == {}


def test_left_twice_or_never_entered():
    """Leaving a block that is not entered here does nothing."""
    block = context(a=1)
    block.__exit__(None, None, None)
    with context(b=2):
        block.__exit__(None, None, None)
        assert here() == {"b": 2}
        with block:
            pass
        block.__exit__(None, None, None)
        assert here() == {"b": 2}


def test_one_block_within_itself():
    """One object may be entered again inside itself, and is left once for each time."""
    block = context(a=1)
    with block, context(b=2), block:
        assert here() == {"a": 1, "b": 2}
    assert here() == {}
    block.__enter__()
    block.__enter__()
    block.__exit__(None, None, None)
    assert here() == {"a": 1}
    block.__exit__(None, None, None)
    assert here() == {}


def test_left_in_another_context():
    """A block left in another Context than it was entered in raises nothing and changes nothing."""
    block = context(a=1)
    other = contextvars.copy_context()
    other.run(block.__enter__)
    block.__exit__(None, None, None)
    assert here() == {}
    other.run(block.__exit__, None, None, None)
    assert other.run(here) == {}


def test_one_block_in_many_threads():
    """One block object entered by many threads at once belongs to each of them."""
    block, wrong = context(a=1), []
    gate = threading.Barrier(8)

    def work(number):
        for _ in range(50):
            with context(number=number), block:
                gate.wait(30)
                if here() != {"number": number, "a": 1}:
                    wrong.append(here())
            if here() != {}:
                wrong.append(here())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert wrong == []


async def test_tasks_keep_what_their_parent_has_left():
    """A task begun inside a block keeps it after the parent left, also around blocks of its own."""
    go_on = asyncio.Event()

    async def work():
        await go_on.wait()
        before = here()
        with context(step=1):
            inside = here()
        return before, inside, here()

    with context(user="u"):
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
    go_on.set()
    assert await task == ({"user": "u"}, {"user": "u", "step": 1}, {"user": "u"})


async def test_blocks_of_tasks_do_not_mix():
    """Tasks enter and leave blocks without seeing each other's."""

    async def work(number):
        for _ in range(20):
            with context(number=number):
                await asyncio.sleep(0)
                assert here() == {"number": number}
            assert here() == {}

    await asyncio.gather(*map(work, range(20)))


def test_block_across_yields_of_a_generator():
    """A block held open by a suspended generator is left where the generator is closed."""

    def holds():
        with context(a=1):
            yield
            yield

    generator = holds()
    next(generator)
    with context(b=2):
        generator.close()
        assert "b" in here()
    assert here() == {}


def test_a_block_that_makes_no_sense():
    """`with retry()` is a TypeError that says what to write."""
    with pytest.raises(TypeError, match="Decorate"), Through():  # type: ignore[attr-defined]
        pass


# --- captured at the call ---------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["generator", "asyncgen", "generator method", "asyncgen method"])
async def test_generators_capture_their_scope_at_the_call(shape):
    """A generator called inside a block belongs to it, whenever and wherever it is read."""
    tags = Tags()
    fn = tags(callables("a", "b")[shape])
    with context(user="inside"):
        stream = fn()
    with context(user="elsewhere"):
        if hasattr(stream, "__anext__"):
            assert [each async for each in stream] == ["a", "b"]
        else:
            assert list(stream) == ["a", "b"]
    assert tags.seen == [{"user": "inside"}]


@pytest.mark.parametrize("shape", STREAMS)
async def test_streams_keep_their_scope(shape):
    """What surrounded the call is around every pull: nested calls inside find it."""
    seen = []

    def note(item):
        seen.append(here())
        return item

    class Noting(list):
        def pop(self, *_):
            return note(super().pop(0))

    fn = callables("a", "b", "c")[shape]
    made = {
        "returns a sync stream": lambda: _sync(note),
        "returns an async stream": lambda: _async(note),
        "returns an async generator": lambda: _async(note),
    }.get(shape)
    if made is None:
        made = _coroutines(note).get(shape) or (
            _async_fn(note) if "async" in shape else _sync_fn(note)
        )
    del fn
    with context(user="u"):
        stream, _ = await begin(Through()(made))
    with context(user="other"):
        if hasattr(stream, "__anext__"):
            async for _ in stream:
                assert here() == {"user": "other"}
        else:
            for _ in stream:
                assert here() == {"user": "other"}
    assert seen == [{"user": "u"}] * 3


def _sync(note):
    return (note(each) for each in "abc")


async def _agen(note):
    for each in "abc":
        await asyncio.sleep(0)
        yield note(each)


def _async(note):
    return _agen(note)


def _sync_fn(note):
    def fn():
        yield from _sync(note)

    return fn


def _async_fn(note):
    async def fn():
        async for each in _agen(note):
            yield each

    return fn


def _coroutines(note):
    async def astream():
        return _agen(note)

    async def iterator():
        return _sync(note)

    return {
        "coroutine of an async stream": astream,
        "coroutine of a sync iterator": iterator,
    }


def test_read_in_another_thread_and_context():
    """A stream handed to another thread, or pulled in an empty Context, keeps its scope."""
    seen = []

    def note(item):
        seen.append(here())
        return item

    fn = Through()(_sync_fn(note))
    with context(user="u"):
        stream = fn()
    thread = threading.Thread(target=lambda: seen.append(next(stream)))
    thread.start()
    thread.join(30)
    contextvars.Context().run(next, stream)
    next(stream)
    assert seen == [{"user": "u"}, "a", {"user": "u"}, {"user": "u"}]


async def test_read_in_another_task():
    """An async stream read by another task keeps its scope."""
    seen = []

    def note(item):
        seen.append(here())
        return item

    with context(user="u"):
        stream = Through()(_async_fn(note))()

    async def read():
        return [each async for each in stream]

    assert await asyncio.create_task(read()) == list("abc")
    assert seen == [{"user": "u"}] * 3


async def test_the_callers_scope_is_untouched():
    """After a call, a failure, a cancellation, or between items, the caller's scope is its own."""

    async def fails():
        raise KeyError

    async def hangs():
        await asyncio.sleep(3600)

    with context(user="u"):
        before = current.get()
        for shape, fn in callables("a", "b").items():
            await use(Through()(fn))
            assert current.get() is before, shape
        with pytest.raises(KeyError):
            await Through()(fails)()
        assert current.get() is before
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await Through()(hangs)()
        assert current.get() is before


def test_a_block_left_open_by_the_callable():
    """A block that a sync callable enters and never leaves does not stay with its caller."""

    @Through()
    def ask():
        context(leaked=1).__enter__()

    ask()
    assert here() == {}


async def test_a_coroutine_closed_elsewhere():
    """A suspended call that is closed in another place does not change the scope there."""

    async def hangs():
        await asyncio.sleep(3600)

    ask = Through()(hangs)
    pending = ask()
    contextvars.copy_context().run(pending.send, None)
    with context(user="u"):
        pending.close()
        assert here() == {"user": "u"}
    assert here() == {}


async def test_a_block_left_open_by_a_coroutine():
    """A block that an async callable enters and never leaves does not stay with its caller."""

    @Through()
    async def ask():
        context(leaked=1).__enter__()
        await asyncio.sleep(0)

    await ask()
    assert here() == {}


# --- nested -----------------------------------------------------------------------------------


def test_nested_calls_find_the_scope_of_the_outer():
    """Guarded calls inside a guarded call see its tags and are its children."""
    tags = Tags()
    inner = tags(lambda: "a")

    @Through()
    def outer():
        with context(step=1):
            inner()
        return inner()

    with report() as r, context(user="u"):
        outer()
    assert tags.seen == [{"user": "u", "step": 1}, {"user": "u"}]
    assert [each.parent for each in r.calls[0].children] == [r.calls[0]] * 2


def test_deadline_narrows_inside():
    """An inner deadline narrows, a wider one does not widen; nested calls keep the narrower."""
    seen = []

    class Bound(Policy):
        async def around(self, call, next):
            seen.append(call.deadline and call.deadline.at)
            return await next(call)

    inner = Bound()(lambda: "a")

    @Bound()
    def outer():
        with deadline(1000):
            inner()
        with deadline(1):
            inner()

    with FakeRuntime() as time, deadline(10):
        start = time.monotonic()
        outer()
    assert [at - start for at in seen] == [10, 10, 1]


def test_a_deadline_that_passed():
    """A call that begins after the deadline is refused without reaching its target."""
    called = []
    ask = Through()(lambda: called.append(1))
    with FakeRuntime() as time, deadline(10):
        ask()
        time.advance(11)
        with pytest.raises(errors.DeadlineExceeded):
            ask()
    assert called == [1]


async def test_a_deadline_cuts_without_a_timeout():
    """`deadline` works with no timeout in the chain: unary and streams, sync and async."""
    hung = threading.Event()

    async def hangs():
        await asyncio.sleep(3600)

    async def streams():
        yield "a"
        await asyncio.sleep(3600)

    def blocks():
        hung.wait(30)

    with pytest.raises(errors.DeadlineExceeded), deadline(0.05):
        await Through()(hangs)()
    with pytest.raises(errors.DeadlineExceeded), deadline(0.05):
        await use(Through()(streams))
    with pytest.raises(errors.DeadlineExceeded), deadline(0.05):
        Through()(blocks)()
    hung.set()


# --- carry ------------------------------------------------------------------------------------


def test_carry_into_a_thread():
    """Carry takes the present scope into a thread or executor; without it there is none."""
    tags = Tags()
    ask = tags(lambda: "a")
    with ThreadPoolExecutor(2) as pool:
        with context(user="u"):
            carried, bare = carry(ask), ask
        pool.submit(carried).result()
        pool.submit(bare).result()
        pool.submit(here).result()
    assert tags.seen == [{"user": "u"}, {}]


async def test_carry_of_coroutine_functions():
    """A carried coroutine function runs in the scope of where it was carried."""
    tags = Tags()

    @tags
    async def ask():
        await asyncio.sleep(0)
        return 1

    with context(user="u"):
        carried = carry(ask)
    assert asyncio.iscoroutinefunction(carried)
    with context(user="other"):
        assert await carried() == 1
        assert here() == {"user": "other"}
    assert tags.seen == [{"user": "u"}]


def test_carry_inside_an_attempt_makes_children():
    """What a guarded function starts in a thread with carry is its child, under its deadline."""
    inner = Through()(lambda: "a")

    @Through()
    def outer():
        thread = threading.Thread(target=carry(inner))
        thread.start()
        thread.join(30)

    with report() as r:
        outer()
    assert [each.outcome for each in r.calls[0].children] == ["completed"]


async def test_streams_opened_in_an_attempt_belong_to_it():
    """A guarded stream opened inside a guarded stream is its child, and closing closes both."""
    inner = Through()(callables("a", "b", "c")["asyncgen"])

    @Through()
    async def outer():
        async with inner() as stream:
            async for each in stream:
                yield each

    with report() as r:
        stream, _ = await begin(outer)
    await close(stream)
    assert r.calls[0].outcome == "abandoned"
    assert [each.outcome for each in r.calls[0].children] == ["abandoned"]


async def test_handed_back_calls_capture_their_scope_at_the_call():
    """A function that returns an awaitable belongs to the block it was called in, each time."""
    tags = Tags()
    ask = tags(callables("a")["lambda of an awaitable"])
    for user in ("first", "second"):
        with context(user=user):
            pending = ask()
        with context(user="elsewhere"):
            await pending
    assert tags.seen == [{"user": "first"}, {"user": "second"}]


async def test_coroutine_functions_capture_their_scope_at_the_call():
    """A coroutine made inside a block belongs to it, wherever it is awaited."""
    tags = Tags()
    ask = tags(callables("a")["coroutine"])
    with context(user="inside"):
        pending = ask()
    await pending
    assert tags.seen == [{"user": "inside"}]


async def test_tasks_made_inside_a_block_belong_to_it():
    """A task copies the scope of where it was made, whenever it runs."""
    tags = Tags()
    ask = tags(callables("a")["coroutine"])
    with context(user="inside"):
        task = asyncio.create_task(ask())
    await task
    assert tags.seen == [{"user": "inside"}]
