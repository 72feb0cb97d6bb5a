"""Which answers are kept: whole ones. Real SDKs over HTTP, and the providers' words one by one."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from agentguard import Call, Next, Policy, Reply, guard, record
from agentguard.caching.worth import worth
from agentguard.providers.finish import ending
from agentguard.providers.shapes import Reading, shape_of
from agentguard.testing import FakeProvider, fault
from tests.caching.ways import EVERY, GOOGLE, Ask
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR

CHAT = {name: ask for name, ask in EVERY.items() if "embeddings" not in name}
every_way = pytest.mark.parametrize("ask", CHAT.values(), ids=CHAT.keys())


class Judge(Policy):
    """Writes down why an answer is not worth keeping, None when it is."""

    def __init__(self) -> None:
        self.reasons: list[str | None] = []

    async def around(self, call: Call, next: Next) -> Reply:
        """Judge each answer when it is complete."""
        reply = await next(call)
        items = [] if reply.source is None else await reply.source.hold()
        self.reasons.append(worth(reply.attempt, items))
        return reply


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider of its own for each test."""
    with FakeProvider(answer="one two three") as running:
        yield running


def reasons(provider: FakeProvider, ask: Ask) -> list[str | None]:
    """What is said of the answers that one way to ask brings."""
    judge = Judge()
    ask(provider, guard(judge))
    assert judge.reasons
    return judge.reasons


@pytest.mark.parametrize("ask", EVERY.values(), ids=EVERY.keys())
def test_a_whole_answer_is_kept(provider: FakeProvider, ask: Ask) -> None:
    """Text and vectors, unary and streamed, of every SDK."""
    assert set(reasons(provider, ask)) == {None}


@every_way
def test_calls_of_tools_are_kept(provider: FakeProvider, ask: Ask) -> None:
    """They are answers of the model; that a tool ran is for others to see."""
    provider.always(fault.ok(tools=[("weather", {"city": "Seoul"})]))
    assert set(reasons(provider, ask)) == {None}


@every_way
def test_a_cut_answer_is_not_kept(provider: FakeProvider, ask: Ask) -> None:
    """It reached the longest output, in each protocol's own word."""
    provider.always(fault.ok("one two", finish="length"))
    assert all(reason and "cut off" in reason for reason in reasons(provider, ask))


@every_way
def test_a_filtered_answer_is_not_kept(provider: FakeProvider, ask: Ask) -> None:
    """A filter took what followed, or the model refused."""
    provider.always(fault.ok("one two", finish="content_filter"))
    assert all(reason and "filter" in reason for reason in reasons(provider, ask))


@every_way
def test_an_empty_answer_is_not_kept(provider: FakeProvider, ask: Ask) -> None:
    """It ended well, and says nothing."""
    provider.always(fault.ok(""))
    assert all(reason and "empty" in reason for reason in reasons(provider, ask))


