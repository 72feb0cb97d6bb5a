"""cache() at its edges: what is charged, what is told, what fails, and what stands outside of it."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from agentguard import (
    budget,
    cache,
    context,
    events,
    fallback,
    guard,
    retry,
    testing,
    timeout,
    usage,
)
from agentguard.engine.chain import Next, Policy
from agentguard.engine.reply import Reply
from agentguard.testing import FakeRuntime
from agentguard.testing.subject import Listening
from tests.policies.redis_server import RedisServer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*this process only"),
    pytest.mark.filterwarnings("ignore:no price is known"),
    pytest.mark.filterwarnings("ignore:.*cannot see:UserWarning"),
]

SECRET = "sk-planted-7f3a9c"
PROMPT = "my diagnosis is planted-hypochondria"
USER = "planted-user@example.org"


def upper(text: str) -> str:
    """A function that answers."""
    return text.upper()


# What is charged


def test_a_joined_stream_is_charged_once() -> None:
    """Also when the one who began it leaves, and another reads on: nothing stays set aside."""
    money = budget(tokens=10_000)

    def ask(question: str) -> Iterator[Any]:
        for letter in "abc":
            yield {"choices": [{"delta": {"content": letter}, "index": 0}]}
        yield {
            "choices": [{"delta": {}, "finish_reason": "stop", "index": 0}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        }

    ask = guard(cache(), money)(ask)
    with usage() as of_leader:
        leader = ask("?")
        next(leader)
    with usage() as of_follower:
        follower = ask("?")
        next(follower)
    leader.close()
    rest = list(follower)
    assert len(rest) == 3
    standing = money.status()["tokens"]
    assert (standing.used, standing.reserved) == (7, 0)
    assert (of_leader.attempts, of_leader.hits) == (1, 0)
    assert (of_follower.attempts, of_follower.hits) == (0, 1)


async def test_an_async_joined_stream_is_charged_once() -> None:
    """The same where its leader is cancelled in the middle."""
    money = budget(tokens=10_000)

    @guard(cache(), money)
    async def ask(question: str) -> AsyncIterator[Any]:
        for letter in "abc":
            await asyncio.sleep(0)
            yield {"choices": [{"delta": {"content": letter}, "index": 0}]}
        yield {
            "choices": [{"delta": {}, "finish_reason": "stop", "index": 0}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        }

    leader = ask("?")
    await anext(leader)
    follower = ask("?")
    await anext(follower)
    await leader.aclose()
    assert len([item async for item in follower]) == 3
    standing = money.status()["tokens"]
    assert (standing.used, standing.reserved) == (7, 0)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_everybody_leaves_and_nothing_stays_set_aside(*, is_async: bool) -> None:
    """A stream that all its readers left is settled."""
    money = budget(tokens=10_000)
    if is_async:

        @guard(cache(), money)
        async def aask(question: str) -> AsyncIterator[str]:
            for letter in "abc":
                yield letter

        readers = [aask("?") for _ in range(3)]
        for each in readers:
            await anext(each)
        for each in readers:
            await each.aclose()
    else:

        @guard(cache(), money)
        def ask(question: str) -> Iterator[str]:
            yield from "abc"

        streams = [ask("?") for _ in range(3)]
        for stream in streams:
            next(stream)
        for stream in streams:
            stream.close()
    assert money.status()["tokens"].reserved == 0


async def test_a_renewal_is_counted_in_the_scope_that_set_it_off() -> None:
    """And once, however many were served the old answer."""
    money, renewed, calls = budget(tokens=10_000), asyncio.Event(), 0

    @guard(cache(ttl=60, early=0, stale_while_revalidate="1h"), money)
    async def ask(question: str) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        if calls > 1:
            renewed.set()
        return {
            "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        }

    with FakeRuntime() as clock:
        with usage() as first:
            await ask("?")
        clock.advance(120)
        with usage() as second:
            await asyncio.gather(*(ask("?") for _ in range(50)))
            await renewed.wait()
            for _ in range(10):
                await asyncio.sleep(0)
        with usage() as third:
            await ask("?")
    assert calls == 2
    assert (first.attempts, first.total_tokens) == (1, 7)
    assert (second.attempts, second.hits, second.total_tokens) == (1, 50, 7)
    assert (third.attempts, third.hits) == (0, 1)
    standing = money.status()["tokens"]
    assert (standing.used, standing.reserved) == (14, 0)


# What is told


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_no_secret_is_told(store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No prompt, key or user is in a repr, a message, a log line, an event or a key of the store."""
    caplog.set_level(0)
    place = None if store == "memory" else f"sqlite:///{tmp_path}/answers.db"
    policy = cache(store=place, name="n", stale_if_error="1h")
    told: list[str] = []

    class Client:
        __slots__ = ("secret",)

        def __repr__(self) -> str:
            return SECRET

    @guard(policy)
    def ask(question: str, state: object = None, fail: int = 0) -> str:
        if fail:
            raise ConnectionError("down")
        told.append(repr(policy.flights) + repr(vars(policy.flights)))
        told.extend(repr(each) for each in policy.flights._under_way.values())
        return f"answer to {question}"

    with Listening(lambda event: told.append(repr(event))), context(user=USER, tenant=USER):
        for _ in range(2):
            ask(PROMPT)
        with pytest.raises(TypeError) as refused:
            ask(PROMPT, Client())
        told.append(str(refused.value))
        with pytest.raises(ConnectionError) as failed:
            ask(PROMPT, fail=1)
        told += [str(failed.value), *getattr(failed.value, "__notes__", [])]
    told += [repr(policy), repr(guard(policy)), repr(ask), repr(policy.entries), caplog.text]
    told += [str(policy.explain()), repr(policy.codec), repr(policy.keys)]
    everything = "\n".join(told)
    for planted in (SECRET, PROMPT, USER, "hypochondria", "example.org"):
        assert planted not in everything
    if place is not None:
        import sqlite3

        with sqlite3.connect(tmp_path / "answers.db") as db:
            for (table,) in db.execute("select name from sqlite_master where type='table'"):
                names = [row[1] for row in db.execute(f"pragma table_info({table})")]
                for row in db.execute(f"select * from {table}"):
                    for name, cell in zip(names, row, strict=True):
                        if name != "packed":  # the answer itself
                            assert "planted" not in str(cell), name
        db.close()


