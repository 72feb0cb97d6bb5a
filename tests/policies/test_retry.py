from __future__ import annotations

import asyncio
import contextlib
import gc
import threading

import pytest
from tenacity import stop_after_attempt, wait_fixed

from agentguard import (
    Policy,
    RetryBudget,
    deadline,
    errors,
    events,
    fallback,
    retry,
    timeout,
)
from agentguard.providers.failures import classify
from agentguard.retrying.backoff import delay
from agentguard.testing import FakeRuntime, ScriptedModel
from tests.policies.failures import KINDS, REFUSALS, RETRIED, UNTOUCHED, make, notes, status
from tests.shapes import Harness, every_shape, unary_shapes

SOON = wait_fixed(1)


@pytest.mark.parametrize("kind", KINDS)
def test_failures_are_what_the_tests_say(kind: str) -> None:
    """The table below is about kinds: each exception has its own."""
    assert classify(make(kind)).kind == kind


@pytest.mark.parametrize("kind", KINDS)
@every_shape
def test_what_is_retried_by_default(harness: Harness, kind: str) -> None:
    """Failures that pass are retried once and answered; all others come out after one attempt."""
    error = make(kind)
    run = harness.run(retry(), error, "answer")
    if kind in RETRIED:
        assert run.text == "answer"
        assert len(run.calls) == 2
        assert run.attempts == [("model", "failed", kind), ("model", "completed", None)]
    else:
        assert run.error is error
        assert len(run.calls) == 1
        assert run.slept == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in UNTOUCHED + REFUSALS])
@every_shape
def test_any_other_kind_is_retried_when_asked_for(harness: Harness, kind: str) -> None:
    """`on=` a kind retries it, in each shape."""
    run = harness.run(retry(on=kind, wait=SOON), make(kind), "answer")
    assert (run.text, len(run.calls), run.slept) == ("answer", 2, [1])


@pytest.mark.parametrize("kind", UNTOUCHED)
@every_shape
def test_cancellation_and_control_flow_are_never_retried(harness: Harness, kind: str) -> None:
    """Not even by name: a framework waits for them, and they are left without a note."""
    error = make(kind)
    run = harness.run(retry(on=(kind, Exception)), error, "answer")
    assert run.error is error
    assert notes(error) == []
    assert not run.heard(events.GaveUp)


@pytest.mark.parametrize("kind", REFUSALS)
@every_shape
def test_our_refusals_are_never_retried(harness: Harness, kind: str) -> None:
    """Asking again at once cannot change a refusal of ours, so `on=` does not help."""
    error = make(kind)
    run = harness.run(retry(on=(kind, Exception)), error, "answer")
    assert run.error is error
    assert len(run.calls) == 1


@every_shape
def test_a_base_exception_passes_untouched(harness: Harness) -> None:
    """KeyboardInterrupt is no failure: no retry, no note, no event."""
    error = KeyboardInterrupt()
    run = harness.run(retry(), error, "answer")
    assert run.error is error
    assert notes(error) == []
    assert run.outcome == "abandoned"


@every_shape
def test_attempts_bound_the_tries(harness: Harness) -> None:
    """The first attempt counts; the last exception comes out, the very object."""
    failures = [make("server"), make("overloaded"), make("connection")]
    run = harness.run(retry(attempts=3), *failures, "never")
    assert run.error is failures[-1]
    assert len(run.calls) == 3
    assert [each.kind for each in run.record.attempts] == ["server", "overloaded", "connection"]


@every_shape
def test_one_attempt_is_no_retry(harness: Harness) -> None:
    """`attempts=1` calls once."""
    run = harness.run(retry(attempts=1), make("server"), "never")
    assert (len(run.calls), run.slept) == (1, [])


@every_shape
def test_waits_are_full_jitter_from_the_clocks_chance(harness: Harness) -> None:
    """The default waits are those of the formula with the runtime's random numbers."""
    failures = [make("server") for _ in range(5)]
    run = harness.run(retry(attempts=6), *failures, "answer")
    with FakeRuntime() as other:
        expected = [delay(n, other.random()) for n in range(1, 6)]
    assert run.slept == pytest.approx(expected)
    assert [each.wait for each in run.record.attempts] == [0.0, *run.slept]


@every_shape
def test_events_say_what_was_retried(harness: Harness) -> None:
    """One Retried per wait with kind, number and length; GaveUp once at the end."""
    run = harness.run(
        retry(attempts=2, wait=SOON), status(429, retry_after="3"), make("server"), "never"
    )
    (retried,) = run.heard(events.Retried)
    assert (retried.kind, retried.number, retried.wait, retried.obeyed) == (
        "rate_limited",
        1,
        3,
        True,
    )
    (gave_up,) = run.heard(events.GaveUp)
    assert (gave_up.kind, gave_up.number) == ("server", 2)
    assert "attempts=2" in gave_up.reason


