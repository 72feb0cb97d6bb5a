"""check_policy: good policies keep the contract, and each way of breaking it is found."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from agentguard import Call, Next, Policy, Reply, breaker, fallback, observe, retry, timeout
from agentguard.errors import Overloaded
from agentguard.testing import FakeRuntime, ScriptedModel, check_policy, no_wait


class Transparent(Policy):
    """Does nothing at all."""


class Permits(Policy):
    """Lets a few calls in at once, refuses the rest, and gives each permit back."""

    def __init__(self) -> None:
        self.free = 4
        self.lock = threading.Lock()

    async def around(self, call: Call, next: Next) -> Reply:
        with self.lock:
            if not self.free:
                raise Overloaded("no permit is free")
            self.free -= 1
        return await observe(next(call), self.release)

    def release(self, outcome: object) -> None:
        with self.lock:
            self.free += 1


class Upper(Policy):
    """Changes the answer's text through a step."""

    class Step:
        """Upper case."""

        def feed(self, text: str) -> str:
            return text.upper()

        def flush(self) -> str:
            return ""

    async def around(self, call: Call, next: Next) -> Reply:
        reply = await next(call)
        reply.transform(self.Step)
        return reply


@pytest.mark.parametrize(
    "make",
    [
        Transparent,
        Permits,
        Upper,
        lambda: retry(attempts=3),
        lambda: timeout(30),
        lambda: timeout(0.5),
        lambda: fallback(ScriptedModel("backup", repeat_last=True).sync),
        breaker,
        lambda: breaker(fail_max=1, reset_timeout=5),
        lambda: breaker(failure_rate=0.5, slow_call=0.5),
    ],
    ids=[
        "transparent",
        "permits",
        "upper",
        "retry",
        "timeout",
        "short timeout",
        "fallback",
        "breaker",
        "touchy breaker",
        "rate breaker",
    ],
)
def test_good_policies_keep_the_contract(make: Callable[[], Policy]) -> None:
    """The library's own policies, and honest ones of a user, pass."""
    check_policy(make)


def test_a_policy_without_state_may_be_given_itself() -> None:
    """A factory is for policies whose calls leave something behind."""
    check_policy(Transparent())


def test_a_time_of_the_test_s_own_does_not_matter() -> None:
    """Under a fake runtime, or without waits, each rule still has its own virtual time."""
    with FakeRuntime() as time:
        check_policy(lambda: retry(attempts=3))
        assert time.now == 0
    with no_wait():
        check_policy(lambda: retry(attempts=3))


class Nameless(Policy):
    name = ""


class Faceless(Policy):
    __repr__ = object.__repr__


class Awaits(Policy):
    async def around(self, call: Call, next: Next) -> Reply:
        await asyncio.sleep(0)
        return await next(call)


class Shapely(Policy):
    """Retries in async calls only."""

    async def around(self, call: Call, next: Next) -> Reply:
        try:
            return await next(call)
        except ConnectionError:
            if not call.runtime.is_async:
                raise
            return await next(call)


class Streamy(Policy):
    """Looks at the answer of unary calls only when the caller iterates it synchronously."""

    async def around(self, call: Call, next: Next) -> Reply:
        reply = await next(call)
        if reply.streaming and not call.runtime.is_async:
            reply.transform(Upper.Step)
        return reply


class Wraps(Policy):
    async def around(self, call: Call, next: Next) -> Reply:
        try:
            return await next(call)
        except Exception as error:
            raise RuntimeError("the model failed") from error


class Swallows(Policy):
    """Takes whatever is no Exception for a failure, too."""

    async def around(self, call: Call, next: Next) -> Reply:
        try:
            return await next(call)
        except Exception:
            raise
        except BaseException:
            raise Overloaded("interrupted") from None


class Cancelled(Policy):
    """Takes a cancellation for a failure and tries again."""

    async def around(self, call: Call, next: Next) -> Reply:
        try:
            return await next(call)
        except asyncio.CancelledError:
            return await next(call)


class Mutates(Policy):
    async def around(self, call: Call, next: Next) -> Reply:
        call.kwargs["temperature"] = 1
        return await next(call)


class Renumbers(Policy):
    async def around(self, call: Call, next: Next) -> Reply:
        call.number += 1
        return await next(call)


class ClosesTwice(Policy):
    async def around(self, call: Call, next: Next) -> Reply:
        reply = await next(call)
        if reply.source is not None and not call.runtime.is_async:
            iterator = reply.source.iterator
            if hasattr(iterator, "close") and not hasattr(iterator, "gi_code"):
                iterator.close()
        return reply


class Leaks(Policy):
    """Hides a stream from the engine, which would close it."""

    async def around(self, call: Call, next: Next) -> Reply:
        reply = await next(call)
        if reply.source is not None:
            reply.source.done = True
        return reply


class KeepsPermits(Permits):
    """Gives a permit back only when the call ends well or badly, not when it is cancelled."""

    async def around(self, call: Call, next: Next) -> Reply:
        with self.lock:
            if not self.free:
                raise Overloaded("no permit is free")
            self.free -= 1
        try:
            reply = await next(call)
        except Exception:
            self.release(None)
            raise
        self.release(None)
        return reply


class Remembers(Policy):
    """Keeps the call on the policy, where the next call overwrites it."""

    async def around(self, call: Call, next: Next) -> Reply:
        self.call = call
        try:
            reply = await next(call)
        except ConnectionError:
            return await next(self.call)
        reply.value = str(reply.value).replace(str(call.args[0]), str(self.call.args[0]))
        return reply


class Locks(Policy):
    """Holds a lock of asyncio across the model's call: silent until it is contended."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def around(self, call: Call, next: Next) -> Reply:
        async with self.lock:
            return await next(call)


class Announces(Policy):
    """Calls the listeners itself."""

    async def around(self, call: Call, next: Next) -> Reply:
        for listener in call.scope.listeners:
            if getattr(listener, "__qualname__", "").startswith("survives_its_listeners"):
                listener(None)
        return await next(call)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (Nameless, "has no name"),
        (Faceless, "no repr of its own"),
        (Awaits, "suspends in a sync call"),
        (Shapely, "depends on the shape"),
        (Streamy, "depends on the shape"),
        (Wraps, "raises a RuntimeError in place of"),
        (Swallows, "swallows a BaseException"),
        (Cancelled, "does not pass cancellation on"),
        (Mutates, "changes the call"),
        (Renumbers, "changes the call"),
        (ClosesTwice, "closes a stream more than once|depends on the shape"),
        (Leaks, "open|outcomes"),
        (KeepsPermits, "give back what a cancelled call had taken"),
        (Remembers, "mixes up calls"),
        (Locks, "suspends in a sync call when 32 threads"),
        (Announces, "does not survive a listener"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_broken_policy_is_found(make: type[Policy], says: str) -> None:
    """Each rule finds the policy that breaks it, and its message says which."""
    with pytest.raises(AssertionError, match=says):
        check_policy(make)


@pytest.mark.parametrize("wrong", [3, int, "retry"])
def test_what_makes_no_policy_is_refused(wrong: Any) -> None:
    """A mistake in the call of check_policy itself is a TypeError that says what to pass."""
    with pytest.raises(TypeError, match="check_policy"):
        check_policy(wrong)


async def test_it_is_for_sync_tests() -> None:
    """Under a running loop it could not run its own: it says so."""
    with pytest.raises(RuntimeError, match="sync test"):
        check_policy(Transparent)
