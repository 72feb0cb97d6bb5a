"""Steps change every text of an answer, however it was cut into pieces."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard import Policy, fallback, guard, retry
from tests.engine.kit import (
    STREAMS,
    UNARY,
    Replace,
    Steps,
    Upper,
    Watch,
    begin,
    callables,
    close,
    use,
)
from tests.engine.test_streams import FINISH, OPENING, anthropic, chat

WORD = "abc"


def masked(text: str) -> str:
    """What must come out: the word replaced, whoever cut the text."""
    return text.replace(WORD, "*")


def mask() -> Steps:
    """A policy that replaces the word."""
    return Steps(lambda: Replace(WORD, "*"))


def cuts(text: str):
    """Every way to cut `text` into pieces."""
    for marks in itertools.product([False, True], repeat=len(text) - 1):
        pieces = [text[0]]
        for letter, cut in zip(text[1:], marks, strict=True):
            if cut:
                pieces.append(letter)
            else:
                pieces[-1] += letter
        yield pieces


def responses(*texts: str) -> list[dict]:
    """The events of an answer of OpenAI's Responses API, its whole text repeated at the end."""
    where = {"item_id": "m", "output_index": 0, "content_index": 0}
    whole = "".join(texts)
    part = {"type": "output_text", "text": whole, "annotations": []}
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    response = {
        "id": "r",
        "object": "response",
        "model": "m-1",
        "status": "completed",
        "output": [message],
    }
    return [
        {
            "type": "response.created",
            "response": {**response, "status": "in_progress", "output": []},
        },
        *({"type": "response.output_text.delta", "delta": text, **where} for text in texts),
        {"type": "response.output_text.done", "text": whole, **where},
        {"type": "response.content_part.done", "part": part, **where},
        {"type": "response.output_item.done", "item": message, "output_index": 0},
        {"type": "response.completed", "response": response},
    ]


def chats(*texts: str) -> list[dict]:
    """The chunks of an answer of OpenAI's chat API."""
    return [OPENING, *map(chat, texts), FINISH]


def text_of(items: list) -> str:
    """The text that a reader of these items has in the end."""
    out = []
    for item in items:
        if isinstance(item, str):
            out.append(item)
        elif "choices" in item:
            out.append(item["choices"][0]["delta"].get("content") or "")
        elif item["type"] == "content_block_delta":
            out.append(item["delta"]["text"])
        elif item["type"] == "response.output_text.delta":
            out.append(item["delta"])
    return "".join(out)


WIRES = {
    "text": lambda *texts: list(texts),
    "chat": chats,
    "anthropic": anthropic,
    "responses": responses,
}
wires = pytest.mark.parametrize("wire", WIRES)


@wires
@pytest.mark.parametrize("text", ["abc", "xabcx", "ababcabc", "aababcab", "abcab"])
def test_every_cut_of_a_short_text(wire, text):
    """Whichever way a short text is cut, the same comes out, and the word nowhere."""
    for pieces in cuts(text):
        items = WIRES[wire](*pieces)
        before = json.dumps(items)
        out = list(mask()(lambda items=items: iter(items))())
        assert text_of(out) == masked(text), pieces
        assert WORD not in json.dumps(out), pieces
        assert json.dumps(items) == before  # the provider's own items are unchanged


@wires
@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.text("abcx ", max_size=6), max_size=20))
def test_any_cut_of_a_long_text(wire, pieces):
    """The same for longer texts, empty pieces included."""
    items = WIRES[wire](*pieces)
    out = list(mask()(lambda: iter(items))())
    assert text_of(out) == masked("".join(pieces))
    assert WORD not in json.dumps(out)


@wires
@settings(max_examples=30, deadline=None)
@given(pieces=st.lists(st.text("abcx ", max_size=6), max_size=12))
def test_several_policies_in_order(wire, pieces):
    """Steps of policies further in come first, whatever the cut: as one after the other."""
    chain = guard(Steps(lambda: Replace("*", "[a]")), Steps(lambda: Replace("xx", "abc")), mask())
    out = list(chain(lambda: iter(WIRES[wire](*pieces)))())
    expected = masked("".join(pieces)).replace("xx", "abc").replace("*", "[a]")
    assert text_of(out) == expected


@pytest.mark.parametrize("shape", STREAMS)
async def test_in_every_streaming_shape(shape):
    """In every shape the first piece is changed like the last, and the rest comes at the end."""
    out = await use(mask()(callables("a", "bc", "xa", "b")[shape]))
    assert "".join(out) == "*xab"


@pytest.mark.parametrize("shape", UNARY)
async def test_in_every_unary_shape(shape):
    """A whole answer is changed by the same steps."""
    assert await use(mask()(callables("xab", "c", "ab")[shape])) == ["x*ab"]