@pytest.mark.parametrize("word", ["length", "content_filter", "unheard_of", "error"])
def test_every_choice_must_be_whole(word: str) -> None:
    """One choice of several that was cut is enough."""
    choices = [
        {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"},
        {"index": 1, "message": {"content": "b"}, "finish_reason": word},
    ]
    said = judged({"object": "chat.completion", "choices": choices})
    assert said is not None
    assert word in said


def attempt(value: Any = None, *recorded: Reading) -> Any:
    """As much of an attempt as is judged."""
    reading = Reading()
    if value is not None:
        shape_of(value).read(value, reading)
    return SimpleNamespace(reading=reading, recorded=list(recorded) or None)


def judged(value: Any) -> str | None:
    """What is said of a unary answer."""
    return worth(attempt(value))


def chat(**message: Any) -> dict[str, Any]:
    """A raw chat completion that stopped by itself."""
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def response(status: str, *output: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A raw answer of the Responses API."""
    return {"object": "response", "status": status, "output": list(output), **more}


TEXT = {"type": "message", "content": [{"type": "output_text", "text": "a"}]}
REFUSAL = {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}
ANSWERS: dict[str, tuple[Any, str | None]] = {
    "text": ("hello", None),
    "no-text": ("", "empty"),
    "nothing": (None, "empty"),
    "zero": (0, None),
    "list": ([], None),
    "chat": (chat(content="a"), None),
    "chat-refusal": (chat(content=None, refusal="I can't"), "refused"),
    "chat-empty": (chat(content=""), "empty"),
    "completed": (response("completed", TEXT), None),
    "refused": (response("completed", REFUSAL), "refused"),
    "queued": (response("queued"), "not finished"),
    "in-progress": (response("in_progress", TEXT), "not finished"),
    "incomplete": (
        response("incomplete", TEXT, incomplete_details={"reason": "max_output_tokens"}),
        "cut off",
    ),
    "pause": (
        {
            "type": "message",
            "content": [{"type": "text", "text": "a"}],
            "stop_reason": "pause_turn",
        },
        "not finished",
    ),
    "prompt-blocked": ({"promptFeedback": {"blockReason": "SAFETY"}}, "filter"),
    "second-candidate": (
        {
            "candidates": [
                {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"},
                {
                    "index": 1,
                    "content": {"parts": [{"text": "b"}]},
                    "finishReason": "MAX_TOKENS",
                },
            ]
        },
        "cut off",
    ),
}


@pytest.mark.parametrize(("value", "reason"), ANSWERS.values(), ids=ANSWERS.keys())
def test_raw_answers_are_judged(value: Any, reason: str | None) -> None:
    """Dicts as servers send them, and what functions return."""
    said = judged(value)
    assert said is None if reason is None else said is not None and reason in said


def streamed(*items: Any) -> str | None:
    """What is said of a stream of raw chunks."""
    reading = Reading()
    for item in items:
        shape_of(item).read(item, reading)
    whole: Any = SimpleNamespace(reading=reading, recorded=None)
    return worth(whole, items)


def chunk(text: str, finish: str | None = None) -> dict[str, Any]:
    """A raw chunk of a chat completion."""
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def test_a_stream_must_say_that_it_ended() -> None:
    """A server that never does is not known to have sent all; plain texts need no such signal."""
    assert streamed(chunk("a"), chunk("b", "stop")) is None
    assert streamed(chunk("a"), chunk("b")) == "the stream did not say that it had ended"
    assert streamed("a", "b") is None


def test_a_refusal_that_streams_is_not_kept() -> None:
    """In chunks and in events."""
    refusing = {"choices": [{"index": 0, "delta": {"refusal": "no"}, "finish_reason": None}]}
    assert streamed(refusing, chunk("", "stop")) == "the model refused"
    event = {"type": "response.refusal.delta", "delta": "no", "output_index": 0}
    done = {"type": "response.completed", "response": response("completed", REFUSAL)}
    assert streamed(event, done) == "the model refused"


def test_what_was_recorded_inside_is_judged(provider: FakeProvider) -> None:
    """A function that makes text of a cut answer of a model returns a cut answer."""
    kept = Reading()
    cut: Reading = Reading()
    kept.finish_reason, cut.finish_reason = "stop", "length"
    assert worth(attempt("text", kept)) is None
    assert worth(attempt("text", kept, cut)) == "the answer was cut off (length)"


def test_a_recorded_response_reaches_the_judge() -> None:
    """Through `record(...)`, as a function writes it."""
    judge = Judge()

    @guard(judge)
    def ask() -> str:
        record(chat(content="a") | {"choices": [chunk("a", "length")["choices"][0]]})
        return "a"

    ask()
    assert judge.reasons == ["the answer was cut off (length)"]


@pytest.mark.parametrize("word", ["stop", "STOP", "end_turn", "tool_use", "COMPLETE", "eos_token"])
def test_whole_words(word: str) -> None:
    """Whatever the case."""
    assert ending(word) == "whole"


if importlib.util.find_spec("anthropic"):

    def test_every_word_of_anthropic_is_known() -> None:
        """The words of the installed SDK: a new one fails here, and is not kept meanwhile."""
        from anthropic.types import StopReason
        from anthropic.types.beta import BetaStopReason

        words = {*get_args(StopReason), *get_args(BetaStopReason)}
        assert {word for word in words if ending(word) is None} == set()
        whole = {word for word in words if ending(word) == "whole"}
        assert whole == {"end_turn", "stop_sequence", "tool_use"}


if GOOGLE:

    def test_of_googles_words_one_is_whole() -> None:
        """All others say what is wrong."""
        from google.genai.types import BlockedReason, FinishReason

        whole = {reason.value for reason in FinishReason if ending(reason.value) == "whole"}
        assert whole == {"STOP"}
        assert not {reason.value for reason in BlockedReason if ending(reason.value) == "whole"}
