"""What goes wrong with today's libraries for breaking circuits and retrying, and must not here.

Each test is named for a defect that was reproduced in pybreaker 1.4, tenacity 9.2, stamina 26.1 or
hyx 0.0.2. That of LangChain's batches is in test_sdk_langchain.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from agentguard import breaker, errors, report, retry
from agentguard.testing import FakeRuntime
from tests.scenarios.ways import at_once

CALLERS = 50
PERMITTED = 3


def test_callers_of_one_breaker_run_side_by_side():
    """In pybreaker a lock is held around the call: four threads take four times as long."""
    together = threading.Barrier(4, timeout=20)

    @breaker()
    def ask() -> int:
        return together.wait()

    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(ask())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [0, 1, 2, 3]


async def test_a_failing_coroutine_function_opens_its_circuit():
    """Elsewhere a coroutine object is taken for a success: the circuit stays closed for ever."""
    calls = 0

    @breaker(fail_max=2)
    async def ask() -> str:
        nonlocal calls
        calls += 1
        raise ConnectionError("down")

    for _ in range(2):
        with pytest.raises(ConnectionError):
            await ask()
    for _ in range(3):
        with pytest.raises(errors.CircuitOpen):
            await ask()

    assert calls == 2


def test_a_reader_who_stops_is_no_failure():
    """To pybreaker the GeneratorExit of a `break` is a failure that opens the circuit."""

    @breaker(fail_max=2)
    def ask() -> Iterator[str]:
        yield from ("one", "two")

    for _ in range(5):
        for word in ask():
            assert word == "one"
            break

    assert list(ask()) == ["one", "two"]


async def test_a_reader_who_stops_is_no_failure_in_async_code():
    """The same with `async for`, whose generator is closed by hand."""

    @breaker(fail_max=2)
    async def ask() -> AsyncIterator[str]:
        for word in ("one", "two"):
            yield word

    for _ in range(5):
        words = ask()
        assert await anext(words) == "one"
        await words.aclose()

    assert [word async for word in ask()] == ["one", "two"]


def test_an_interrupt_comes_out_as_it_is_and_opens_nothing():
    """From pybreaker comes its own error instead of KeyboardInterrupt, and the circuit opens."""
    presses = [KeyboardInterrupt()]

    @breaker(fail_max=1)
    def ask() -> str:
        if presses:
            raise presses.pop()
        return "answer"

    with pytest.raises(KeyboardInterrupt):
        ask()

    assert ask() == "answer"


def test_a_generator_is_retried():
    """With tenacity the call of a generator function is retried, which cannot fail, not its body."""
    failures = [ConnectionError("down"), ConnectionError("down")]

    @at_once()
    def ask() -> Iterator[str]:
        if failures:
            raise failures.pop()
        yield "answer"

    assert list(ask()) == ["answer"]
    assert not failures


async def test_an_async_generator_is_retried():
    """The same for an async generator."""
    failures = [ConnectionError("down"), ConnectionError("down")]

    @at_once()
    async def ask() -> AsyncIterator[str]:
        if failures:
            raise failures.pop()
        yield "answer"

    assert [word async for word in ask()] == ["answer"]
    assert not failures


def test_the_caller_gets_the_providers_exception():
    """From tenacity comes a RetryError, in which the cause is hidden."""
    error = ConnectionError("down")

    @at_once()
    def ask() -> str:
        raise error

    with pytest.raises(ConnectionError) as caught:
        ask()

    assert caught.value is error
    assert len(error.__notes__) == 1
    assert "3 attempts" in error.__notes__[0]


def test_no_chunk_is_seen_twice():
    """With stamina a generator that failed after two chunks begins anew: they arrive thrice."""
    calls = 0

    @at_once()
    def ask() -> Iterator[str]:
        nonlocal calls
        calls += 1
        yield "Hel"
        yield "lo "
        raise ConnectionError("down")

    seen: list[str] = []
    with pytest.raises(ConnectionError) as caught:
        seen.extend(ask())

    assert seen == ["Hel", "lo "]
    assert errors.partial(caught.value).text == "Hello "
    assert calls == 1


class Trials:
    """A callable that is down at first, and later keeps those waiting who get through."""

    def __init__(self) -> None:
        self.down = True
        self.inside = 0
        self.lock = threading.Lock()

    def enter(self) -> None:
        """Fail, or count who got through."""
        if self.down:
            raise ConnectionError("down")
        with self.lock:
            self.inside += 1


async def test_of_fifty_tasks_at_half_open_the_permitted_number_passes():
    """In hyx all fifty get through at once."""
    trials, release = Trials(), asyncio.Event()

    @breaker(fail_max=1, reset_timeout=0.05, half_open_calls=PERMITTED)
    async def ask() -> str:
        trials.enter()
        await release.wait()
        return "answer"

    with pytest.raises(ConnectionError):
        await ask()
    trials.down = False
    await asyncio.sleep(0.1)
    tasks = [asyncio.create_task(ask()) for _ in range(CALLERS)]
    refused = await asyncio.to_thread(
        many, lambda: [task for task in tasks if task.done()], CALLERS - PERMITTED
    )
    release.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert refused == CALLERS - PERMITTED
    assert trials.inside == PERMITTED
    assert answers.count("answer") == PERMITTED
    assert sum(isinstance(a, errors.CircuitOpen) for a in answers) == CALLERS - PERMITTED


def many(found: Callable[[], list[object]], wanted: int) -> int:
    """Wait until so many are found, and tell how many there are."""
    until = time.monotonic() + 20
    while len(found()) < wanted and time.monotonic() < until:
        time.sleep(0.01)
    return len(found())


def test_of_fifty_threads_at_half_open_the_permitted_number_passes():
    """The same with threads that all start at once."""
    trials, release, start = Trials(), threading.Event(), threading.Barrier(CALLERS)
    outcomes: list[object] = []

    @breaker(fail_max=1, reset_timeout=0.05, half_open_calls=PERMITTED)
    def ask() -> str:
        trials.enter()
        release.wait(20)
        return "answer"

    def caller() -> None:
        start.wait(20)
        try:
            outcomes.append(ask())
        except Exception as error:
            outcomes.append(type(error).__mro__)

    with pytest.raises(ConnectionError):
        ask()
    trials.down = False
    time.sleep(0.1)
    threads = [threading.Thread(target=caller) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    refused = many(lambda: list(outcomes), CALLERS - PERMITTED)
    release.set()
    for thread in threads:
        thread.join(20)

    assert refused == CALLERS - PERMITTED
    assert trials.inside == PERMITTED
    assert outcomes.count("answer") == PERMITTED


def test_a_refusal_is_caught_by_those_who_know_pybreaker():
    """`except pybreaker.CircuitBreakerError` still works, and says when to come back."""
    import pybreaker

    @breaker(fail_max=1, reset_timeout=30)
    def ask() -> str:
        raise ConnectionError("down")

    with FakeRuntime():
        with pytest.raises(ConnectionError):
            ask()
        with pytest.raises(pybreaker.CircuitBreakerError) as caught:
            ask()

    assert caught.value.retry_after == 30


def test_retries_do_not_multiply():
    """Three retrying functions inside each other make three attempts, not twenty-seven."""
    calls = 0

    @at_once()
    def innermost() -> str:
        nonlocal calls
        calls += 1
        raise ConnectionError("down")

    @at_once()
    def inner() -> str:
        return innermost()

    @at_once()
    def outer() -> str:
        return inner()

    with report() as seen, pytest.raises(ConnectionError):
        outer()

    assert calls == 3
    assert seen.calls[0].children[0].children[0].name.endswith("innermost")


def test_retries_multiply_for_those_who_ask():
    """`nested="multiply"` retries what a retry inside gave up on."""
    calls = 0

    @at_once()
    def inner() -> str:
        nonlocal calls
        calls += 1
        raise ConnectionError("down")

    @retry(wait=lambda _: 0.0, nested="multiply")
    def outer() -> str:
        return inner()

    with pytest.raises(ConnectionError):
        outer()

    assert calls == 9