def test_unary_answers_of_providers():
    """In a whole answer of a provider's every text is changed; the original is not."""
    answer = {
        "model": "m-1",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "xabc"}},
            {"index": 1, "message": {"role": "assistant", "content": "abcx"}},
        ],
    }
    before = json.dumps(answer)
    out = mask()(lambda: answer)()
    assert [each["message"]["content"] for each in out["choices"]] == ["x*", "*x"]
    assert json.dumps(answer) == before
    message = {"type": "message", "model": "m-1", "content": [{"type": "text", "text": "xabcx"}]}
    assert mask()(lambda: message)()["content"][0]["text"] == "x*x"


def test_held_back_text_goes_out_before_the_end():
    """What a step holds back goes out before the item that closes its channel, not after it."""
    out = list(mask()(lambda: iter(anthropic("xa", "b")))())
    kinds = [item["type"] for item in out]
    assert text_of(out) == "xab"
    assert kinds.index("content_block_stop") > max(
        n for n, kind in enumerate(kinds) if kind == "content_block_delta"
    )
    assert kinds[-1] == "message_stop"
    out = list(mask()(lambda: iter(chats("xa", "b")))())
    assert out[-1]["choices"][0]["finish_reason"] == "stop"
    assert text_of(out) == "xab"


def test_channels_do_not_mix():
    """Each choice has steps of its own: what one holds back does not leak into another."""

    def chunk(index, text):
        return {
            "object": "chat.completion.chunk",
            "choices": [{"index": index, "delta": {"content": text}}],
        }

    items = [chunk(0, "a"), chunk(1, "bc"), chunk(0, "bc"), chunk(1, "ab"), chunk(1, "c")]
    ends = [
        {
            "object": "chat.completion.chunk",
            "choices": [{"index": n, "delta": {}, "finish_reason": "stop"}],
        }
        for n in (0, 1)
    ]
    out = list(mask()(lambda: iter([*items, *ends]))())
    texts = {0: "", 1: ""}
    for item in out:
        for choice in item["choices"]:
            texts[choice["index"]] += choice["delta"].get("content") or ""
    assert texts == {0: "*", 1: "bc*"}


def test_a_stream_closed_early_gives_nothing_more():
    """Closing drops what was held back: nothing is computed for nobody."""
    flushed = []

    class Step(Replace):
        def flush(self):
            flushed.append(1)
            return super().flush()

    stream = Steps(lambda: Step(WORD, "*"))(lambda: iter(["xa", "b", "c"]))()
    assert next(stream) == "x"
    stream.close()
    assert list(stream) == []
    assert flushed == []


def test_a_step_that_raises():
    """A step that fails ends the stream with its exception, and the provider's stream is closed."""
    watch = Watch()

    class Fails(Upper):
        def feed(self, text):
            if text == "b":
                raise ValueError
            return text

    closed = []

    def ask():
        try:
            yield from "abc"
        finally:
            closed.append(1)

    stream = guard(watch, Steps(Fails))(ask)()
    assert next(stream) == "a"
    with pytest.raises(ValueError):
        next(stream)
    assert watch.kinds == ["failed"]
    assert closed == [1]
    assert list(stream) == []


def test_steps_are_made_anew_for_every_answer():
    """A retried or repeated call has fresh steps: nothing of one answer gets into another."""
    made = []

    def make():
        made.append(1)
        return Replace(WORD, "*")

    answers = [["a"], ["bc"], ["a"]]
    ask = Steps(make)(lambda: iter(answers.pop(0)))
    assert "".join(ask()) == "a"
    assert "".join(ask()) == "bc"
    assert len(made) == 2


def test_steps_inside_a_retry_are_those_of_the_answer():
    """What was held back of an attempt that failed is gone with it."""
    calls = []

    @guard(retry(wait=lambda _: 0, budget=None), mask())
    def ask():
        calls.append(1)
        if len(calls) == 1:
            yield OPENING
            raise ConnectionError
        yield from chats("bc")

    assert text_of(list(ask())) == "bc"


def test_a_fallbacks_answer_goes_through_the_steps_outside():
    """Steps outside the fallback see the fallback's answer; steps inside do not."""
    inner = Steps(lambda: Replace("f", "!"))

    def backup():
        return "abcf"

    @guard(mask(), fallback(backup), inner)
    def ask():
        raise ConnectionError
        yield

    assert list(ask()) == ["*f"]


def test_items_without_text_pass_by_identity():
    """Items that carry no text, and items that no step changes, are the provider's own objects."""
    items = [object(), 1, None, "x", FINISH]
    out = list(mask()(lambda: iter(items))())
    assert [a is b for a, b in zip(out, items, strict=True)] == [True] * len(items)


async def test_steps_after_a_held_verdict():
    """A judge that held the stream back sees the inner steps' text; outer steps come after."""
    judged = []

    class Judge(Policy):
        async def around(self, call, next):
            reply = await next(call)
            judged.append(await reply.answer(hold="all"))
            return reply

    chain = guard(Steps(lambda: Replace("*", "+")), Judge(), mask())
    for shape in ("generator", "asyncgen"):
        stream, first = await begin(chain(callables("xa", "bc", "y")[shape]))
        assert first == "x"
        await close(stream)
        assert "".join(await use(chain(callables("xa", "bc", "ya")[shape]))) == "x+ya"
    assert judged[0] == "x*y"