@every_shape
def test_a_wait_of_our_own_is_not_called_obeyed(harness: Harness) -> None:
    """`obeyed` is for the provider's waits only."""
    run = harness.run(retry(wait=SOON), make("server"), "answer")
    (retried,) = run.heard(events.Retried)
    assert retried.obeyed is False


# Retry-After and x-should-retry


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "0.25"}, 0.25),
        ({"retry_after": "0"}, 0),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "120"}, 120),
        ({"retry_after": "Thu, 01 Jan 2026 00:01:00 GMT"}, 60),
        ({"retry_after": "Wed, 31 Dec 2025 23:59:00 GMT"}, 0),
    ],
)
@every_shape
def test_the_providers_wait_is_obeyed_exactly(
    harness: Harness, headers: dict[str, str], wait: float
) -> None:
    """Neither jitter nor a `wait=` strategy changes what the provider asks for."""
    run = harness.run(retry(wait=wait_fixed(99)), status(429, **headers), "answer")
    assert run.text == "answer"
    assert run.now == pytest.approx(wait)


@every_shape
def test_a_longer_wait_than_the_limit_is_no_retry(harness: Harness) -> None:
    """Above `max_retry_after` the call fails at once instead of waiting less than asked."""
    error = status(429, retry_after="121")
    run = harness.run(retry(), error, "never")
    assert run.error is error
    assert (len(run.calls), run.now) == (1, 0)
    (note,) = notes(error)
    assert "121 s" in note
    assert "max_retry_after=120" in note


@every_shape
def test_the_limit_can_be_moved(harness: Harness) -> None:
    """`max_retry_after=` in both directions, its own value included."""
    patient = harness.run(retry(max_retry_after=200), status(429, retry_after="200"), "answer")
    assert patient.now == 200
    hasty = harness.run(retry(max_retry_after=1), status(429, retry_after="1.5"), "never")
    assert hasty.now == 0
    assert hasty.error is not None


@every_shape
def test_a_wait_past_the_deadline_is_no_retry(harness: Harness) -> None:
    """What cannot be finished in time is not begun: the failure comes out at once."""
    error = status(429, retry_after="10")
    subject = harness.guard(retry(), error, "never")
    with FakeRuntime(), deadline(10):
        run = subject.call()
    assert run.error is error
    assert run.now == 0
    assert "deadline" in notes(error)[0]


@every_shape
def test_a_wait_within_the_deadline_is_obeyed(harness: Harness) -> None:
    """Just below the deadline it is waited for in full."""
    subject = harness.guard(retry(), status(429, retry_after="10"), "answer")
    with FakeRuntime(), deadline(10.5):
        run = subject.call()
    assert (run.text, run.now) == ("answer", 10)


@pytest.mark.parametrize("kind", ["auth", "invalid_request", "unknown"])
@every_shape
def test_the_servers_yes_is_obeyed(harness: Harness, kind: str) -> None:
    """`x-should-retry: true` retries what would not be."""
    codes = {"auth": 401, "invalid_request": 400, "unknown": 200}
    run = harness.run(retry(), status(codes[kind], x_should_retry="true"), "answer")
    assert run.text == "answer"


@every_shape
def test_the_servers_no_is_obeyed(harness: Harness) -> None:
    """`x-should-retry: false` is the last word, whatever `on=` says."""
    error = status(503, x_should_retry="false")
    run = harness.run(retry(on=(Exception, "overloaded")), error, "never")
    assert run.error is error
    assert len(run.calls) == 1
    assert "x-should-retry" in notes(error)[0]


# within, on, on_result


@every_shape
def test_within_bounds_attempts_and_waits(harness: Harness) -> None:
    """Another attempt that would begin after `within` seconds is not made."""
    failures = [make("server") for _ in range(9)]
    run = harness.run(retry(attempts=9, within=10, wait=wait_fixed(4)), *failures)
    assert (len(run.calls), run.now) == (3, 8)
    assert run.error is failures[2]
    assert "within=10 s" in notes(failures[2])[0]


@unary_shapes
def test_within_counts_the_time_that_attempts_take(harness: Harness) -> None:
    """Not only waits: two slow attempts use it up too."""

    def slow(*_: object) -> object:
        return [Wait(6), make("server")]

    from agentguard.testing.stream import Stall as Wait

    run = harness.run(retry(attempts=9, within=10, wait=wait_fixed(1)), slow, slow, slow)
    assert (len(run.calls), run.now) == (2, 13)


