"""What may leave for a trace: plain data, masked, without attachments, keys and strangers' objects."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentguard as ag
from agentguard import Masker, errors
from agentguard.engine.target import Target
from agentguard.exporters.masked import kept, masked, said, sent
from agentguard.masking.vault import Vault

MAIL, RRN = "ms77@example.com", "900101-1234568"
KEY = "sk-" + "a1" * 24


class Held:
    """An object of the user's."""

    def __init__(self) -> None:
        self.mail = MAIL

    def __repr__(self) -> str:
        return f"Held({MAIL})"


@dataclasses.dataclass
class Ticket:
    """A record of the user's."""

    who: str
    number: int
    held: object


def shown(arguments: dict[str, Any]) -> Any:
    """What leaves."""
    return masked(sent(arguments), Masker(), Vault())


def test_texts_are_masked_wherever_they_stand() -> None:
    """In messages, names, keys of dicts, records, numbers, and JSON source with escapes."""
    escaped = json.dumps({"to": "Kim", "rrn": RRN}).replace("-", "\\u002d")
    told = shown(
        {
            "messages": [
                {"role": "user", "name": MAIL, "content": [{"type": "text", "text": MAIL}]},
                {"role": "assistant", "tool_calls": [{"function": {"arguments": escaped}}]},
            ],
            "ticket": Ticket(MAIL, int(RRN.replace("-", "")), Held()),
            "by": {MAIL: 1},
        }
    )
    assert told == {
        "messages": [
            {
                "role": "user",
                "name": "<EMAIL_1>",
                "content": [{"type": "text", "text": "<EMAIL_1>"}],
            },
            {
                "role": "assistant",
                "tool_calls": [{"function": {"arguments": {"to": "Kim", "rrn": "<KR_RRN_1>"}}}],
            },
        ],
        "ticket": {"who": "<EMAIL_1>", "number": "<KR_RRN_1>", "held": "[Held]"},
        "by": {"<EMAIL_1>": 1},
    }


def test_what_authorises_and_what_is_no_text_is_left_out() -> None:
    """Of an attachment its kind remains, of an object its class, of a vector its length."""
    told = shown(
        {
            "api_key": KEY,
            "extra_headers": {"authorization": KEY},
            "nested": {"password": "hunter2", "a": 1},
            "blob": b"...",
            "url": "data:image/png;base64,iVBORw0KGgo=",
            "image": {"type": "image_url", "image_url": {"url": f"https://x.test/{KEY}"}},
            "client": Held(),
            "kind": Ticket,
            "vector": [0.25] * 1536,
        }
    )
    assert told == {
        "nested": {"a": 1},
        "blob": "[bytes]",
        "url": "[image]",
        "image": {"type": "image", "image": "[image]"},
        "client": "[Held]",
        "kind": "[Ticket]",
        "vector": "[1536 numbers]",
    }


def test_arguments_go_by_name_and_apart_from_their_lists() -> None:
    """What the caller adds to a conversation afterwards is no part of what was sent."""
    seen: list[Any] = []

    class Watch(ag.Policy):
        async def around(self, call: ag.Call, next: ag.engine.chain.Next) -> ag.Reply:  # type: ignore[name-defined]
            seen.append(kept(call))
            return await next(call)

    @Watch()
    def ask(messages: list[Any], *more: str, model: str, api_key: str) -> str:
        return model

    messages: list[Any] = [{"role": "user", "content": ["a"]}]
    ask(messages, "b", model="m-1", api_key=KEY)
    messages[0]["content"].append("c")
    messages.append({"role": "assistant"})
    expected = {
        "messages": [{"role": "user", "content": ["a"]}],
        "args[1]": "b",
        "model": "m-1",
    }
    assert seen == [expected]


def test_an_answer_in_pieces_is_masked_as_one() -> None:
    """A value that two chunks share is one value; tools that are called are told."""
    chunks = [
        {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": piece}}]}
        for piece in ("write to ms77@", "example.com")
    ]
    call = {"index": 0, "function": {"name": "mail", "arguments": json.dumps({"to": MAIL})}}
    chunks.append(
        {
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {"tool_calls": [call]}}],
        }
    )
    assert masked(said(chunks), Masker(), Vault()) == {
        "messages": [
            {
                "role": "assistant",
                "content": "write to <EMAIL_1>",
                "tool_calls": [
                    {
                        "type": "function",
                        "function": {"name": "mail", "arguments": {"to": "<EMAIL_1>"}},
                    }
                ],
            }
        ]
    }
    assert masked(said(["to ms77@", "example.com"]), Masker(), Vault()) == {
        "output": "to <EMAIL_1>"
    }
    assert said([]) == {}
    assert said([Ticket("a", 1, None)]) == {"output": {"who": "a", "number": 1, "held": None}}


def test_nothing_is_told_when_a_detector_fails() -> None:
    """What cannot be masked raises, and quotes nothing."""

    class Broken:
        type = "name"

        def find(self, text: str) -> list[Any]:
            raise ValueError(text)

    with pytest.raises(errors.MaskingFailed) as failed:
        masked({"a": MAIL}, Masker(detectors=[Broken()]), Vault())
    assert MAIL not in repr(failed.value)


def test_a_value_that_contains_itself_ends() -> None:
    """And so does one that would be told without end."""
    ring: list[Any] = ["a"]
    ring.append(ring)
    assert shown({"ring": ring}) == {"ring": ["a", "[...]"]}
    twice: list[Any] = ["a"]
    for _ in range(64):
        twice = [twice, twice]
    assert "[...]" in json.dumps(sent({"twice": twice}))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
)


@given(st.dictionaries(st.text("abc"), PLAIN))
def test_data_without_values_stays_as_it_is(data: dict[str, Any]) -> None:
    """Whatever its form."""
    assert masked(data, Masker({"email"}), Vault()) == data


def test_a_target_of_many_parameters_is_named() -> None:
    """The object that a method belongs to is no argument."""

    class Chat:
        def ask(self, question: str) -> str:
            return question

    from agentguard.providers.sent import arguments

    assert arguments(Target(Chat.ask), (Chat(), "a"), {"b": 1}) == {"question": "a", "b": 1}