def test_no_secret_is_in_a_key_of_redis() -> None:
    """Neither in one of an entry nor in one of its tags."""
    server = RedisServer()
    server.start()
    try:
        with server.client() as client, context(user=USER, tenant=USER):
            ask = cache(store=client, name="n", tags=("news",))(upper)
            assert ask(PROMPT) == ask(PROMPT) == PROMPT.upper()
            keys = [*client.scan_iter()]
            assert keys
            told = repr(keys)
            for key in keys:
                kind = client.type(key)
                if kind == b"zset":
                    told += repr(client.zrange(key, 0, -1))
                elif kind == b"hash":
                    told += repr(client.hkeys(key))
            assert "planted" not in told.lower()
    finally:
        server.stop()


# Time


def test_fifty_threads_at_once_renew_once() -> None:
    """All are served the old answer at once; one of them sets off the renewal."""
    asked, begun, release = 0, threading.Event(), threading.Event()

    @(policy := cache(ttl=60, early=0, stale_while_revalidate="1h"))
    def ask(question: str) -> str:
        nonlocal asked
        asked += 1
        if asked > 1:
            begun.set()
            assert release.wait(10)
        return f"answer {asked}"

    with FakeRuntime() as clock:
        ask("?")
        clock.advance(120)
        with ThreadPoolExecutor(50) as pool:
            barrier = threading.Barrier(50)

            def one() -> str:
                barrier.wait(10)
                return ask("?")

            answers = [each.result(10) for each in [pool.submit(one) for _ in range(50)]]
        assert set(answers) == {"answer 1"}
        assert begun.wait(10)
        release.set()
        for _ in range(1000):
            if not policy.flights._under_way:
                break
            threading.Event().wait(0.005)
        assert ask("?") == "answer 2"
    assert asked == 2