@pytest.mark.parametrize(
    ("on", "hit", "miss"),
    [
        (LookupError, KeyError("x"), ValueError("x")),
        ((KeyError, ValueError), ValueError("x"), IndexError("x")),
        ("unknown", ValueError("x"), status(401)),
        (("auth", KeyError), status(401), make("server")),
        ("transient", make("truncated"), ValueError("x")),
        (("transient", ValueError), ValueError("x"), KeyError("x")),
        (lambda error: "x" in str(error), ValueError("x"), ValueError("y")),
        ([], None, make("server")),
    ],
    ids=[
        "base type",
        "types",
        "kind",
        "kind and type",
        "transient",
        "transient and type",
        "predicate",
        "nothing",
    ],
)
@every_shape
def test_on_says_what_is_retried(
    harness: Harness, on: object, hit: Exception | None, miss: Exception
) -> None:
    """Types, kinds, predicates, "transient", one or several; and nothing else."""
    policy = retry(on=on, wait=SOON)
    if hit is not None:
        assert harness.run(policy, hit, "answer").text == "answer"
    run = harness.run(policy, miss, "never")
    assert run.error is miss
    assert len(run.calls) == 1


@every_shape
def test_the_note_on_an_unknown_failure_says_how_to_retry_it(harness: Harness) -> None:
    """The user is told the very argument."""
    error = ValueError("odd")
    harness.run(retry(), error, "never")
    (note,) = notes(error)
    assert 'on=("transient", ValueError)' in note


@unary_shapes
def test_an_answer_is_judged(harness: Harness) -> None:
    """`on_result=` has the answer made again while it says True."""
    run = harness.run(retry(on_result=lambda a: a == "bad", wait=SOON), "bad", "bad", "good")
    assert (run.text, len(run.calls), run.slept) == ("good", 3, [1, 1])


@unary_shapes
def test_the_last_answer_is_returned_when_attempts_are_used_up(harness: Harness) -> None:
    """No exception is made up for an answer; an event says that it was not wanted."""
    run = harness.run(retry(on_result=lambda a: True, attempts=2), "bad", "worse", "never")
    assert (run.text, len(run.calls)) == ("worse", 2)
    assert run.outcome == "completed"
    assert len(run.heard(events.GaveUp)) == 1


@unary_shapes
def test_failures_and_answers_share_the_attempts(harness: Harness) -> None:
    """A rejected answer and an exception both count."""
    run = harness.run(retry(on_result=lambda a: a == "", wait=SOON), make("server"), "", "good")
    assert (run.text, run.slept) == ("good", [1, 1])


@unary_shapes
def test_a_predicate_that_fails_comes_out(harness: Harness) -> None:
    """A bug in the user's own code is shown, not retried."""

    def broken(answer: object) -> bool:
        raise RuntimeError("bug")

    run = harness.run(retry(on_result=broken), "answer", "never")
    assert str(run.error) == "bug"
    assert len(run.calls) == 1


# what comes out


@every_shape
def test_the_providers_exception_comes_out_itself(harness: Harness) -> None:
    """Same object, no cause or context of ours, one note that says what was tried."""
    error = make("server")
    run = harness.run(retry(attempts=2), error, error)
    assert run.error is error
    assert error.__cause__ is None
    (note,) = notes(error)
    assert note.startswith("2 attempts in ")
    assert "(server, server)" in note
    assert "attempts=2 are used up" in note


@every_shape
def test_notes_are_replaced_not_piled_up(harness: Harness) -> None:
    """The same exception instance raised in many calls carries one note, of the last."""
    error = make("server")
    error.add_note("the user's own")
    subject = harness.guard(retry(attempts=2), error, repeat_last=True)
    for _ in range(3):
        assert subject.call().error is error
    assert len(notes(error)) == 1
    assert error.__notes__[0] == "the user's own"
    assert len(error.__notes__) == 2


@every_shape
def test_a_singleton_is_retried_afresh_in_a_later_call(harness: Harness) -> None:
    """A module-level exception object that was given up on before is a new failure."""
    error = make("server")
    subject = harness.guard(retry(attempts=2, wait=SOON), error, repeat_last=True)
    assert [len(subject.call().calls) for _ in range(3)] == [2, 2, 2]


@every_shape
def test_a_refusal_names_the_failure_that_led_to_it(harness: Harness) -> None:
    """A refusal of ours after a provider's failure has that as its cause."""
    error, refusal = make("server"), make("saturated")
    run = harness.run(retry(wait=SOON), error, refusal)
    assert run.error is refusal
    assert refusal.__cause__ is error


