"""Strategies of tenacity under our retry, against tenacity's own loop with the same scripts."""

from __future__ import annotations

import random
import types
from typing import Any

import pytest
import tenacity
from tenacity import (
    TryAgain,
    retry_all,
    retry_any,
    retry_if_exception,
    retry_if_exception_cause_type,
    retry_if_exception_message,
    retry_if_exception_type,
    retry_if_not_exception_type,
    retry_if_not_result,
    retry_if_result,
    retry_unless_exception_type,
    stop_after_attempt,
    stop_after_delay,
    stop_all,
    stop_any,
    stop_before_delay,
    stop_never,
    wait_chain,
    wait_combine,
    wait_exception,
    wait_exponential,
    wait_exponential_jitter,
    wait_fixed,
    wait_incrementing,
    wait_none,
    wait_random,
    wait_random_exponential,
)

from agentguard import retry
from agentguard.testing.clock import FakeRuntime


class Asks(Exception):
    """A failure that says how long to wait, in a way that no provider does."""

    pause = 7.0


WAITS: dict[str, Any] = {
    "none": wait_none(),
    "fixed": wait_fixed(2),
    "incrementing": wait_incrementing(start=1, increment=2, max=6),
    "exponential": wait_exponential(multiplier=0.5, max=10),
    "random": wait_random(1, 3),
    "random exponential": wait_random_exponential(multiplier=1, max=20),
    "exponential jitter": wait_exponential_jitter(max=20),
    "chain": wait_chain(wait_fixed(1), wait_fixed(3), wait_fixed(5)),
    "sum": wait_fixed(1) + wait_random(0, 2),
    "combine": wait_combine(wait_fixed(1), wait_incrementing()),
    "exception": wait_exception(lambda error: getattr(error, "pause", 1.0)),
    "function": lambda state: float(state.attempt_number),
}
STOPS: dict[str, Any] = {
    "attempts": stop_after_attempt(4),
    "one attempt": stop_after_attempt(1),
    "after delay": stop_after_delay(6),
    "before delay": stop_before_delay(6),
    "any": stop_any(stop_after_attempt(6), stop_after_delay(9)),
    "or": stop_after_delay(5) | stop_after_attempt(3),
    "all": stop_all(stop_after_attempt(3), stop_after_delay(4)),
    "function": lambda state: state.idle_for > 4 or state.attempt_number > 7,
}
RETRIES: dict[str, Any] = {
    "type": retry_if_exception_type((ValueError, Asks)),
    "not type": retry_if_not_exception_type(KeyError),
    "exception": retry_if_exception(lambda error: "again" in str(error)),
    "message": retry_if_exception_message(match="again"),
    "unless": retry_unless_exception_type(KeyError),
    "cause": retry_if_exception_cause_type(OSError),
    "result": retry_if_result(lambda answer: not answer),
    "not result": retry_if_not_result(bool),
    "any": retry_any(retry_if_exception_type(ValueError), retry_if_result(lambda a: a == "")),
    "all": retry_all(retry_if_exception_type(Exception), retry_if_exception_message(match="a")),
    "or": retry_if_exception_type(ValueError) | retry_if_result(lambda a: a == ""),
    "function": lambda state: state.outcome.failed,
}


def caused() -> ValueError:
    """Make a failure with a cause."""
    error = ValueError("again")
    error.__cause__ = OSError("reset")
    return error


# Each entry: seconds that the attempt takes, and what comes of it.
SCRIPTS: dict[str, list[tuple[float, Any]]] = {
    "succeeds": [(0.5, "answer")],
    "fails once": [(0.5, ValueError("again")), (0.5, "answer")],
    "fails for ever": [(1, ValueError("again"))] * 12,
    "another failure": [(0.5, ValueError("again")), (0.5, KeyError("again")), (0.5, "answer")],
    "a bug": [(0.5, KeyError("x"))] * 2 + [(0.5, "answer")],
    "slow": [(4, ValueError("again")), (4, ValueError("again")), (4, "answer")],
    "empty": [(0.5, ""), (0.5, ""), (0.5, "answer")],
    "empty for ever": [(0.5, "")] * 12,
    "mixed": [(0.5, ""), (0.5, ValueError("again")), (0.5, Asks("again")), (0.5, "answer")],
    "asks": [(0.5, Asks("again"))] * 3 + [(0.5, "answer")],
    "try again": [(0.5, TryAgain()), (0.5, TryAgain()), (0.5, "answer")],
    "try again for ever": [(0.5, TryAgain())] * 12,
    "with a cause": [(0.5, caused()), (0.5, "answer")],
}


class Script:
    """Plays a script: takes its time, then answers or raises."""

    def __init__(self, entries: list[tuple[float, Any]], spend: Any) -> None:
        self.left = list(entries)
        self.spend = spend
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        took, what = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        self.spend(took)
        if isinstance(what, BaseException):
            raise what
        return what


def theirs(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], name: str) -> Any:
    """What tenacity's own loop does: (answer or exception, attempts, waits)."""
    now, slept = 0.0, []

    def spend(seconds: float) -> None:
        nonlocal now
        now += seconds

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        spend(seconds)

    monkeypatch.setattr(tenacity, "time", types.SimpleNamespace(monotonic=lambda: now))
    random.seed(7)
    script = Script(SCRIPTS[name], spend)
    try:
        got = tenacity.Retrying(reraise=True, sleep=sleep, **settings)(script)
    except tenacity.RetryError as error:
        got = error.last_attempt.result()  # reraise=True has no exception to raise for an answer
    except Exception as error:
        got = error
    return got, script.calls, slept


