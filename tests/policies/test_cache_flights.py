"""cache(): callers who come while the same request is under way."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agentguard import budget, cache, deadline, errors, events, guard
from agentguard.policies.cache import Cache
from agentguard.testing import cancel_everywhere
from agentguard.testing.subject import Listening


class Gate:
    """A model that answers when it is let to, in threads."""

    def __init__(self, *answers: Any) -> None:
        self.calls = 0
        self.open = threading.Event()
        self.inside = threading.Semaphore(0)
        self._answers = iter(answers)
        self._lock = threading.Lock()

    def __cache_key__(self) -> str:
        """All of them are alike."""
        return "gate"

    def ask(self, question: str) -> Any:
        """Answer once the gate is open."""
        with self._lock:
            self.calls += 1
            answer = next(self._answers)
        self.inside.release()
        assert self.open.wait(10)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def stream(self, question: str) -> Iterator[Any]:
        """The same, one item before and the others after."""
        with self._lock:
            self.calls += 1
            first, *rest = next(self._answers)
        yield first
        self.inside.release()
        assert self.open.wait(10)
        for item in rest:
            if isinstance(item, BaseException):
                raise item
            yield item


def waiting(policy: Cache, count: int) -> None:
    """Wait until so many callers wait for a flight."""
    end = threading.Event()
    for _ in range(1000):
        flights = list(policy.flights._under_way.values())
        if flights and len(flights[0]._waiting) >= count:
            return
        end.wait(0.01)
    raise AssertionError("nobody waits")


def test_threads_share_one_call() -> None:
    """One asks, all others get the same answer, each its own copy."""
    gate = Gate({"answer": ["42"]})
    policy = cache()
    ask = policy(gate.ask)
    with ThreadPoolExecutor(16) as pool:
        first = pool.submit(ask, "?")
        gate.inside.acquire()
        others = [pool.submit(ask, "?") for _ in range(15)]
        waiting(policy, 15)
        gate.open.set()
        answers = [each.result(10) for each in (first, *others)]
    assert answers == [{"answer": ["42"]}] * 16
    assert len({id(answer["answer"]) for answer in answers}) == 16
    assert gate.calls == 1
    assert policy.cache_info()[:4] == (15, 1, 0, 15)


async def test_tasks_share_one_call() -> None:
    """The same in one event loop."""
    calls = 0

    @(policy := cache())
    async def ask(question: str) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.01)
        return {"answer": question}

    answers = await asyncio.gather(*(ask("?") for _ in range(50)))
    assert calls == 1
    assert answers == [{"answer": "?"}] * 50
    assert policy.cache_info().joined == 49


def test_a_failure_is_everybodys() -> None:
    """Each gets an exception of its own, of the same type; the next caller asks anew."""
    gate = Gate(ConnectionError("down", 7), "up")
    policy = cache()
    ask = policy(gate.ask)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(ask, "?")
        gate.inside.acquire()
        others = [pool.submit(ask, "?") for _ in range(7)]
        waiting(policy, 7)
        gate.open.set()
        failed = [each.exception(10) for each in (first, *others)]
    assert [type(each) for each in failed] == [ConnectionError] * 8
    assert {each.args for each in failed if each is not None} == {("down", 7)}
    assert len({id(each) for each in failed}) == 8
    assert gate.calls == 1
    assert ask("?") == "up"


async def test_a_cancelled_leader_hands_over() -> None:
    """One of those who wait asks in its place."""
    begun: list[str] = []

    @(policy := cache())
    async def ask(question: str) -> str:
        begun.append(question)
        await asyncio.sleep(0.02)
        return "answer"

    leader = asyncio.create_task(ask("?"))
    await asyncio.sleep(0.005)
    others = [asyncio.create_task(ask("?")) for _ in range(5)]
    await asyncio.sleep(0.005)
    leader.cancel()
    assert await asyncio.gather(*others) == ["answer"] * 5
    with pytest.raises(asyncio.CancelledError):
        await leader
    assert len(begun) == 2
    assert policy.flights._under_way == {}


async def test_a_leaders_deadline_is_its_own() -> None:
    """Who waits has more time, and asks itself."""
    calls = 0

    @cache()
    async def ask(question: str) -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.05)
        return "answer"

    async def hurried() -> str:
        with deadline(0.02):
            return await ask("?")

    leader = asyncio.create_task(hurried())
    await asyncio.sleep(0.005)
    assert await ask("?") == "answer"
    with pytest.raises(errors.DeadlineExceeded):
        await leader
    assert calls == 2


async def test_who_waits_has_a_deadline_too() -> None:
    """It passes while the leader goes on."""

    @cache()
    async def ask(question: str) -> str:
        await asyncio.sleep(0.05)
        return "answer"

    leader = asyncio.create_task(ask("?"))
    await asyncio.sleep(0)
    with deadline(0.01), pytest.raises(errors.DeadlineExceeded, match="was under way"):
        await ask("?")
    assert await leader == "answer"


def test_who_waits_in_a_thread_has_a_deadline_too() -> None:
    """The same in threads."""
    gate = Gate("answer")
    ask = cache()(gate.ask)
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(ask, "?")
        gate.inside.acquire()
        with deadline(0.01), pytest.raises(errors.DeadlineExceeded, match="was under way"):
            ask("?")
        gate.open.set()
        assert leader.result(10) == "answer"


async def test_a_leaders_budget_is_its_own() -> None:
    """A refusal of the one who leads is not one of those who wait."""
    calls = 0

    @cache()
    async def ask(question: str) -> str:
        nonlocal calls
        calls += 1
        number = calls
        await asyncio.sleep(0.01)
        if number == 1:
            raise errors.BudgetExceeded("used up", budget="b", unit="usd")
        return "answer"

    first, *others = await asyncio.gather(*(ask("?") for _ in range(4)), return_exceptions=True)
    assert isinstance(first, errors.BudgetExceeded)
    assert others == ["answer"] * 3
    assert calls == 2


def test_a_call_within_itself_does_not_wait_for_itself() -> None:
    """A function that asks the same again inside makes the call."""
    depth = 0

    @cache()
    def ask(question: str) -> str:
        nonlocal depth
        depth += 1
        return ask(question) + "!" if depth < 3 else "answer"

    assert ask("?") == "answer!!"


async def test_an_async_call_within_itself_does_not_wait_for_itself() -> None:
    """Nor in tasks that it starts."""
    depth = 0

    @cache()
    async def ask(question: str) -> str:
        nonlocal depth
        depth += 1
        if depth < 3:
            return await asyncio.create_task(ask(question)) + "!"
        return "answer"

    assert await asyncio.wait_for(ask("?"), 5) == "answer!!"


async def test_a_sync_call_in_a_loop_waits_for_nobody() -> None:
    """It would hold up the loop in which the other one is to go on."""

    @(policy := cache())
    def ask(question: str) -> str:
        inside.set()
        assert release.wait(10)
        return "answer"

    inside, release = threading.Event(), threading.Event()
    other = asyncio.get_running_loop().run_in_executor(None, ask, "?")
    await asyncio.to_thread(inside.wait, 10)
    release.set()
    assert ask("?") == "answer"
    assert await other == "answer"
    assert policy.flights._under_way == {}


def test_two_loops_do_not_wait_for_each_other() -> None:
    """Each makes its own call: one cannot wait in the other."""
    barrier = threading.Barrier(2)
    calls = Counter[int]()

    @cache()
    async def ask(question: str) -> str:
        calls[threading.get_ident()] += 1
        await asyncio.to_thread(barrier.wait, 10)
        return "answer"

    async def two() -> list[str]:
        return list(await asyncio.gather(ask("?"), ask("?")))

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(asyncio.run, two()) for _ in range(2)]
        assert [each.result(20) for each in runs] == [["answer"] * 2] * 2
    assert sorted(calls.values()) == [1, 1]


def test_a_lost_leader_hands_over() -> None:
    """A suspended call that the collector closes lands its flight all the same."""

    async def main() -> None:
        release = asyncio.Event()
        calls = 0

        @cache()
        async def ask(question: str) -> str:
            nonlocal calls
            calls += 1
            if calls == 1:
                await release.wait()
            return "answer"

        lost: Any = ask("?")
        lost.send(None)  # begun by hand: no task holds it
        follower = asyncio.create_task(ask("?"))
        await asyncio.sleep(0.01)
        del lost
        gc.collect()
        assert await asyncio.wait_for(follower, 5) == "answer"

    asyncio.run(main())


# Streams


def test_threads_join_a_stream() -> None:
    """Late callers get it from its beginning, and go on with it."""
    gate = Gate(["a", "b", "c"])
    policy = cache()
    ask = policy(gate.stream)
    leader = ask("?")
    assert next(leader) == "a"
    with ThreadPoolExecutor(8) as pool:
        others = [pool.submit(list, ask("?")) for _ in range(8)]
        gate.inside.acquire()  # one of them fetches
        gate.open.set()
        assert [each.result(10) for each in others] == [["a", "b", "c"]] * 8
    assert list(leader) == ["b", "c"]
    assert gate.calls == 1
    assert list(ask("?")) == ["a", "b", "c"]
    assert policy.flights._under_way == {}


def test_one_thread_may_read_two() -> None:
    """The second is fetched by whoever reads: nobody waits for a reader who does not read."""
    calls = 0

    @cache()
    def ask(question: str) -> Iterator[str]:
        nonlocal calls
        calls += 1
        yield from ("a", "b", "c")

    first, second = ask("?"), ask("?")
    assert next(first) == "a"
    assert list(second) == ["a", "b", "c"]
    assert list(first) == ["b", "c"]
    assert calls == 1


@pytest.fixture
def letters() -> Callable[..., Any]:
    """An async generator function, its calls counted."""

    async def ask(question: str) -> AsyncIterator[str]:
        ask.calls += 1  # type: ignore[attr-defined]
        try:
            for letter in "abcde":
                await asyncio.sleep(0.002)
                yield letter
        finally:
            ask.closed += 1  # type: ignore[attr-defined]

    ask.calls = ask.closed = 0  # type: ignore[attr-defined]
    return ask


async def read(stream: AsyncIterator[str], pause: float = 0.0, most: int = 100) -> list[str]:
    """Read a stream, as slowly as is said."""
    items: list[str] = []
    async for item in stream:
        items.append(item)
        if len(items) >= most:
            break
        await asyncio.sleep(pause)
    return items


async def test_tasks_join_a_stream(letters: Any) -> None:
    """Readers of all speeds, who come at all times."""
    policy = cache()
    ask = policy(letters)

    async def late(wait: float, pause: float) -> list[str]:
        await asyncio.sleep(wait)
        return await read(ask("?"), pause)

    times = [(0, 0), (0.003, 0), (0.005, 0.01), (0.007, 0.001), (0.02, 0)]
    runs = await asyncio.gather(*(late(*each) for each in times))
    assert runs == [list("abcde")] * len(times)
    assert letters.calls == 1
    assert policy.flights._under_way == {}


async def test_what_a_reader_does_to_an_item_is_his_own() -> None:
    """SDKs change what they read: LangChain's models write the id of the run into each chunk."""
    calls = 0

    @cache
    async def ask() -> AsyncIterator[Any]:
        nonlocal calls
        calls += 1
        for number in range(3):
            await asyncio.sleep(0)
            yield {"text": str(number), "more": [number]}

    async def spoil() -> list[str]:
        found = []
        async for item in ask():
            found.append(item.pop("text"))
            item["more"].append("spoilt")
        return found

    for _ in range(2):
        assert await asyncio.gather(*(spoil() for _ in range(3))) == [["0", "1", "2"]] * 3
    assert [item async for item in ask()] == [{"text": str(n), "more": [n]} for n in range(3)]
    assert calls == 1