@pytest.mark.parametrize(
    ("ttl", "after", "served"),
    [(60, 59.999, True), (60, 60, False), (None, 1e9, True), (0.001, 0.002, False)],
    ids=["just before", "at its end", "for ever", "short"],
)
def test_an_answer_is_fresh_up_to_its_end(ttl: float | None, after: float, served: bool) -> None:
    """At the very end of its time it is asked again."""
    asked = 0

    @cache(ttl=ttl, early=0)
    def ask() -> str:
        nonlocal asked
        asked += 1
        return "answer"

    with FakeRuntime() as clock:
        ask()
        clock.advance(after)
        ask()
    assert asked == (1 if served else 2)


@pytest.mark.parametrize("ttl", [0, -1, "0s", float("nan")], ids=str)
def test_a_time_that_is_none_is_refused(ttl: Any) -> None:
    """No answer would ever serve."""
    with pytest.raises((TypeError, ValueError), match="ttl"):
        cache(ttl=ttl)


async def test_refresh_under_load_asks_for_each() -> None:
    """Who wants a new answer gets one, and does not wait for an old question."""
    asked = 0

    @cache()
    async def ask(question: str) -> int:
        nonlocal asked
        asked += 1
        mine = asked
        await asyncio.sleep(0.001)
        return mine

    import agentguard as ag

    async def fresh() -> int:
        with ag.cache_refresh():
            return await ask("?")

    old = asyncio.gather(*(ask("?") for _ in range(10)))
    await asyncio.sleep(0)
    new = await asyncio.gather(*(fresh() for _ in range(10)))
    assert set(await old) == {1}
    assert sorted(new) == list(range(2, 12))
    assert await ask("?") in new


# A store that is down