def same(left: Any, right: Any) -> bool:
    """Compare two answers, or two exceptions by identity (those of strategies by what they say)."""
    scripted = [what for entries in SCRIPTS.values() for _, what in entries]
    if isinstance(left, Exception) and not any(left is what for what in scripted):
        return repr(left) == repr(right)
    return left is right if isinstance(left, Exception) else left == right


def ours(settings: dict[str, Any], name: str) -> Any:
    """The same by our retry around a function."""
    random.seed(7)
    with FakeRuntime() as time:
        script = Script(SCRIPTS[name], time.pause)
        guarded = retry(attempts=1000, within=10_000, budget=None, **settings)(script)
        try:
            got = guarded()
        except Exception as error:
            got = error
        return got, script.calls, [wait for wait in time.slept if wait]


async def ours_async(settings: dict[str, Any], name: str) -> Any:
    """The same by our retry around a coroutine function."""
    random.seed(7)
    with FakeRuntime() as time:
        script = Script(SCRIPTS[name], lambda seconds: None)

        @retry(attempts=1000, within=10_000, budget=None, **settings)
        async def ask() -> Any:
            await time.pause_async(script.left[0][0])
            return script()

        try:
            got = await ask()
        except Exception as error:
            got = error
        return got, script.calls, [wait for wait in time.slept if wait]


CASES = [
    *({"wait": wait, "stop": "attempts", "retry": "type"} for wait in WAITS),
    *(
        {"wait": "incrementing", "stop": stop, "retry": "type"}
        for stop in STOPS
        if stop != "attempts"
    ),
    *({"wait": "random", "stop": "any", "retry": retry_} for retry_ in RETRIES),
    {"wait": "exception", "stop": "before delay", "retry": "any"},
    {"wait": "chain", "stop": "all", "retry": "not type"},
]


def settings_of(case: dict[str, str]) -> dict[str, Any]:
    """The strategy objects of a case."""
    return {
        "wait": WAITS[case["wait"]],
        "stop": STOPS[case["stop"]],
        "retry": RETRIES[case["retry"]],
    }


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case.values()))
def test_strategies_decide_as_in_tenacity(
    monkeypatch: pytest.MonkeyPatch, case: dict[str, str], script: str
) -> None:
    """Same answer or exception, same number of attempts, same waits, in sync and async code."""
    settings = settings_of(case)
    expected, attempts, waits = theirs(monkeypatch, settings, script)
    monkeypatch.undo()
    got, calls, slept = ours(settings, script)
    assert same(got, expected)
    assert (calls, slept) == (attempts, [wait for wait in waits if wait])


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("case", CASES[::3], ids=lambda case: "-".join(case.values()))
async def test_strategies_decide_as_in_tenacity_in_async_code(
    monkeypatch: pytest.MonkeyPatch, case: dict[str, str], script: str
) -> None:
    """Same answer or exception, same number of attempts, same waits."""
    settings = settings_of(case)
    expected, attempts, waits = theirs(monkeypatch, settings, script)
    monkeypatch.undo()
    got, calls, slept = await ours_async(settings, script)
    assert same(got, expected)
    assert (calls, slept) == (attempts, [wait for wait in waits if wait])


def test_never_stopping_strategies_are_bounded_by_attempts() -> None:
    """`stop_never` does not lift `attempts`: a strategy adds to our bounds."""
    with FakeRuntime() as time:
        script = Script([(0, ValueError("again"))] * 9, time.pause)
        guarded = retry(attempts=4, stop=stop_never, wait=wait_fixed(1), on=ValueError)(script)
        with pytest.raises(ValueError, match="again"):
            guarded()
    assert script.calls == 4


def test_a_strategy_sees_the_call() -> None:
    """`fn`, `args`, `kwargs`, the outcome and the times of tenacity's state are filled in."""
    seen: list[Any] = []

    def wait(state: tenacity.RetryCallState) -> float:
        seen.append(state)
        return 2.0

    def ask(question: str, *, model: str) -> str:
        time.pause(1.5)
        if len(seen) < 2:
            raise ConnectionError("reset")
        return "42"

    with FakeRuntime() as time:
        assert retry(wait=wait)(ask)("?", model="m") == "42"
    first, second = seen
    assert (first.fn, first.args, first.kwargs) == (ask, ("?",), {"model": "m"})
    assert isinstance(first.outcome.exception(), ConnectionError)
    assert (first.attempt_number, second.attempt_number) == (1, 2)
    assert (first.idle_for, second.idle_for) == (0, 2.0)
    assert (first.seconds_since_start, second.seconds_since_start) == (1.5, 5.0)


def test_a_wait_below_zero_is_none() -> None:
    """A strategy that computes a negative wait does not break the clock."""
    with FakeRuntime() as time:
        script = Script([(0, ConnectionError()), (0, "42")], time.pause)
        assert retry(wait=lambda state: -3)(script)() == "42"
        assert time.now == 0


def test_tenacity_is_not_imported_until_a_strategy_is_asked() -> None:
    """What nobody uses costs nothing; see also the package's import test."""
    import subprocess
    import sys

    code = (
        "import sys, agentguard as ag\n"
        "@ag.retry\n"
        "def ask():\n    return 42\n"
        "assert ask() == 42 and 'tenacity' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
