"""Streams under retry: everything before the first content, nothing after it."""

from __future__ import annotations

from typing import Any

import pytest
from tenacity import wait_fixed

from agentguard import errors, guard, retry
from agentguard.testing import Cut
from tests.policies.failures import KINDS, RETRIED, make, notes
from tests.shapes import Harness, stream_shapes

SOON = wait_fixed(1)


def role(**more: Any) -> dict[str, Any]:
    """An opening chunk of OpenAI's chat protocol: no content yet."""
    return chunk({"role": "assistant", "content": "", **more})


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One chunk of OpenAI's chat protocol, as parsed JSON."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "model": "m-1", "choices": [choice], **more}


def text(content: str) -> dict[str, Any]:
    """A chunk with text."""
    return chunk({"content": content})


END = chunk({}, "stop")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind in RETRIED])
@stream_shapes
def test_a_failure_in_the_first_event_is_retried(harness: Harness, kind: str) -> None:
    """An error inside an HTTP 200, before any content, is a failure like any other."""
    run = harness.run(retry(wait=SOON), [make(kind)], ["hello"])
    assert run.items == ["hello"]
    assert len(run.calls) == 2


@stream_shapes
def test_a_failure_in_mid_stream_says_why_it_was_not_retried(harness: Harness) -> None:
    """The one note on the provider's exception answers what everybody asks."""
    run = harness.run(retry(wait=SOON), ["hello", make("server")], "never")
    assert run.items == ["hello"]
    assert run.error is not None
    assert notes(run.error) == ["not repeated: it broke off after its first content had come"]


@stream_shapes
def test_opening_events_are_held_back_until_content(harness: Harness) -> None:
    """A role-only opening of a failed attempt never reaches the reader."""
    run = harness.run(
        retry(wait=SOON),
        [role(), make("server")],
        [role(), role(), make("overloaded")],
        [role(), text("hi"), END],
    )
    assert run.error is None
    assert run.items == [role(), text("hi"), END]
    assert len(run.calls) == 3
    assert run.attempts == [
        ("model", "failed", "server"),
        ("model", "failed", "overloaded"),
        ("model", "completed", None),
    ]


@stream_shapes
def test_after_content_nothing_is_replayed(harness: Harness) -> None:
    """The reader keeps what it got, gets the provider's error, and no second beginning."""
    error = make("connection")
    run = harness.run(retry(), ["Hel", "lo ", error], ["never"])
    assert run.items == ["Hel", "lo "]
    assert run.error is error
    assert len(run.calls) == 1
    assert run.outcome == "failed"


@stream_shapes
def test_the_text_so_far_is_on_the_exception(harness: Harness) -> None:
    """`errors.partial` has text and usage of what had arrived."""
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    error = make("connection")
    run = harness.run(retry(), [role(), text("Hel"), text("lo") | {"usage": usage}, error])
    partial = errors.partial(error)
    assert partial is not None
    assert partial.text == "Hello"
    assert partial.usage is not None
    assert partial.usage.output_tokens == 2
    assert run.outcomes[0].partial is not None
    assert run.outcomes[0].partial.text == "Hello"


@stream_shapes
def test_a_failure_after_a_retry_keeps_to_the_rule(harness: Harness) -> None:
    """First attempt fails before content, second after it: two attempts and one error."""
    error = make("server")
    run = harness.run(retry(attempts=5, wait=SOON), [role(), make("server")], ["a", error])
    assert run.items == ["a"]
    assert run.error is error
    assert len(run.calls) == 2


@stream_shapes
def test_an_empty_stream_is_an_answer(harness: Harness) -> None:
    """A plain generator that yields nothing simply ends."""
    run = harness.run(retry(), [], ["never"])
    assert (run.items, run.error, len(run.calls)) == ([], None, 1)


@stream_shapes
def test_a_stream_cut_before_content_is_retried(harness: Harness) -> None:
    """With `strict_streams` an end without its signal is `truncated`, and retried."""
    policies = guard(retry(wait=SOON), strict_streams=True)
    run = harness.run(policies, [role(), Cut()], [role(), text("hi"), END])
    assert run.items == [role(), text("hi"), END]
    assert run.attempts[0] == ("model", "failed", "truncated")


@stream_shapes
def test_a_stream_cut_after_content_is_not(harness: Harness) -> None:
    """The reader learns that half an answer is half an answer."""
    policies = guard(retry(), strict_streams=True)
    run = harness.run(policies, [role(), text("half"), Cut()], ["never"])
    assert isinstance(run.error, errors.StreamTruncated)
    assert run.items == [role(), text("half")]
    partial = errors.partial(run.error)
    assert partial is not None
    assert partial.text == "half"


@stream_shapes
def test_streams_of_failed_attempts_are_closed(harness: Harness) -> None:
    """Each stream opened is ended or closed exactly once."""
    subject = harness.guard(
        retry(wait=SOON), [role(), make("server")], [make("server")], ["a", "b"]
    )
    subject.call()
    assert subject.model.opened == 3
    assert subject.model.ended + subject.model.closed == 3


@stream_shapes
def test_a_reader_that_stops_is_no_failure(harness: Harness) -> None:
    """Closing a stream early is neither retried nor marked as failed."""
    subject = harness.guard(retry(), ["a", "b", "c"], ["never"])
    run = subject.call(read=1)
    assert (run.items, run.error, run.outcome) == (["a"], None, "abandoned")
    assert (subject.model.opened, subject.model.closed) == (1, 1)


@stream_shapes
def test_giving_up_before_content_raises_the_error_alone(harness: Harness) -> None:
    """Opening events of the last attempt are not handed out before its error."""
    error = make("server")
    run = harness.run(retry(attempts=2, wait=SOON), [role(), make("server")], [role(), error])
    assert run.items == []
    assert run.error is error
    assert len(notes(error)) == 1


@stream_shapes
def test_the_first_tokens_delay_is_of_the_answer_that_came(harness: Harness) -> None:
    """The call's first content counts the waits before it; the attempt's own does not."""
    run = harness.run(retry(wait=wait_fixed(3)), [make("server")], ["a", "b"])
    assert run.record.first_token == pytest.approx(3)
    assert run.record.attempts[1].first_token == pytest.approx(0)