@every_shape
def test_an_open_circuit_is_waited_for_within_a_deadline(harness: Harness) -> None:
    """When it reopens in time it is retried then; the wait counts as obeyed."""
    subject = harness.guard(retry(), errors.CircuitOpen("open", retry_after=5), "answer")
    with FakeRuntime(), deadline(20):
        run = subject.call()
    assert (run.text, run.now) == ("answer", 5)
    (retried,) = run.heard(events.Retried)
    assert retried.obeyed


@pytest.mark.parametrize("seconds", [None, 5, 3])
@every_shape
def test_an_open_circuit_is_not_waited_for_beyond_it(
    harness: Harness, seconds: float | None
) -> None:
    """Without a deadline, or when it reopens too late, the refusal comes out at once."""
    refusal = errors.CircuitOpen("open", retry_after=5)
    subject = harness.guard(retry(), refusal, "never")
    with FakeRuntime():
        if seconds is None:
            run = subject.call()
        else:
            with deadline(seconds):
                run = subject.call()
    assert run.error is refusal
    assert run.now == 0


@every_shape
def test_arguments_are_the_same_in_every_attempt(harness: Harness) -> None:
    """Each attempt gets what the caller passed."""
    subject = harness.guard(retry(), make("server"), "answer")
    run = subject.call("q", model="m")
    assert [(call.args, dict(call.kwargs)) for call in run.calls] == [(("q",), {"model": "m"})] * 2


# the budget


def fail_for_ever() -> Exception:
    """Make a failure that passes, of the class that costs 5 tokens."""
    return make("server")


@every_shape
def test_an_outage_drains_the_budget(harness: Harness) -> None:
    """100 retries of 5 tokens and no more, however many calls fail; then one attempt a call."""
    subject = harness.guard(retry(attempts=3), make("server"), repeat_last=True)
    made = [len(subject.call().calls) for _ in range(60)]
    assert made[:50] == [3] * 50
    assert made[50:] == [1] * 10
    error = subject.call().error
    assert error is not None
    assert "retry budget" in notes(error)[0]


@every_shape
def test_recovery_fills_the_budget_again(harness: Harness) -> None:
    """Each success puts one token back: after five of them one retry is possible."""
    script: list[object] = [fail_for_ever() for _ in range(4)]
    script += ["ok"] * 5
    script += [fail_for_ever() for _ in range(2)]
    subject = harness.guard(retry(attempts=2, budget=RetryBudget(5)), *script)
    assert [len(subject.call().calls) for _ in range(3)] == [2, 1, 1]  # drained by the first
    assert [len(subject.call().calls) for _ in range(5)] == [1] * 5
    assert len(subject.call().calls) == 2


@every_shape
def test_a_success_after_a_retry_gives_back_what_it_took(harness: Harness) -> None:
    """A provider that fails now and then never drains it."""
    budget = RetryBudget(5)
    subject = harness.guard(retry(budget=budget), *[make("server"), "ok"] * 20)
    for _ in range(20):
        assert subject.call().text == "ok"
    assert budget.tokens == 5


@every_shape
def test_timeouts_cost_double(harness: Harness) -> None:
    """As in the AWS SDKs."""
    budget = RetryBudget(100)
    harness.run(retry(attempts=2, budget=budget), make("timeout"), make("timeout"))
    assert budget.tokens == 90


@every_shape
def test_a_budget_is_shared_by_those_who_are_given_it(harness: Harness) -> None:
    """Two functions, one bucket: the failures of one leave no retry to the other."""
    shared = RetryBudget(5)
    one = harness.guard(retry(attempts=2, budget=shared), make("server"), repeat_last=True)
    other = harness.guard(retry(attempts=2, budget=shared), make("server"), repeat_last=True)
    assert len(one.call().calls) == 2
    assert len(other.call().calls) == 1


@every_shape
def test_who_never_failed_refills_a_shared_budget_too(harness: Harness) -> None:
    """A success is a success, whichever of the functions had it."""
    shared = RetryBudget(5)
    failing = harness.guard(retry(attempts=2, budget=shared), make("server"), repeat_last=True)
    healthy = harness.guard(retry(attempts=2, budget=shared), "ok", repeat_last=True)
    assert [len(failing.call().calls) for _ in range(2)] == [2, 1]
    for _ in range(5):
        healthy.call()
    assert len(failing.call().calls) == 2


