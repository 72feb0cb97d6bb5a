"""`record` shows a guard what a function that returns only text has read inside."""

from __future__ import annotations

import asyncio

import pytest

from agentguard import errors, guard, record, report, retry, timeout
from tests.engine.kit import AsyncSdkStream, SdkStream, Through
from tests.engine.test_streams import FINISH, OPENING, anthropic, chat

ANSWER = {
    "model": "m-1",
    "choices": [{"message": {"content": "42"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
FAILED = {"type": "error", "code": "server_error", "message": "m", "sequence_number": 1}


def test_a_unary_response():
    """Model and figures of a recorded response stand in the report; the response is returned."""

    @retry
    def ask():
        assert record(ANSWER) is ANSWER
        return "42"

    with report() as r:
        assert ask() == "42"
    assert r.calls[0].model == "m-1"
    assert r.calls[0].attempts[0].usage is not None


async def test_a_unary_response_in_async_code():
    """The same inside a coroutine function, after it has waited, in each of many tasks."""

    @retry
    async def ask(name):
        await asyncio.sleep(0)
        record({**ANSWER, "model": name})
        await asyncio.sleep(0)
        return "42"

    with report() as r:
        await asyncio.gather(*(ask(f"m-{n}") for n in range(20)))
    assert sorted(call.model for call in r.calls) == sorted(f"m-{n}" for n in range(20))


def test_in_a_worker():
    """The same when a time bound made the call run in a worker thread."""

    @timeout(30)
    def ask():
        record(ANSWER)
        return "42"

    with report() as r:
        ask()
    assert r.calls[0].model == "m-1"


def test_outside_a_guarded_call():
    """Outside it does nothing, with and without a block around."""
    stream = iter(["a"])
    assert record(stream) is stream
    assert record(ANSWER) is ANSWER
    with report():
        assert record(FAILED) is FAILED


def test_a_stream():
    """A recorded stream yields the same items; its model and figures are read along."""
    items = anthropic("a", "b")

    @Through()
    def ask():
        stream = record(SdkStream(*items))
        assert stream.request_id == "req_1"
        assert list(stream) == items
        return "ab"

    with report() as r:
        ask()
    assert r.calls[0].model == "m-1"
    assert r.calls[0].attempts[0].usage is not None


async def test_an_async_stream():
    """The same for async streams, used in `async with`."""
    items = anthropic("a", "b")
    made = AsyncSdkStream(*items)

    @Through()
    async def ask():
        async with record(made) as stream:
            return [each async for each in stream]

    with report() as r:
        assert await ask() == items
    assert r.calls[0].model == "m-1"
    assert made.closed == 1


def test_with_closes_the_stream():
    """`with` around a recorded stream enters and leaves the stream's own."""
    made = SdkStream("a", "b")

    @Through()
    def ask():
        with record(made) as stream:
            return next(stream)

    assert ask() == "a"
    assert made.closed == 1


def test_inside_a_generator():
    """A generator that records the stream it reads is judged by it, item by item."""

    @Through()
    def ask():
        for each in record(iter(anthropic("a", "b"))):
            if each["type"] == "content_block_delta":
                yield each["delta"]["text"]

    with report() as r:
        assert list(ask()) == ["a", "b"]
    assert r.calls[0].model == "m-1"


def test_a_cut_stream():
    """A recorded stream without its end raises, so that the attempt fails and is retried."""
    answers = [anthropic("half", whole=False), anthropic("whole")]

    @retry(wait=lambda _: 0, budget=None)
    def ask():
        return len(list(record(iter(answers.pop(0)))))

    with report() as r:
        assert ask() == len(anthropic("whole"))
    assert [attempt.kind for attempt in r.calls[0].attempts] == ["truncated", None]


def test_ends_are_learned_from_recorded_streams():
    """A chat stream without its end is cut once this target has shown one that has it."""
    answers = [[OPENING, chat("a")], [chat("a"), FINISH], [chat("a")]]

    @Through()
    def ask():
        return len(list(record(iter(answers.pop(0)))))

    assert ask() == 2
    assert ask() == 2
    with pytest.raises(errors.StreamTruncated):
        ask()


def test_strict_streams_judges_recorded_streams():
    """`strict_streams=False` lets a recorded stream end without its end."""

    @guard(Through(), strict_streams=False)
    def ask():
        return len(list(record(iter(anthropic("half", whole=False)))))

    assert ask() == 3


@pytest.mark.parametrize("streamed", [False, True])
def test_an_error_inside_an_answer(streamed):
    """A failure that arrives as an ordinary answer or item is raised where it is recorded."""
    answers = [FAILED, "fine"]

    @retry(wait=lambda _: 0, budget=None)
    def ask():
        answer = answers.pop(0)
        if streamed:
            return next(record(iter([answer])))
        return record(answer)

    assert ask() == "fine"


def test_stopping_early_is_no_failure():
    """A recorded stream may be left in the middle."""

    @Through()
    def ask():
        return next(record(iter(anthropic("half"))))["type"]

    assert ask() == "message_start"
