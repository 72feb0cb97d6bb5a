"""Bytes that nobody here has packed: never anything but `Unreadable`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard.caching.answers import About, Answers, Unreadable

ABOUT = About("m", None, "openai")


@dataclasses.dataclass
class Item:
    """A class that is known."""

    name: str
    more: list[int] = dataclasses.field(default_factory=list)


def packed_ones() -> list[bytes]:
    """One of each form."""
    answers = Answers(types=[Item])
    item = Item("a", [1])
    return [
        answers.pack("text", About()),
        answers.pack("text", ABOUT),
        answers.pack([item, (1.5, b"x")], ABOUT),
        answers.pack_stream([item], [0.0], ABOUT),
        answers.pack_stream([item, "text"] * 200, [0.0] * 400, ABOUT),
    ]


PACKED = packed_ones()


def marked(kind: bytes, rest: bytes) -> bytes:
    """Bytes with a checksum that is right, as somebody who can write to the store makes them."""
    return kind + zlib.crc32(rest, zlib.crc32(kind)).to_bytes(4, "big") + rest


def read(packed: bytes) -> Any:
    """Unpack with a class known; what is readable is read to its end."""
    found = Answers(types=[Item]).unpack(packed)
    return found.about, found.value, found.items, found.times


@given(st.binary())
def test_any_bytes(packed: bytes) -> None:
    """Noise."""
    with pytest.raises(Unreadable):
        read(packed)


@given(st.sampled_from(PACKED), st.data())
def test_one_changed_byte_is_seen(packed: bytes, data: st.DataObject) -> None:
    """Whichever it is: no wrong answer is served."""
    place = data.draw(st.integers(0, len(packed) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != packed[place]))
    with pytest.raises(Unreadable):
        read(packed[:place] + bytes([byte]) + packed[place + 1 :])


@given(st.sampled_from(PACKED), st.data())
def test_what_was_cut_off_is_seen(packed: bytes, data: st.DataObject) -> None:
    """At any place."""
    with pytest.raises(Unreadable):
        read(packed[: data.draw(st.integers(0, len(packed) - 1))])


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["", "a", "is", "fields"]), inner, max_size=3)
    ),
    max_leaves=10,
)
names = st.sampled_from(
    [
        *("tuple", "set", "dict", "vector", "bytes", "datetime", "Decimal", "UUID", "timedelta"),
        *("builtins:object", "builtins:int", "os:system", "subprocess:Popen", "builtins:eval"),
        f"{__name__}:Item",
        *("openai.types.chat.chat_completion:ChatCompletion", "openai.types.chat:Nothing"),
        *("openai.types.chat.chat_completion:BaseModel", "google.genai.types:FinishReason"),
        *("langchain_core.messages.ai:AIMessage", "langchain_core.messages.base:TextAccessor"),
        *("litellm.types.utils:Usage", "openai.lib._parsing._completions:ResponseFormatT"),
    ]
)
layouts = st.lists(
    st.fixed_dictionaries(
        {"is": names | st.lists(names, max_size=3) | json_like},
        optional={
            "schema": st.text(max_size=3) | json_like,
            "fields": st.lists(st.sampled_from(["name", "more", "__class__", "id"])) | json_like,
            "extra": json_like,
            "private": json_like,
            "odd": json_like,
            "absent": json_like,
        },
    )
    | json_like,
    max_size=3,
)
tagged = st.recursive(
    json_like,
    lambda inner: st.builds(
        lambda values, number: {"": [*values, number]},
        st.lists(inner, max_size=4),
        st.integers(-2, 3) | json_like,
    ),
    max_leaves=6,
)


@settings(deadline=None)  # the first name of an SDK imports it
@given(st.sampled_from([b"1v", b"1s", b"1z", b"1t", b"1b"]), layouts, tagged, json_like)
def test_bytes_that_somebody_made_on_purpose(kind: bytes, told: Any, value: Any, head: Any) -> None:
    """A right checksum, layouts and values of all sorts: an answer or `Unreadable`, no more."""
    body = f"{json.dumps(told)}\n{json.dumps(value)}".encode()
    body = zlib.compress(body) if kind == b"1z" else body
    with contextlib.suppress(Unreadable):
        read(marked(kind, json.dumps(head).encode() + b"\n" + body))


@pytest.mark.parametrize(
    ("kind", "rest"),
    [
        (b"2v", b"\n\n1"),
        (b"1v", b"\n\n" + b"[" * 100_000),
        (b"1v", b"\n\n" + b"9" * 10_000),
        (b"1v", b"\n\n1 1"),
        (b"1v", b"\n\n\xff\xff"),
        (b"1s", b"\n\n1"),
        (b"1s", b'\n\n[["a"],[]]'),
        (b"1z", b"\n" + zlib.compress(b"\n1" * 1000)[:-5]),
        (b"1z", b"\n" + zlib.compress(b" " * 70_000_000, 9)),
        (b"1t", b"no line"),
    ],
    ids=["version", "deep", "digits", "two", "utf8", "no-pair", "times", "cut", "bomb", "no-line"],
)
def test_well_known_tricks(kind: bytes, rest: bytes) -> None:
    """One by one."""
    with pytest.raises(Unreadable):
        read(marked(kind, rest))


def test_a_stored_name_imports_nothing() -> None:
    """Neither a module of Python's, nor a private one inside an SDK that is not loaded yet."""
    for name in ("this:d", "openai.types.beta.nothing:Thread", "antigravity:x"):
        rest = b"\n" + json.dumps([{"is": name, "fields": []}]).encode() + b'\n{"":[0]}'
        with pytest.raises(Unreadable):
            read(marked(b"1v", rest))
    assert "this" not in sys.modules
    assert "antigravity" not in sys.modules


def test_an_object_gets_no_attribute_that_its_class_does_not_have() -> None:
    """What is stored as a field must be one."""
    packed = Answers(types=[Item]).pack(Item("a"), About())
    rest = packed[6:].replace(b'"more"', b'"__class__"')
    with pytest.raises(Unreadable):
        read(marked(b"1v", rest))


@pytest.mark.parametrize(
    "head", [b"[]", b"1", b'["m",[1],null,null,null]', b"{", b"\xff"], ids=repr
)
def test_what_is_known_about_the_call_may_be_unreadable_alone(head: bytes) -> None:
    """The answer is there, and nothing is known about the call."""
    found = Answers().unpack(marked(b"1t", head + b"\ntext"))
    assert found.value == "text"
    assert found.about == About() or found.about.model == "m"
