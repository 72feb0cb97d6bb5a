"""Verdicts on whole answers of streams: they need the stream held back."""

from __future__ import annotations

from typing import Any

import pytest
from tenacity import retry_if_result, wait_fixed

from agentguard import errors, guard, retry
from tests.policies.failures import make, notes
from tests.shapes import Harness, every_shape, stream_shapes

SOON = wait_fixed(1)


def bad(answer: Any) -> bool:
    """Judge an answer by its text."""
    return "bad" in answer


@stream_shapes
def test_a_held_stream_is_judged_whole(harness: Harness) -> None:
    """`hold="all"` joins the text for the predicate and then hands out the very items."""
    run = harness.run(retry(on_result=bad, hold="all", wait=SOON), ["b", "a", "d"], ["go", "od"])
    assert run.items == ["go", "od"]
    assert (len(run.calls), run.slept) == (2, [1])
    assert run.attempts == [("model", "completed", None)] * 2


@stream_shapes
def test_items_that_are_no_text_are_judged_as_a_list(harness: Harness) -> None:
    """The predicate gets the list of items."""
    seen: list[Any] = []

    def judge(answer: Any) -> bool:
        seen.append(answer)
        return False

    run = harness.run(retry(on_result=judge, hold="all"), [{"a": 1}, {"b": 2}])
    assert run.items == [{"a": 1}, {"b": 2}]
    assert seen == [[{"a": 1}, {"b": 2}]]


@stream_shapes
def test_the_last_held_answer_is_handed_out(harness: Harness) -> None:
    """When attempts are used up its items still come."""
    run = harness.run(retry(on_result=bad, hold="all", attempts=2), ["bad"], ["ba", "d!"])
    assert run.items == ["ba", "d!"]
    assert run.outcome == "completed"


@every_shape
def test_a_held_stream_is_retried_to_its_end(harness: Harness) -> None:
    """Nothing has gone out, so that a failure in its middle is retried like one at its start."""
    run = harness.run(
        retry(on_result=bad, hold="all", wait=SOON), ["he", make("connection")], ["he", "llo"]
    )
    assert run.text == "hello"
    assert len(run.calls) == 2


@every_shape
def test_hold_alone_retries_a_stream_to_its_end(harness: Harness) -> None:
    """`hold="all"` without a predicate trades the first token's delay for a whole answer."""
    run = harness.run(retry(hold="all", wait=SOON), ["he", make("connection")], ["he", "llo"])
    assert run.text == "hello"
    assert len(run.calls) == 2


@stream_shapes
def test_a_held_stream_that_fails_for_ever_hands_out_nothing(harness: Harness) -> None:
    """Not one item of the failed attempts reaches the caller; their text is on the exception."""
    error = make("connection")
    run = harness.run(retry(hold="all", attempts=2), ["a", make("server")], ["bc", error])
    assert run.items == []
    assert run.error is error
    assert len(notes(error)) == 1
    partial = errors.partial(error)
    assert partial is not None
    assert partial.text == "bc"


@stream_shapes
def test_a_stream_that_was_not_expected_is_refused(harness: Harness) -> None:
    """A predicate without `hold` on a stream: generators when decorated, others when they answer."""
    if harness.shape in {"generator", "asyncgen"}:
        with pytest.raises(TypeError, match='hold="all"'):
            harness.guard(retry(on_result=bad), ["a"])
        return
    subject = harness.guard(retry(on_result=bad), ["a", "b"])
    run = subject.call()
    assert isinstance(run.error, TypeError)
    assert 'hold="all"' in str(run.error)
    assert len(run.calls) == 1
    assert (subject.model.opened, subject.model.closed) == (1, 1)


@stream_shapes
def test_a_strategy_judges_streams_by_their_errors(harness: Harness) -> None:
    """Tenacity's retry= cannot see a stream's answer unless it is held."""
    policy = retry(retry=retry_if_result(bad), wait=SOON)
    assert harness.run(policy, ["bad"], "never").items == ["bad"]
    held = retry(retry=retry_if_result(bad), hold="all", wait=SOON)
    assert harness.run(held, ["b", "ad"], ["good"]).items == ["good"]


@every_shape
def test_a_predicate_and_a_strategy_both_count(harness: Harness) -> None:
    """`on_result=` and `retry=` together: either may want another attempt."""
    policy = retry(
        on_result=lambda a: "one" in a,
        retry=retry_if_result(lambda a: "two" in a),
        hold="all",
        wait=SOON,
    )
    run = harness.run(policy, "one", "two", "three")
    assert run.text == "three"


def test_a_guard_refuses_the_generator_when_decorated() -> None:
    """The error names the function and stands where the decorator stands."""

    def story(topic: str) -> Any:
        yield topic

    with pytest.raises(TypeError, match=r"story is a generator.*hold=\"all\""):
        guard(retry(on_result=bad))(story)


def test_a_stop_strategy_sees_the_last_outcome() -> None:
    """An answer that is judged is what `stop=` finds in the state, not an earlier failure."""
    seen: list[Any] = []

    def stop(state: Any) -> bool:
        seen.append(state.outcome.exception() or state.outcome.result())
        return False

    script: list[Any] = [TimeoutError("t"), errors.Timeout("ours"), "bad", "good"]

    @retry(attempts=9, stop=stop, wait=wait_fixed(0), on_result=bad)
    def ask() -> str:
        entry = script.pop(0)
        if isinstance(entry, Exception):
            raise entry
        return str(entry)

    first, second = script[:2]
    assert ask() == "good"
    assert seen == [first, second, "bad"]
