"""The harness that runs one test in every shape."""

from __future__ import annotations

import pytest

from agentguard import Policy, events, timeout
from agentguard.errors import Timeout
from agentguard.testing import Cut, FakeRuntime, ScriptEnded, Stall
from tests.shapes import Harness, every_shape, stream_shapes, unary_shapes


@every_shape
def test_an_answer_comes_out_in_every_shape(harness: Harness) -> None:
    """One script gives the same text, one call and one completed outcome in every shape."""
    run = harness.run(Policy(), ["an", "swer"])
    assert run.text == "answer"
    assert [call.args for call in run.calls] == [("hi",)]
    assert run.outcome == "completed"
    assert run.attempts == [("model", "completed", None)]


@every_shape
def test_an_exception_comes_out_in_every_shape(harness: Harness) -> None:
    """What the script raises is what the run reports, the very object."""
    error = ConnectionError("reset")
    run = harness.run(Policy(), error)
    assert run.error is error
    assert run.outcome == "failed"
    assert run.attempts == [("model", "failed", "connection")]
    with pytest.raises(ConnectionError):
        _ = run.text


@every_shape
def test_a_stall_is_bounded_in_every_shape(harness: Harness) -> None:
    """A script that stalls longer than a bound passes it after exactly that virtual time."""
    run = harness.run(timeout(30), [Stall(60), "late"])
    assert isinstance(run.error, Timeout)
    assert run.now == 30
    assert run.outcome == "failed"
    assert len(run.heard(events.TimedOut)) == 1


@every_shape
def test_a_stall_within_the_bound_is_waited_for(harness: Harness) -> None:
    """A stall that is shorter than the bound, or just as long, delays the answer."""
    assert harness.run(timeout(30), [Stall(10), "ok"]).now == 10
    assert harness.run(timeout(30), [Stall(30), "ok"]).text == "ok"


@stream_shapes
def test_a_stream_fails_where_the_script_says(harness: Harness) -> None:
    """Items before the exception are delivered, and then it is raised."""
    error = ConnectionError("reset")
    run = harness.run(Policy(), ["a", "b", error, "c"])
    assert (run.items, run.error, run.outcome) == (["a", "b"], error, "failed")


@stream_shapes
def test_a_stream_can_end_early(harness: Harness) -> None:
    """Nothing comes after `Cut()`."""
    assert harness.run(Policy(), ["a", Cut(), "b"]).items == ["a"]


@stream_shapes
@pytest.mark.parametrize("drop", [False, True])
def test_a_stream_can_be_left(harness: Harness, drop: bool) -> None:
    """Reading one item and leaving the stream, closed or not, settles it as abandoned."""
    subject = harness.guard(Policy(), ["a", "b", "c"], repeat_last=True)
    run = subject.call(read=1, drop=drop)
    assert run.items == ["a"]
    assert run.outcome == "abandoned"
    assert subject.model.closed == subject.model.opened == 1


@unary_shapes
def test_a_list_is_one_answer_in_a_unary_shape(harness: Harness) -> None:
    """Text is joined; anything else stays a list."""
    assert harness.run(Policy(), ["a", "b"]).value == "ab"
    assert harness.run(Policy(), [{"n": 1}, {"n": 2}]).value == [{"n": 1}, {"n": 2}]


@every_shape
def test_one_subject_serves_several_calls(harness: Harness) -> None:
    """A subject goes through its script call by call, and says when it has no entry left."""
    with FakeRuntime() as time:
        subject = harness.guard(Policy(), "one", "two")
        assert subject.call().text == "one"
        time.advance(60)
        second = subject.call("again", n=1)
        assert (second.text, second.now) == ("two", 60)
        assert second.calls == [(("again",), {"n": 1}, 60.0)]
        assert isinstance(subject.call().error, ScriptEnded)


@every_shape
def test_another_target_has_the_same_shape(harness: Harness) -> None:
    """A target for fallbacks is of the harness's shape and keeps a journal."""
    target = harness.target("from the backup")
    assert target.__name__ == "backup"
    assert target.model.calls == []