@pytest.fixture(params=["closed", "hangs"])
def dead(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a Redis that is not there, or that never answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if request.param == "hangs":
            taken.listen(64)
        yield f"redis://user:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/0"


def test_a_dead_store_costs_its_bound_once(dead: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not once for the look and once for the answer; it is told once, without the password."""
    caplog.set_level(0)
    heard: list[Any] = []
    policy = cache(store=dead, name="n")
    ask = policy(upper)
    with Listening(heard.append):
        began = time.monotonic()
        assert ask("a") == "A"
        took = time.monotonic() - began
        assert ask("b") == "B"
    (failed,) = [each for each in heard if isinstance(each, events.StoreFailed)]
    assert took < 0.39  # twice 0.2 s would be more, whatever the machine
    assert SECRET not in repr(failed) + repr(policy) + caplog.text + repr(policy.entries)


async def test_a_dead_store_costs_a_stream_its_bound_once(dead: str) -> None:
    """The same for tasks, and a stream that would be kept at its end."""
    heard: list[Any] = []

    @cache(store=dead, name="n")
    async def ask(question: str) -> AsyncIterator[str]:
        yield "a"

    with Listening(heard.append):
        began = time.monotonic()
        assert [[each async for each in ask("?")] for _ in range(3)] == [["a"]] * 3
        took = time.monotonic() - began
    assert len([each for each in heard if isinstance(each, events.StoreFailed)]) == 1
    assert took < 0.39


# Policies outside of it


class Upper(Policy):
    """Changes what comes."""

    async def around(self, call: Any, next: Next) -> Reply:
        reply = await next(call)
        if reply.source is None:
            reply.value = reply.value.upper()
        return reply


def test_a_policy_outside_changes_each_answer_anew() -> None:
    """What is kept is the answer before it."""
    asked: list[str] = []

    @guard(Upper(), cache())
    def ask(question: str) -> str:
        asked.append(question)
        return "answer"

    assert [ask("?") for _ in range(3)] == ["ANSWER"] * 3
    assert asked == ["?"]


def test_a_fallback_outside_judges_hits_too() -> None:
    """Kept and joined answers alike."""
    judged: list[Any] = []

    def bad(answer: Any) -> bool:
        judged.append(answer)
        return answer == "bad"

    @guard(fallback(lambda question: "other", when=bad), cache())
    def ask(question: str) -> str:
        return "bad"

    assert [ask("?") for _ in range(3)] == ["other"] * 3
    assert judged.count("bad") == 3


def test_a_retry_outside_over_kept_streams_ends() -> None:
    """A kept stream that is judged bad is bad at each attempt: it ends, and is handed out."""
    asked = 0

    def ask(question: str) -> Iterator[str]:
        nonlocal asked
        asked += 1
        yield from ("a", "b")

    judged: list[Any] = []

    def bad(answer: Any) -> bool:
        judged.append(answer)
        return True

    policy = retry(attempts=3, on_result=bad, hold="all", wait=lambda _: 0.0)
    ask = guard(policy, cache())(ask)
    assert [list(ask("?")) for _ in range(2)] == [["a", "b"]] * 2
    assert asked == 1
    assert len(judged) >= 2


async def test_held_streams_join() -> None:
    """Each caller holds its own; the stream is asked for once."""
    asked = 0

    @guard(fallback(lambda question: iter(["other"]), when=lambda _: False, hold="all"), cache())
    async def ask(question: str) -> AsyncIterator[str]:
        nonlocal asked
        asked += 1
        for letter in "abc":
            await asyncio.sleep(0)
            yield letter

    async def read() -> list[str]:
        return [each async for each in ask("?")]

    assert await asyncio.gather(*(read() for _ in range(20))) == [["a", "b", "c"]] * 20
    assert asked == 1


async def test_an_idle_timeout_outside_bounds_each_reader() -> None:
    """A joined stream that stops is given up by all; a kept one never idles."""
    stop = asyncio.Event()

    @guard(timeout(idle=0.05), cache())
    async def ask(question: str) -> AsyncIterator[str]:
        yield "a"
        await stop.wait()
        yield "b"

    async def read() -> Any:
        return [each async for each in ask("?")]

    found = await asyncio.wait_for(
        asyncio.gather(*(read() for _ in range(5)), return_exceptions=True), 5
    )
    assert [isinstance(each, Exception) for each in found] == [True] * 5
    stop.set()
    assert await read() == ["a", "b"]
    stop.clear()
    assert await read() == ["a", "b"]


# Kinds of functions


class Service:
    """Functions of a class."""

    asked: ClassVar[list[str]] = []

    def __init__(self, name: str) -> None:
        self.name = name

    def __cache_key__(self) -> str:
        """Its name."""
        return self.name

    @cache()
    def method(self, question: str) -> str:
        """Of an object."""
        self.asked.append("method")
        return f"{self.name} {question}"

    @classmethod
    @cache()
    def of_class(cls, question: str) -> str:
        """Of the class."""
        cls.asked.append("class")
        return f"{cls.__name__} {question}"

    @staticmethod
    @cache()
    def static(question: str) -> str:
        """Of nobody."""
        Service.asked.append("static")
        return question


class Heir(Service):
    """Another class."""


def test_methods_of_all_kinds() -> None:
    """Objects, and classes that inherit, are told apart."""
    Service.asked.clear()
    for _ in range(2):
        assert [Service(name).method("?") for name in "ab"] == ["a ?", "b ?"]
        assert [kind.of_class("?") for kind in (Service, Heir)] == ["Service ?", "Heir ?"]
        assert [kind.static("?") for kind in (Service, Heir)] == ["?", "?"]
    assert sorted(Service.asked) == ["class", "class", "method", "method", "static"]


def test_partials_are_told_apart() -> None:
    """By what they hold."""
    asked: list[str] = []

    def ask(tone: str, question: str) -> str:
        asked.append(tone)
        return f"{tone} {question}"

    policy = cache()
    warm, cold = (policy(functools.partial(ask, tone)) for tone in ("warm", "cold"))
    assert [warm("?"), cold("?"), warm("?"), cold("?")] == ["warm ?", "cold ?"] * 2
    assert asked == ["warm", "cold"]


def test_a_generator_that_is_thrown_into_is_not_kept() -> None:
    """The exception comes back, and the next call asks anew."""
    asked = 0

    @cache()
    def ask(question: str) -> Generator[str, str, None]:
        nonlocal asked
        asked += 1
        yield from "abc"

    stream = ask("?")
    next(stream)
    with pytest.raises(ValueError, match="stop"):
        stream.throw(ValueError("stop"))
    assert list(ask("?")) == ["a", "b", "c"]
    assert asked == 2


def test_a_tool_inside_a_cached_function_runs_each_time() -> None:
    """An answer that a tool's effect belongs to is not kept; read-only functions are."""
    sent: list[str] = []

    @guard(timeout(30)).tool
    def send(text: str) -> str:
        sent.append(text)
        return "sent"

    @(policy := cache())
    def ask(question: str) -> str:
        return send(question)

    for _ in range(2):
        assert ask("?") == "sent"
    assert sent == ["?", "?"]
    assert policy.cache_info().skipped == 2


def test_disabled_guards_ask_each_time() -> None:
    """`testing.disabled()` takes the cache away as well."""
    asked: list[str] = []

    @cache()
    def ask(question: str) -> str:
        asked.append(question)
        return "answer"

    with testing.disabled():
        ask("?"), ask("?")
    assert len(asked) == 2
    ask("?"), ask("?")
    assert len(asked) == 3


# Forks and loops


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_a_child_forked_in_the_middle_asks_itself() -> None:
    """It waits neither for the parent's call under way nor for its stream."""
    inside, release, parent = threading.Event(), threading.Event(), os.getpid()

    @cache()
    def ask(question: str) -> str:
        if os.getpid() == parent:
            inside.set()
            assert release.wait(20)
            return "parent"
        return "child"

    @cache()
    def stream(question: str) -> Iterator[str]:
        if os.getpid() == parent:
            yield "parent"
            yield "parent"
        else:
            yield "child"

    reading = stream("?")
    next(reading)
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(ask, "?")
        assert inside.wait(10)
        child = os.fork()
        if not child:
            found = 1
            try:
                found = 0 if ask("?") == "child" and list(stream("?")) == ["child"] else 2
            finally:
                os._exit(found)
        for _ in range(500):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            time.sleep(0.01)
        else:
            os.kill(child, 9)
            os.waitpid(child, 0)
            status = -1
        release.set()
        assert leader.result(10) == "parent"
    assert list(reading) == ["parent"]
    assert status == 0


def test_loops_in_several_threads_share_what_is_kept() -> None:
    """Each reads its own stream to the end; nobody is woken from another loop."""
    asked = 0

    @(policy := cache())
    async def ask(question: str) -> AsyncIterator[str]:
        nonlocal asked
        asked += 1
        for letter in "abc":
            await asyncio.sleep(0.001)
            yield letter

    async def read(most: int) -> list[str]:
        found: list[str] = []
        stream = ask("?")
        async for each in stream:
            found.append(each)
            if len(found) == most:
                break
        await stream.aclose()
        return found

    async def many() -> list[list[str]]:
        return await asyncio.gather(*(read(1 + number % 4) for number in range(12)))

    with ThreadPoolExecutor(6) as pool:
        runs = [pool.submit(asyncio.run, many()) for _ in range(6)]
        for each in runs:
            assert each.result(20) == [list("abc"[: 1 + n % 4]) for n in range(12)]
    assert asked <= 12  # a leader that left before those who waited had joined is followed by one
    assert policy.flights._under_way == {}


def test_a_loop_that_ends_at_once_settles_what_was_let_go_of() -> None:
    """Also the clean-up that `asyncio.run` cancels before its first step."""
    money = budget(tokens=10_000)

    @guard(money)
    async def ask(question: str) -> AsyncIterator[str]:
        for letter in "abc":
            yield letter

    async def begin(rounds: int) -> None:
        await anext(ask("?"))
        for _ in range(rounds):
            await asyncio.sleep(0)

    for rounds in range(5):
        asyncio.run(begin(rounds))
        assert money.status()["tokens"].reserved == 0, rounds


def test_a_loop_that_ends_in_the_middle_leaves_nothing() -> None:
    """Its streams and flights are settled; the next loop asks anew."""
    money = budget(tokens=10_000)
    policy = cache()

    @guard(policy, money)
    async def ask(question: str) -> AsyncIterator[str]:
        for letter in "abc":
            await asyncio.sleep(0)
            yield letter

    async def begin() -> None:
        for _ in range(2):
            await anext(ask("?"))

    async def whole() -> list[str]:
        return [each async for each in ask("?")]

    for _ in range(3):
        asyncio.run(begin())
    assert asyncio.run(whole()) == list("abc")
    assert policy.flights._under_way == {}
    assert money.status()["tokens"].reserved == 0
