"""What a hook of `Call.on_attempt` can do: change what is sent, follow a stream, hear a late answer."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from agentguard import Attempt, Policy, errors, guard, timeout
from tests.shapes import Harness, every_shape, stream_shapes


class Hooked(Policy):
    """Runs one function on every attempt."""

    def __init__(self, hook: Any) -> None:
        self.hook = hook

    async def around(self, call, next):
        return await next(call.on_attempt(self.hook))


@every_shape
def test_another_call_is_sent(harness: Harness) -> None:
    """What the hook puts in the attempt's call is what the target gets."""

    def louder(attempt: Attempt) -> None:
        attempt.call = attempt.call.replace(args=("louder",))

    run = harness.run(Hooked(louder), "answer")
    assert [call.args for call in run.calls] == [("louder",)]


@stream_shapes
def test_items_are_seen_before_anybody_gets_them(harness: Harness) -> None:
    """In order, and once each; what may block is called too."""
    seen: list[str] = []

    def follow(attempt: Attempt) -> None:
        attempt.on_item(lambda _, item: seen.append(item))
        attempt.on_item(lambda _, item: lambda: seen.append(item.upper()))

    run = harness.run(Hooked(follow), ["a", "b"])
    assert run.items == ["a", "b"]
    assert seen == ["a", "A", "b", "B"]


@stream_shapes
@pytest.mark.parametrize("blocking", [False, True], ids=["at once", "blocking"])
def test_what_it_raises_ends_the_stream(harness: Harness, blocking: bool) -> None:
    """In place of the item; what came before is kept, and the stream is closed."""

    def refuse() -> None:
        raise errors.BudgetExceeded("enough")

    def judge(attempt: Attempt, item: str) -> Any:
        if item == "b":
            if blocking:
                return refuse
            refuse()
        return None

    run = harness.run(Hooked(lambda attempt: attempt.on_item(judge)), ["a", "b", "c"])
    assert run.items == ["a"]
    assert isinstance(run.error, errors.BudgetExceeded)
    kept = errors.partial(run.error)
    assert kept is not None
    assert kept.text == "a"


def test_a_late_answer_is_heard() -> None:
    """Once, after the end, with its figures."""
    go, heard = threading.Event(), threading.Event()
    told: list[str] = []

    def late(attempt: Attempt) -> None:
        told.append(f"late {attempt.usage.total_tokens if attempt.usage else None}")
        heard.set()

    def hook(attempt: Attempt) -> None:
        attempt.on_late(late)
        attempt.on_end(lambda outcome: told.append(outcome.kind))

    def ask() -> Any:
        go.wait(10)
        return {
            "model": "m",
            "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        }

    with pytest.raises(errors.Timeout):
        guard(Hooked(hook), timeout(0.05))(ask)()
    go.set()
    assert heard.wait(10)
    assert told == ["failed", "late 3"]