async def test_a_stream_that_cannot_be_stored_is_still_read_by_all() -> None:
    """Who joined reads the same objects; at its end the first is told why nothing is kept."""

    class Odd:
        pass

    made = [Odd(), Odd()]

    @cache
    async def ask() -> AsyncIterator[Any]:
        for item in made:
            await asyncio.sleep(0)
            yield item

    async def all_of() -> list[Any]:
        found = []
        with pytest.raises(TypeError, match="cannot be stored"):
            async for item in ask():
                found.append(item)  # noqa: PERF401  up to the error
        return found

    assert await asyncio.gather(all_of(), all_of()) == [made, made]


async def test_a_leader_that_leaves_does_not_end_the_stream(letters: Any) -> None:
    """The others read on, and it is kept."""
    policy = cache()
    ask = policy(letters)
    leader, other = ask("?"), ask("?")
    assert await anext(leader) == "a"
    assert await anext(other) == "a"
    await leader.aclose()
    assert letters.closed == 0
    assert await read(other) == list("bcde")
    assert await read(ask("?")) == list("abcde")
    assert letters.calls == 1


async def test_the_last_that_leaves_ends_the_stream(letters: Any) -> None:
    """Then nothing is kept, and the provider's stream is closed."""
    policy = cache()
    ask = policy(letters)
    leader, other = ask("?"), ask("?")
    assert [await anext(leader), await anext(other)] == ["a", "a"]
    await leader.aclose()
    await other.aclose()
    await asyncio.sleep(0)
    assert (letters.calls, letters.closed) == (1, 1)
    assert policy.flights._under_way == {}
    assert await read(ask("?")) == list("abcde")
    assert letters.calls == 2


