"""Nothing that is read goes unjudged: other choices, refusals, structures; replaced, streams end well."""

from __future__ import annotations

from typing import Any

import pytest

import agentguard as ag
from agentguard import Window, errors
from tests.engine.test_judging import Forbid
from tests.shapes import Harness, stream_shapes, unary_shapes

HOLDS = pytest.mark.parametrize("hold", ["all", Window(4, 3, 60)], ids=repr)


def whole(*choices: dict[str, Any]) -> dict[str, Any]:
    """A chat completion with these messages."""
    made = [
        {"index": index, "message": message, "finish_reason": "stop"}
        for index, message in enumerate(choices)
    ]
    return {"object": "chat.completion", "model": "m", "choices": made}


def chunk(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """A chunk of a chat completion."""
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "model": "m", "choices": [choice]}


UNARY = {
    "second choice": whole({"content": "fine"}, {"content": "a bad one"}),
    "refusal": whole({"content": None, "refusal": "a bad one"}),
    "object": {"answer": {"lines": ["fine", "a bad one"]}},
    "tuple": ("fine", "a bad one"),
    "messages inside": {"result": [whole({"content": "a bad one"})]},
}
STREAMS = {
    "second choice": [
        chunk(content="fine"),
        chunk(1, content="a b"),
        chunk(content=", really"),
        chunk(1, content="ad one"),
        chunk(finish="stop"),
        chunk(1, finish="stop"),
    ],
    "refusal": [chunk(role="assistant"), chunk(refusal="a b"), chunk(refusal="ad one")],
    "object": [{"type": "delta", "delta": "a b"}, {"type": "delta", "delta": "ad one"}],
    "two fields": [{"text": "fine", "title": "a bad one"}, {"text": ", really", "title": "b"}],
    "message and more": [(chunk(content="a b"), {"node": "x"}), (chunk(content="ad"), {})],
}


@unary_shapes
@pytest.mark.parametrize("answer", UNARY.values(), ids=UNARY)
def test_all_that_is_read_of_an_answer_is_judged(harness: Harness, answer: Any) -> None:
    """Not its first text alone."""
    run = harness.run(Forbid(), answer)
    assert isinstance(run.error, errors.OutputRejected)
    assert not run.items


@stream_shapes
@HOLDS
@pytest.mark.parametrize("items", STREAMS.values(), ids=STREAMS)
def test_all_that_is_read_of_a_stream_is_judged(
    harness: Harness, hold: Any, items: list[Any]
) -> None:
    """And nothing bad was shown before it was refused."""
    run = harness.run(Forbid(hold=hold), items)
    assert isinstance(run.error, errors.OutputRejected)
    assert "ad" not in str(run.items)


@stream_shapes
@HOLDS
@pytest.mark.parametrize("items", STREAMS.values(), ids=STREAMS)
def test_what_is_good_of_it_comes_out_unchanged(
    harness: Harness, hold: Any, items: list[Any]
) -> None:
    """All items in their order, though some were held back."""
    run = harness.run(Forbid("worse", hold=hold), items)
    assert run.error is None
    assert run.items == items


@stream_shapes
@HOLDS
@pytest.mark.parametrize("after", [0, 20])
def test_a_replaced_stream_ends_as_its_protocol_does(
    harness: Harness, hold: Any, after: int
) -> None:
    """With its finish reason and usage, though what was to come is not said."""
    usage = {"object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 1}}
    items = [
        chunk(content="good, "),
        chunk(content="bad"),
        *[chunk(content=" more") for _ in range(after)],
        chunk(1, content="and bad"),
        chunk(finish="stop"),
        usage,
    ]
    run = harness.run(Forbid(then=ag.replace("[cut]"), hold=hold), items)
    assert run.error is None
    deltas = [each["choices"][0]["delta"] for each in run.items if each["choices"]]
    said = "".join(each.get("content") or "" for each in deltas)
    assert said in {"[cut]", "good, [cut]"}
    assert run.items[-2:] == [chunk(finish="stop"), usage]