@every_shape
def test_no_budget(harness: Harness) -> None:
    """`budget=None` never runs dry."""
    subject = harness.guard(retry(attempts=2, budget=None), make("server"), repeat_last=True)
    assert [len(subject.call().calls) for _ in range(150)] == [2] * 150


@every_shape
def test_a_budget_of_zero_forbids_retries(harness: Harness) -> None:
    """One attempt each."""
    run = harness.run(retry(budget=RetryBudget(0)), make("server"), "never")
    assert len(run.calls) == 1


@every_shape
def test_what_is_not_retried_takes_no_token(harness: Harness) -> None:
    """A refused retry (attempts, time, kind) leaves the bucket as it is."""
    budget = RetryBudget(100)
    harness.run(retry(attempts=1, budget=budget), make("server"))
    harness.run(retry(within=1, wait=wait_fixed(2), budget=budget), make("server"))
    harness.run(retry(budget=budget), make("auth"))
    harness.run(retry(stop=stop_after_attempt(1), budget=budget), make("server"))
    assert budget.tokens == 100


def test_the_process_budget_belongs_to_the_target() -> None:
    """Two guards on one function share its budget; another function has its own."""
    calls: list[str] = []

    def ask(question: str) -> str:
        calls.append(question)
        raise make("server")

    def other(question: str) -> str:
        calls.append(question)
        raise make("server")

    def made(fn: object) -> int:
        calls.clear()
        with pytest.raises(Exception, match="500"):
            fn("?")  # type: ignore[operator]
        return len(calls)

    with FakeRuntime():
        first, second, foreign = retry(ask), retry(attempts=2)(ask), retry(other)
        for _ in range(50):
            made(first)
        assert made(second) == 1
        assert made(foreign) == 3


# interruptions


def test_a_caller_cancelled_while_it_waits_makes_no_further_attempt() -> None:
    """Cancellation ends the wait at once and comes out unchanged."""
    model = ScriptedModel(make("server"), "never")
    ask = retry(wait=wait_fixed(30))(model.coroutine)

    async def main() -> None:
        task = asyncio.ensure_future(ask("?"))
        await time.pause_async(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.now == 1

    with FakeRuntime() as time:
        asyncio.run(main())
    assert len(model.calls) == 1


def test_a_keyboard_interrupt_in_a_wait_comes_out() -> None:
    """And nothing is tried after it."""
    model = ScriptedModel(make("server"), "never")

    def interrupt(state: object) -> float:
        raise KeyboardInterrupt

    with FakeRuntime(), pytest.raises(KeyboardInterrupt):
        retry(wait=interrupt)(model.sync)("?")
    assert len(model.calls) == 1


def test_one_policy_serves_threads_and_loops_at_once() -> None:
    """Attempts of concurrent calls do not mix, and the shared budget adds up."""
    budget = RetryBudget(100_000)
    policy = retry(attempts=3, wait=lambda state: 0, budget=budget)
    answers: list[str] = []

    def flaky(seen: set[int], number: int) -> str:
        if number in seen:
            return str(number)
        seen.add(number)
        raise ConnectionError(number)

    def in_thread(start: int) -> None:
        seen: set[int] = set()
        ask = policy(lambda number: flaky(seen, number))
        answers.extend(ask(number) for number in range(start, start + 100))

    def in_loop(start: int) -> None:
        seen: set[int] = set()

        @policy
        async def ask(number: int) -> str:
            await asyncio.sleep(0)
            return flaky(seen, number)

        async def main() -> list[str]:
            return await asyncio.gather(*(ask(number) for number in range(start, start + 100)))

        answers.extend(asyncio.run(main()))

    threads = [
        threading.Thread(target=in_loop if turn % 2 else in_thread, args=(turn * 100,))
        for turn in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers, key=int) == [str(number) for number in range(800)]
    assert budget.tokens == 100_000  # each call gave back what its retry took


@pytest.mark.parametrize(
    "policy",
    [
        retry(attempts=2, wait=lambda state: 0, budget=None),
        fallback(lambda: "never", on="auth"),
        fallback(lambda: 1 // 0),
        timeout(5),
        timeout(5, thread=False),
    ],
    ids=["retry", "fallback", "failing fallback", "timeout", "timeout without thread"],
)
def test_a_failure_leaves_no_cyclic_garbage(policy: Policy) -> None:
    """An exception that nobody holds is gone at once, with all that its traceback holds."""

    def fail() -> None:
        raise ConnectionError("reset")

    def call() -> None:
        with contextlib.suppress(ConnectionError):
            guarded()

    guarded = policy(fail)
    call()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            call()
        assert gc.collect() < 20
    finally:
        gc.enable()
