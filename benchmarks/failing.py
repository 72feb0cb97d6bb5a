"""What a failure costs: one retry, one fallback, one refusal of an open circuit."""

from __future__ import annotations

from typing import Any

import pybreaker
import stamina
import tenacity

from agentguard import breaker, errors, fallback, guard, retry
from benchmarks.common import (
    Row,
    acalls,
    against,
    agarbage,
    calls,
    garbage,
    none_left,
    section,
)

ABOUT = (
    "A function that fails with ConnectionError and answers when asked again, with no wait between; "
    "one that always fails, with a fallback; one behind a circuit that is open. Ours classify the "
    "failure, mind its Retry-After, and keep a retry budget for each target."
)
AGAIN: dict[str, Any] = {"stop": tenacity.stop_after_attempt(3), "wait": tenacity.wait_none()}


class Flaky:
    """Every other call fails."""

    def __init__(self) -> None:
        self.failed = False

    def turn(self, question: str) -> str:
        """Fail or answer."""
        self.failed = not self.failed
        if self.failed:
            raise ConnectionError("provider is down")
        return question


def flaky() -> Any:
    """Make a function that fails once before each answer."""
    state = Flaky()

    def fn(question: str) -> str:
        return state.turn(question)

    return fn


def aflaky() -> Any:
    """Make a coroutine function that does."""
    state = Flaky()

    async def fn(question: str) -> str:
        return state.turn(question)

    return fn


def down(_: str) -> str:
    """Fail always."""
    raise ConnectionError("provider is down")


def other(question: str) -> str:
    """Answer in place of the primary."""
    return question


async def adown(_: str) -> str:
    """Fail always."""
    raise ConnectionError("provider is down")


async def aother(question: str) -> str:
    """Answer in place of the primary."""
    return question


def by_hand(question: str) -> str:
    """Fall back as one writes it by hand."""
    try:
        return down(question)
    except ConnectionError:
        return other(question)


async def aby_hand(question: str) -> str:
    """Do the same asynchronously."""
    try:
        return await adown(question)
    except ConnectionError:
        return await aother(question)


def refused(fn: Any, error: type[Exception]) -> Any:
    """Call what is behind an open circuit."""

    def call(question: str) -> None:
        try:
            fn(question)
        except error:
            return
        raise AssertionError("the circuit is closed")

    return call


def opened(fn: Any) -> Any:
    """Break a circuit by failing behind it."""
    for _ in range(5):
        try:
            fn("question")
        except Exception:
            continue
    return fn


def main() -> None:
    """Measure and print."""
    stamina.instrumentation.set_on_retry_hooks([])  # it would write a log line for each retry
    from_stamina: dict[str, Any] = {"on": ConnectionError, "wait_initial": 0, "wait_jitter": 0}
    sync: dict[str, Any] = {
        "retry": guard(retry(wait=tenacity.wait_none()))(flaky()),
        "tenacity": tenacity.retry(**AGAIN, sleep=_no_sleep)(flaky()),
        "stamina": stamina.retry(**from_stamina)(flaky()),
        "fallback": guard(fallback(other))(down),
        "by hand": by_hand,
    }
    sync["breaker"] = refused(opened(guard(breaker())(down)), errors.CircuitOpen)
    broken = opened(pybreaker.CircuitBreaker(fail_max=5)(down))
    sync["pybreaker"] = refused(broken, pybreaker.CircuitBreakerError)
    asynchronous: dict[str, Any] = {
        "retry": guard(retry(wait=tenacity.wait_none()))(aflaky()),
        "tenacity": tenacity.retry(**AGAIN, sleep=_ano_sleep)(aflaky()),
        "fallback": guard(fallback(aother))(adown),
        "by hand": aby_hand,
    }
    rows = _rows("sync", calls(sync)) + _rows("async", acalls(asynchronous))
    for kind, cases, left in (("sync", sync, garbage), ("async", asynchronous, agarbage)):
        counts = left(cases["retry"], 1000), left(cases["tenacity"], 1000)
        rows.append(none_left(f"{kind}: cyclic garbage of 1,000 retries, tenacity", *counts))
        rows.append(
            none_left(f"{kind}: cyclic garbage of 1,000 fallbacks", left(cases["fallback"], 1000))
        )
    print(section(ABOUT, rows, "tenacity", "stamina", "pybreaker"))


def _rows(kind: str, found: dict[str, float]) -> list[Row]:
    pairs = {
        "one retry, tenacity": ("retry", "tenacity"),
        "one retry, stamina": ("retry", "stamina"),
        "one fallback, try and except by hand": ("fallback", "by hand"),
        "a refusal, pybreaker": ("breaker", "pybreaker"),
    }
    return [
        against(f"{kind}: {case}", found[ours], found[peer])
        for case, (ours, peer) in pairs.items()
        if ours in found and peer in found
    ]


def _no_sleep(_: float) -> None:
    return None


async def _ano_sleep(_: float) -> None:
    return None


if __name__ == "__main__":
    main()