@pytest.mark.parametrize("after", range(12))
async def test_a_leader_is_cancelled_at_any_time(letters: Any, after: int) -> None:
    """Whoever has joined gets the whole stream, of this call or of one of its own."""
    policy = cache()
    ask = policy(letters)
    leader = asyncio.create_task(read(ask("?")))
    await asyncio.sleep(0.001)
    others = [asyncio.create_task(read(ask("?"))) for _ in range(3)]
    await asyncio.sleep(0.001 * after)
    leader.cancel()
    assert await asyncio.gather(*others) == [list("abcde")] * 3
    assert letters.calls <= 2
    assert letters.calls == letters.closed
    assert policy.flights._under_way == {}


async def test_a_stream_that_breaks_breaks_for_all() -> None:
    """Each gets an exception of its own, with what had come."""

    @cache()
    async def ask(question: str) -> AsyncIterator[str]:
        yield "half "
        await asyncio.sleep(0.01)
        raise ConnectionError("reset")

    runs = await asyncio.gather(*(read(ask("?")) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in runs] == [ConnectionError] * 3
    assert len({id(each) for each in runs}) == 3
    for each in runs:
        assert isinstance(each, BaseException)
        partial = errors.partial(each)
        assert partial is not None
        assert partial.text == "half "


async def test_a_leaders_budget_that_cuts_the_stream_is_its_own() -> None:
    """Who had joined is told that the stream ended, and not that his budget did."""
    chunk = {"object": "chat.completion.chunk", "model": "gpt-4o-mini"}

    def piece(text: str) -> dict[str, Any]:
        return {**chunk, "choices": [{"index": 0, "delta": {"content": text}}]}

    @guard(cache(), budget(output_tokens=30, per="request"))
    async def ask(question: str, *, model: str) -> AsyncIterator[Any]:
        for _ in range(200):
            await asyncio.sleep(0.001)
            yield piece("word ")

    async def one() -> list[Any]:
        return [item async for item in ask("?", model="gpt-4o-mini")]

    leader = asyncio.create_task(one())
    await asyncio.sleep(0.01)
    follower = asyncio.create_task(one())
    with pytest.raises(errors.BudgetExceeded):
        await leader
    with pytest.raises(errors.StreamTruncated, match="had joined"):
        await follower


async def test_hits_of_those_who_joined_are_told(letters: Any) -> None:
    """One event for each, when its stream has ended."""
    heard: list[events.Event] = []
    ask = cache()(letters)
    with Listening(heard.append):
        await asyncio.gather(*(read(ask("?")) for _ in range(3)))
    hits = [event for event in heard if isinstance(event, events.CacheHit)]
    assert [hit.how for hit in hits] == ["joined", "joined"]
    assert [type(e) for e in heard].count(events.AttemptStarted) == 1


async def test_cancelled_at_every_await() -> None:
    """Wherever the only caller is cancelled, nothing stays under way."""
    policy = cache()

    @policy
    async def ask(question: str) -> str:
        await asyncio.sleep(0)
        return "answer"

    async def one() -> None:
        policy.cache_clear()
        await asyncio.gather(ask("?"), ask("?"))

    def check() -> None:
        assert policy.flights._under_way == {}

    assert await cancel_everywhere(one, check) > 0


def test_a_forked_child_waits_for_nobody() -> None:
    """The leaders are threads of its parent."""
    import os

    if not hasattr(os, "fork"):
        return
    gate = Gate("answer", "childs")
    policy = cache()
    ask = policy(gate.ask)
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(ask, "?")
        gate.inside.acquire()
        assert policy.flights._under_way
        policy.flights.in_child()
        assert policy.flights._under_way == {}
        gate.open.set()
        assert leader.result(10) == "answer"


@pytest.mark.parametrize("after", range(12))
@pytest.mark.parametrize("who", [(0,), (1,), (0, 1), (0, 1, 2)], ids=str)
async def test_readers_are_cancelled_at_any_time(
    letters: Any, who: tuple[int, ...], after: int
) -> None:
    """The others get the whole stream; of those who left nothing stays open, and nobody complains."""
    complaints: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, complaint: complaints.append(complaint))
    policy = cache()
    ask = policy(letters)
    readers = [asyncio.create_task(read(ask("?")))]
    await asyncio.sleep(0.001)
    readers += [asyncio.create_task(read(ask("?"))) for _ in range(2)]
    await asyncio.sleep(0.001 * after)
    for index in who:
        readers[index].cancel()
    ended = await asyncio.gather(*readers, return_exceptions=True)
    for index, items in enumerate(ended):
        cancelled = index in who and isinstance(items, asyncio.CancelledError)
        assert cancelled or items == list("abcde")
    del ended, items, readers  # a cancelled reader's traceback holds its stream
    for _ in range(200):  # clean-up goes on behind who was cancelled
        await asyncio.sleep(0.01)
        if letters.calls == letters.closed:
            break
    gc.collect()
    assert letters.calls == letters.closed
    assert policy.flights._under_way == {}
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert complaints == []
