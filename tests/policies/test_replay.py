"""Side effects are not repeated: a call in which a guarded tool ran is not made again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from tenacity import wait_fixed

from agentguard import carry, errors, events, fallback, guard, report, retry, timeout
from agentguard.testing import Cut
from tests.policies.failures import notes
from tests.shapes import Harness, every_shape, stream_shapes, unary_shapes

SOON = wait_fixed(1)


class Mailbox:
    """A tool with an effect in the world, and what then happens to the agent that used it."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.send = guard(retry(wait=SOON)).tool(self._send)

    def _send(self, to: str) -> str:
        self.sent.append(to)
        return "sent"

    def then(self, entry: Any) -> Callable[..., Any]:
        def use(*args: Any, **kwargs: Any) -> Any:
            self.send("somebody")
            return entry

        return use


@every_shape
def test_what_sent_a_mail_is_not_tried_again(harness: Harness) -> None:
    """A failure after a guarded tool ran comes out at once, and its note says how to go on."""
    box = Mailbox()
    with report() as seen:
        run = harness.run(retry(wait=SOON), box.then(ConnectionError("reset")), "never")
    assert isinstance(run.error, ConnectionError)
    assert box.sent == ["somebody"]
    assert len(run.calls) == 1
    assert "replay=True" in notes(run.error)[0]
    gave_up = [each for each in seen.calls[0].events if isinstance(each, events.GaveUp)]
    assert "tool" in gave_up[0].reason


@every_shape
def test_replay_repeats_it_on_request(harness: Harness) -> None:
    """`retry(replay=True)` runs the tool again."""
    box = Mailbox()
    run = harness.run(
        retry(wait=SOON, replay=True),
        box.then(ConnectionError("reset")),
        box.then("done"),
    )
    assert run.text == "done"
    assert box.sent == ["somebody", "somebody"]


@every_shape
def test_a_failure_before_any_tool_ran_is_tried_again(harness: Harness) -> None:
    """What did nothing in the world may be done again, also when a later attempt does something."""
    box = Mailbox()
    run = harness.run(retry(wait=SOON), ConnectionError("reset"), box.then("done"))
    assert run.text == "done"
    assert box.sent == ["somebody"]


@every_shape
def test_another_model_is_not_asked_to_do_it_again(harness: Harness) -> None:
    """`fallback(model=)` repeats the call, hence does not after a tool ran; it says so."""
    box = Mailbox()
    run = harness.run(fallback(model="cheap"), box.then(ConnectionError("reset")), "never")
    assert isinstance(run.error, ConnectionError)
    assert len(run.calls) == 1
    assert "the tool" in notes(run.error)[0]


@every_shape
def test_another_model_is_asked_on_request(harness: Harness) -> None:
    """`fallback(model=, replay=True)` does repeat it."""
    box = Mailbox()
    run = harness.run(
        fallback(model="cheap", replay=True), box.then(ConnectionError("reset")), "done"
    )
    assert run.text == "done"


@every_shape
def test_a_target_of_its_own_is_asked_all_the_same(harness: Harness) -> None:
    """A fallback to another function is no repetition: it may be an apology."""
    box = Mailbox()
    sorry = harness.target("sorry")
    run = harness.run(fallback(sorry), box.then(ConnectionError("reset")))
    assert run.text == "sorry"
    assert box.sent == ["somebody"]


@unary_shapes
def test_an_unwanted_answer_after_a_tool_ran_is_returned(harness: Harness) -> None:
    """`on_result=` asks again for an answer only while nothing was done to get it."""
    box = Mailbox()
    run = harness.run(retry(wait=SOON, on_result=lambda answer: True), box.then("poor"), "never")
    assert run.text == "poor"
    assert box.sent == ["somebody"]


@stream_shapes
def test_a_stream_whose_tool_ran_before_the_first_content_is_not_begun_again(
    harness: Harness,
) -> None:
    """Nothing was handed out yet, but something was done."""
    box = Mailbox()
    run = harness.run(guard(retry(wait=SOON), strict_streams=True), box.then([Cut()]), "never")
    assert isinstance(run.error, errors.StreamTruncated)
    assert box.sent == ["somebody"]


def test_a_tools_own_retry_repeats_it() -> None:
    """A tool's own policies decide about the tool: what is not replayed is the call around it."""
    calls: list[int] = []

    @guard(retry(wait=wait_fixed(0))).tool
    def look_up(what: str) -> str:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError("reset")
        return what

    @retry(wait=wait_fixed(0))
    def agent() -> str:
        return look_up("x")

    assert agent() == "x"
    assert len(calls) == 3


def test_a_tool_that_failed_is_not_run_by_a_repetition_either() -> None:
    """It began: nobody knows what it did."""
    calls: list[int] = []

    @guard(timeout(5)).tool
    def pay() -> None:
        calls.append(1)
        raise ConnectionError("was it paid?")

    @retry(wait=wait_fixed(0))
    def agent() -> None:
        pay()

    with pytest.raises(ConnectionError):
        agent()
    assert len(calls) == 1


def test_every_call_around_it_knows_also_from_a_thread() -> None:
    """The outermost agent is not replayed for what a tool did two levels down, in a thread."""
    sent: list[int] = []

    @guard(timeout(5)).tool
    def send() -> None:
        sent.append(1)

    @retry(wait=wait_fixed(0))
    def inner() -> None:
        worker = threading.Thread(target=carry(send))
        worker.start()
        worker.join()

    @retry(wait=wait_fixed(0))
    def outer() -> None:
        inner()
        raise ConnectionError("reset")

    with pytest.raises(ConnectionError):
        outer()
    assert sent == [1]


def test_a_guarded_function_is_no_tool_by_itself() -> None:
    """Asking a model twice costs money and changes nothing: an agent may be tried again after it."""
    asked: list[int] = []

    @guard(timeout(5))
    def ask() -> str:
        asked.append(1)
        return "42"

    @retry(wait=wait_fixed(0))
    def agent() -> str:
        ask()
        if len(asked) < 2:
            raise ConnectionError("reset")
        return "done"

    assert agent() == "done"
    assert len(asked) == 2


def test_a_guard_around_a_tool_keeps_it_a_tool() -> None:
    """Policies put around what is guarded as a tool join its chain and leave its meaning."""
    sent: list[int] = []

    def send() -> None:
        sent.append(1)

    tool = retry(wait=wait_fixed(0))(guard(timeout(5)).tool(send))

    @retry(wait=wait_fixed(0))
    def agent() -> None:
        tool()
        raise ConnectionError("reset")

    with pytest.raises(ConnectionError):
        agent()
    assert sent == [1]
