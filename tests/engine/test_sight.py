"""A policy that must see the model call says so when there is none to be seen."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from agentguard import Policy, errors, events, fallback, guard, record, report, retry
from agentguard.engine.scope import Block, Scope
from tests.shapes import Harness, every_shape, stream_shapes, unary_shapes

ANSWER = {
    "model": "m-1",
    "choices": [{"message": {"content": "42"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}


class Counting(Policy):
    """Stands for a budget: it can do nothing where no model call is seen."""

    needs_model = True


def blind(seen: report) -> list[events.Blind]:
    """What was said of blind calls."""
    return [
        event for call in seen.calls for event in call.events if isinstance(event, events.Blind)
    ]


@every_shape
def test_plain_text_is_blind_and_warned_about_once(harness: Harness) -> None:
    """Every such call emits `Blind`, the first one warns, naming the policy and the remedy."""
    subject = harness.guard(Counting(), "text", "text")
    with report() as seen:
        with pytest.warns(UserWarning, match="counting cannot act") as warned:
            assert subject.call().text == "text"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert subject.call().text == "text"
    assert "record(" in str(warned[0].message)
    assert "client = guard(...)(client)" in str(warned[0].message)
    assert [event.policies for event in blind(seen)] == [("counting",), ("counting",)]
    assert "no model call was seen by counting" in str(seen)


@unary_shapes
def test_an_answer_that_tells_its_model_is_seen(harness: Harness) -> None:
    """A provider's answer says what it cost: nothing to warn about."""
    with report() as seen:
        assert harness.run(Counting(), ANSWER).error is None
    assert blind(seen) == []


@stream_shapes
def test_a_stream_that_tells_its_model_is_seen(harness: Harness) -> None:
    """Also when the model is only in its chunks."""
    chunk = {
        "model": "m-1",
        "object": "chat.completion.chunk",
        "choices": [{"delta": {"content": "42"}, "index": 0, "finish_reason": "stop"}],
    }
    with report() as seen:
        assert harness.run(Counting(), [chunk]).error is None
    assert blind(seen) == []


@every_shape
def test_what_is_recorded_inside_is_seen(harness: Harness) -> None:
    """A function that returns text is not blind when it passes the response to `record`."""

    def asks(*args: Any, **kwargs: Any) -> str:
        record(ANSWER)
        return "text"

    with report() as seen:
        assert harness.run(Counting(), asks).error is None
    assert blind(seen) == []


@every_shape
def test_a_guarded_call_inside_is_seen(harness: Harness) -> None:
    """An agent is not blind when the model it asks is guarded by itself."""
    ask = retry()(lambda: ANSWER)

    def agent(*args: Any, **kwargs: Any) -> str:
        ask()
        return "text"

    with report() as seen:
        assert harness.run(Counting(), agent).error is None
    assert blind(seen) == []


@every_shape
def test_a_failure_is_not_blind(harness: Harness) -> None:
    """A call that failed had no answer to show."""
    with report() as seen:
        assert isinstance(harness.run(Counting(), ValueError("no")).error, ValueError)
    assert blind(seen) == []


@every_shape
def test_a_fallbacks_fixed_answer_is_not_blind(harness: Harness) -> None:
    """It costs nothing, and says nothing of what the primary would have shown."""
    subject = harness.guard(
        guard(Counting(), fallback(harness.target("sorry", repeat_last=True)), on_blind="raise"),
        ConnectionError("down"),
        ConnectionError("down"),
    )
    with report() as seen:
        assert [subject.call().text for _ in range(2)] == ["sorry", "sorry"]
    assert blind(seen) == []


class Around(Block):
    """A block whose policy needs to see the model call."""

    def surround(self, outer: Scope) -> Scope:
        return outer.within(policies=(Counting(),))


def test_a_tool_is_not_blind() -> None:
    """It asks no model: neither its own guard nor a block around it has anything to see."""
    tool = guard(Counting(), on_blind="raise").tool(lambda: "sent")
    with report() as seen, Around():
        assert [tool(), tool()] == ["sent", "sent"]
    assert blind(seen) == []


def test_a_block_is_blind_too() -> None:
    """A block that counts surrounds a function that shows nothing."""
    with report() as seen, Around(), pytest.warns(UserWarning, match="counting"):
        retry()(lambda: "text")()
    assert len(blind(seen)) == 1


@unary_shapes
def test_on_blind_raise_refuses_it(harness: Harness) -> None:
    """The first call shows that nothing can be seen; no further request is made."""
    subject = harness.guard(guard(Counting(), on_blind="raise"), "text", "never")
    with pytest.warns(UserWarning, match="counting"):
        first = subject.call()
    second = subject.call()
    for run in (first, second):
        assert isinstance(run.error, errors.Blind)
        assert "on_blind" in str(run.error)
    assert second.calls == []


@stream_shapes
def test_on_blind_raise_refuses_the_next_stream(harness: Harness) -> None:
    """Of a stream it is known at its end, when its text has gone out: the next one is refused."""
    subject = harness.guard(guard(Counting(), on_blind="raise"), "text", "never")
    with pytest.warns(UserWarning, match="counting"):
        assert subject.call().text == "text"
    second = subject.call()
    assert isinstance(second.error, errors.Blind)
    assert second.calls == []


def test_policies_that_need_no_model_do_not_look() -> None:
    """A retry around plain text is no cause for a warning."""
    with report() as seen:
        retry()(lambda: "text")()
    assert blind(seen) == []


def test_the_guard_keeps_what_it_was_told() -> None:
    """`on_blind` survives `with_`, `without` and a guard around a guard."""
    told = guard(Counting(), retry(), on_blind="raise")
    assert told.without("retry").options.on_blind == "raise"
    assert told.with_(retry(attempts=2)).options.on_blind == "raise"
    assert guard(retry()).around(told).options.on_blind == "raise"


def test_on_blind_takes_two_words() -> None:
    """Anything else is refused where it is written."""
    with pytest.raises(ValueError, match='"warn" or "raise"'):
        guard(Counting(), on_blind="explode")  # type: ignore[arg-type]
