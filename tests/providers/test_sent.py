"""Every text that a request sends is found, in order, and changed in copies; names and ids stay."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import io
import json
import pickle
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import anthropic
import openai
import pydantic
import pytest
from google import genai
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompt_values import ChatPromptValue
from langchain_openai import ChatOpenAI
from openai.types.chat import ChatCompletionMessage

from agentguard.engine.target import Target
from agentguard.providers.attached import Attachment
from agentguard.providers.sent import Unwalkable, Where, rewrite, rewritten
from agentguard.providers.sent_json import changed_source

SECRET = "kim@example.com"
PNG = "data:image/png;base64,iVBORw0KGgo="

OPENAI = openai.OpenAI(api_key="test", base_url="http://127.0.0.1:1")
ANTHROPIC = anthropic.Anthropic(api_key="test", base_url="http://127.0.0.1:1")
GOOGLE = genai.Client(api_key="test")
CHAT = Target(OPENAI.chat.completions.create)
RESPONSES = Target(OPENAI.responses.create)
MESSAGES = Target(ANTHROPIC.messages.create)
GENERATE = Target(GOOGLE.models.generate_content)


class Seen:
    """A change that remembers what it was asked, and takes the planted value out."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self.labels: dict[str, str | None] = {}
        self.attached: list[Attachment] = []

    def __call__(self, text: str, where: Where) -> str:
        self.texts.append((str(where), text))
        self.labels[str(where)] = where.label
        return text.replace(SECRET, "<E>")

    @property
    def places(self) -> list[str]:
        return [where for where, text in self.texts if SECRET in text]


def sent(target: Target, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any], Seen]:
    """Rewrite a call; what the caller holds is as it was, and nothing planted is left."""
    seen = Seen()
    before = repr((args, kwargs))
    new_args, new_kwargs = rewrite(target, args, kwargs, seen, attached=seen.attached.append)
    assert repr((args, kwargs)) == before
    assert SECRET not in repr((new_args, new_kwargs))
    return new_args, new_kwargs, seen


# --- providers' requests ----------------------------------------------------------------------


def test_openai_chat():
    """All roles, blocks, tool arguments as JSON source; instructions are read before messages."""
    messages = [
        {"role": "system", "content": f"s {SECRET}"},
        {"role": "user", "name": "kim", "content": [{"type": "text", "text": f"u {SECRET}"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "send", "arguments": f'{{ "to":"{SECRET}" }}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": f"t {SECRET}"},
    ]
    tools = [
        {
            "type": "function",
            "function": {
                "name": "send",
                "description": f"d {SECRET}",
                "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
            },
        }
    ]
    _, kwargs, seen = sent(
        CHAT, model="gpt-4o", messages=messages, tools=tools, user=SECRET, metadata={"a": SECRET}
    )
    assert seen.places == [
        "tools[0].function.description",
        "metadata[...]",
        "user",
        "messages[0].content",
        "messages[1].content[0].text",
        "messages[2].tool_calls[0].function.arguments",
        "messages[3].content",
    ]
    call = kwargs["messages"][2]["tool_calls"][0]
    assert call["id"] == "call_1"
    assert call["function"] == {"name": "send", "arguments": '{ "to":"<E>" }'}
    assert kwargs["messages"][1]["name"] == "kim"
    assert kwargs["tools"][0]["function"]["parameters"] is tools[0]["function"]["parameters"]


def test_an_answer_that_is_sent_back():
    """The SDK's own message objects are copied, not changed."""
    message = ChatCompletionMessage.model_validate(
        {
            "role": "assistant",
            "content": SECRET,
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "f", "arguments": json.dumps({"to": SECRET})},
                }
            ],
        }
    )
    _, kwargs, _ = sent(CHAT, model="m", messages=[message])
    new = kwargs["messages"][0]
    assert type(new) is ChatCompletionMessage
    assert new.tool_calls[0].function.arguments == '{"to": "<E>"}'
    assert message.content == SECRET


def test_openai_responses():
    """Input as text or items, instructions first, results of tools; ids stay."""
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": SECRET}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": f'["{SECRET}"]'},
        {"type": "function_call_output", "call_id": "c", "output": SECRET},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": SECRET}]},
    ]
    _, kwargs, seen = sent(
        RESPONSES,
        input=items,
        model="m",
        instructions=SECRET,
        previous_response_id="resp_1",
        prompt={"id": "pmpt_1", "variables": {"who": SECRET}},
    )
    assert seen.places[0] == "instructions"
    assert kwargs["input"][1] == {**items[1], "arguments": '["<E>"]'}
    assert kwargs["previous_response_id"] == "resp_1"
    assert kwargs["prompt"] == {"id": "pmpt_1", "variables": {"who": "<E>"}}
    assert sent(RESPONSES, input=SECRET, model="m")[1]["input"] == "<E>"


def test_openai_embeddings_and_completions():
    """One text, or a list of them; tokens are no texts."""
    embed, complete = Target(OPENAI.embeddings.create), Target(OPENAI.completions.create)
    assert sent(embed, model="m", input=[SECRET, "b"])[1]["input"] == ["<E>", "b"]
    assert sent(complete, model="m", prompt=SECRET)[1]["prompt"] == "<E>"
    tokens = [1234567890123, 2]
    assert sent(embed, model="m", input=tokens)[1]["input"] is tokens


def test_anthropic_messages():
    """System blocks, tool input by its fields, results in blocks, thinking; its seal stays."""
    messages = [
        {"role": "user", "content": SECRET},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": f"t {SECRET}", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "b3Bhcw=="},
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "send",
                    "input": {"name": SECRET, "id": SECRET, "n": 4111111111111111},
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": SECRET}],
                }
            ],
        },
    ]
    system = [{"type": "text", "text": SECRET, "cache_control": {"type": "ephemeral"}}]
    _, kwargs, seen = sent(
        MESSAGES,
        messages=messages,
        model="claude",
        max_tokens=9,
        system=system,
        metadata={"user_id": SECRET},
    )
    assert seen.places[0] == "system[0].text"
    thinking, redacted, use = kwargs["messages"][1]["content"]
    assert thinking["signature"] == "c2ln"
    assert redacted is messages[1]["content"][1]
    assert use["input"] == {"name": "<E>", "id": "<E>", "n": 4111111111111111}
    assert use["id"] == "toolu_1"
    assert ("messages[1].content[2].input[...]", "4111111111111111") in seen.texts
    assert kwargs["metadata"] == {"user_id": "<E>"}
    assert not seen.attached


def test_anthropic_documents():
    """A document of plain text is text; a picture or a PDF is attached."""
    blocks = [
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": SECRET},
        },
        {"type": "document", "title": SECRET, "source": {"type": "url", "url": "https://x.kr/a"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
        {"type": "search_result", "source": "https://x.kr", "title": SECRET, "content": []},
    ]
    _, kwargs, seen = sent(
        MESSAGES, messages=[{"role": "user", "content": blocks}], model="c", max_tokens=1
    )
    new = kwargs["messages"][0]["content"]
    assert new[0]["source"]["data"] == "<E>"
    assert new[1] == {**blocks[1], "title": "<E>"}
    assert new[2] is blocks[2]
    assert seen.attached == [
        Attachment("file", "messages[0].content[1]"),
        Attachment("image", "messages[0].content[2]"),
    ]


@pytest.mark.parametrize(
    "contents",
    [
        SECRET,
        [SECRET, "b"],
        {"role": "user", "parts": [{"text": SECRET}]},
        [types.Content(role="user", parts=[types.Part(text=SECRET)])],
        [types.Part.from_function_call(name="send", args={"name": SECRET})],
        [types.Part.from_function_response(name="send", response={"id": SECRET})],
        [{"functionCall": {"name": "send", "args": {"to": [SECRET]}}}],
    ],
    ids=["str", "list", "dict", "Content", "call", "response", "camel"],
)
def test_google_contents(contents):
    """Whatever form contents have, and the instructions in the config before them."""
    config = types.GenerateContentConfig(system_instruction=SECRET, temperature=0.5)
    _, kwargs, seen = sent(GENERATE, model="gemini", contents=contents, config=config)
    assert seen.places[0] == "config.system_instruction"
    assert type(kwargs["config"]) is types.GenerateContentConfig
    assert kwargs["config"].temperature == 0.5
    assert type(kwargs["contents"]) is type(contents)


def test_google_attachments():
    """Bytes in a part are attached, and stay."""
    part = types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png")
    other = {"inline_data": {"mime_type": "audio/wav", "data": b"RIFF"}}
    link = types.Part.from_uri(file_uri="https://x.kr/a.pdf", mime_type="application/pdf")
    _, kwargs, seen = sent(GENERATE, model="g", contents=[part, other, link, SECRET])
    assert kwargs["contents"][:3] == [part, other, link]
    assert [each.kind for each in seen.attached] == ["image", "audio", "file"]


def test_langchain_messages():
    """Messages, blocks, parsed tool arguments and their raw form, tool messages, config."""
    model = ChatOpenAI(model="m", api_key="test", base_url="http://127.0.0.1:1")
    raw = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": f'{{"a":"{SECRET}"}}'},
    }
    messages = [
        SystemMessage(SECRET),
        HumanMessage(
            [{"type": "text", "text": SECRET}, {"type": "image_url", "image_url": {"url": PNG}}]
        ),
        AIMessage(
            SECRET,
            id="run-1",
            tool_calls=[{"name": "f", "args": {"name": SECRET}, "id": "c"}],
            additional_kwargs={"tool_calls": [raw]},
        ),
        ToolMessage(SECRET, tool_call_id="c", artifact={"kept": 1}),
    ]
    config = {"metadata": {"who": "ann"}}
    args, _, seen = sent(Target(model.invoke), messages, config)
    assert args[1] is config
    assert [type(each) for each in args[0]] == [type(each) for each in messages]
    answer = args[0][2]
    assert answer.tool_calls == [
        {"name": "f", "args": {"name": "<E>"}, "id": "c", "type": "tool_call"}
    ]
    assert answer.additional_kwargs["tool_calls"][0]["function"]["arguments"] == '{"a":"<E>"}'
    assert answer.id == "run-1"
    assert args[0][3].tool_call_id == "c"
    assert seen.attached == [Attachment("image", "input[1].content[1]")]
    assert (
        sent(Target(model.invoke), ChatPromptValue(messages=messages))[0][0].messages[0].content
        == "<E>"
    )
    assert sent(Target(model.invoke), SECRET)[0] == ("<E>",)


def test_openai_attachments():
    """Pictures, sounds and files are told of, once each and with their places, and stay."""
    blocks = [
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": {"url": "https://x.kr/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {
            "type": "file",
            "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": SECRET},
        },
        {"type": "text", "text": SECRET},
    ]
    _, kwargs, seen = sent(CHAT, model="m", messages=[{"role": "user", "content": blocks}])
    assert [(each.kind, each.where) for each in seen.attached] == [
        ("image", "messages[0].content[0]"),
        ("image", "messages[0].content[1]"),
        ("audio", "messages[0].content[2]"),
        ("file", "messages[0].content[3]"),
    ]
    assert kwargs["messages"][0]["content"][:3] == blocks[:3]
    assert kwargs["messages"][0]["content"][3]["file"]["filename"] == "<E>"


@pytest.mark.parametrize("text", ["data: name, then kim@example.com", "data:,kim@example.com"])
def test_words_after_data_are_no_attachment(text):
    """Only what is base64 to its end passes for a `data:` URL."""
    _, _, seen = sent(CHAT, model="m", messages=[{"role": "user", "content": text}])
    assert seen.places == ["messages[0].content"]
    assert not seen.attached


@pytest.mark.parametrize("after", ["010-1234-5678", "\n900101-1234567", "iVBO\n010-1234-5678"])
def test_a_number_behind_base64_is_no_attachment(after):
    """What begins as a `data:` URL is masked where it goes on as something else."""
    _, _, seen = sent(CHAT, model="m", messages=[{"role": "user", "content": PNG[:22] + after}])
    assert seen.texts == [("messages[0].content", PNG[:22] + after)]
    assert not seen.attached


def test_what_authorises_stays():
    """Keys, headers and clients' settings are not texts."""
    headers = {"Authorization": "Bearer x", "X-Mail": "a"}
    _, kwargs, seen = sent(
        CHAT, model="m", messages=[], extra_headers=headers, api_key="k", timeout=3
    )
    assert kwargs["extra_headers"] is headers
    assert not seen.texts


def test_nothing_to_change_shares_everything():
    """A request without a hit is handed on as it is."""
    kwargs = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    args, same = rewrite(CHAT, (), kwargs, Seen())
    assert same is kwargs
    assert args == ()


# --- functions of the user's ------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """A record with slots, frozen."""

    name: str
    age: int = 3


class Model(pydantic.BaseModel):
    """A record of pydantic's."""

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")
    mail: str
    inner: list[str] = []

    @functools.cached_property
    def shout(self) -> str:
        return self.mail.upper()


class Pair(NamedTuple):
    """A named tuple."""

    left: str
    right: str


class Colour(enum.StrEnum):
    """Members of an Enum are no texts."""

    RED = SECRET


class Text(str):
    """A class of texts."""

    __slots__ = ()


VALUES = {
    "str": (SECRET, "<E>"),
    "str subclass": (Text(SECRET), Text("<E>")),
    "list": (["a", SECRET], ["a", "<E>"]),
    "tuple": ((SECRET, 1), ("<E>", 1)),
    "named tuple": (Pair(SECRET, "b"), Pair("<E>", "b")),
    "set": ({SECRET, "b"}, {"<E>", "b"}),
    "frozenset": (frozenset({SECRET}), frozenset({"<E>"})),
    "deque": (collections.deque([SECRET], 3), collections.deque(["<E>"], 3)),
    "user list": (collections.UserList([SECRET]), collections.UserList(["<E>"])),
    "user string": (collections.UserString(SECRET), collections.UserString("<E>")),
    "namespace": (SimpleNamespace(a=SECRET, b=[SECRET]), SimpleNamespace(a="<E>", b=["<E>"])),
    "keys": ({SECRET: 1, "z": 2}.keys(), ["<E>", "z"]),
    "values": ({"a": SECRET, "z": 2}.values(), ["<E>", 2]),
    "items": ({"a": SECRET}.items(), [("a", "<E>")]),
    "dict": ({"a": {"b": [SECRET]}}, {"a": {"b": ["<E>"]}}),
    "key": ({SECRET: 1, "z": 2}, {"<E>": 1, "z": 2}),
    "ordered": (collections.OrderedDict(a=SECRET), collections.OrderedDict(a="<E>")),
    "proxy": (MappingProxyType({"a": SECRET}), {"a": "<E>"}),
    "dataclass": (Person(SECRET), Person("<E>")),
    "pydantic": (Model(mail=SECRET, inner=[SECRET]), Model(mail="<E>", inner=["<E>"])),
    "extra": (Model(mail="a", more=SECRET), Model(mail="a", more="<E>")),
    "document": (
        Document(SECRET, metadata={"name": SECRET}),
        Document("<E>", metadata={"name": "<E>"}),
    ),
    "message in data": (
        [{"role": "user", "content": SECRET, "name": "n"}],
        [{"role": "user", "content": "<E>", "name": "n"}],
    ),
}


@pytest.mark.parametrize(("value", "new"), VALUES.values(), ids=VALUES)
def test_values_of_functions(value, new):
    """Whatever a function is given: a copy of the same class, by position and by name."""
    target = Target(lambda question, more=None: question)
    args, kwargs, _ = sent(target, value, more=value)
    assert args[0] == kwargs["more"] == new
    assert type(args[0]) is type(new)


def test_a_cached_property_is_no_way_out():
    """What pydantic or functools have cached on the object is changed, too."""
    model = Model(mail=SECRET)
    assert model.shout == SECRET.upper()
    vars(model)["cached"] = SECRET
    (new,), _, _ = sent(Target(lambda m: m), model)
    assert "cached" not in vars(new) or vars(new)["cached"] == "<E>"


def test_what_is_no_text_stays():
    """Members of an Enum, numbers, clients, functions and open files are handed on."""
    values = [Colour.RED, 4111111111111111, OPENAI, print, Person, object(), None]
    target = Target(lambda *values: values)
    args, _ = rewrite(target, tuple(values), {}, Seen())
    assert all(new is old for new, old in zip(args, values, strict=True))


def test_attached_to_functions():
    """Bytes and files are told of."""
    seen = Seen()
    rewrite(
        Target(lambda *values: values),
        (b"x", io.BytesIO(b"x"), [bytearray(b"x")]),
        {},
        seen,
        attached=seen.attached.append,
    )
    assert [each.kind for each in seen.attached] == ["bytes", "file", "bytes"]


def test_the_object_of_a_method_stays():
    """`self` is the caller's own, whatever it is made of."""

    @dataclasses.dataclass
    class Agent:
        key: str

        def ask(self, question: str) -> str:
            return question

    agent = Agent(SECRET)
    args, _ = rewrite(Target(Agent.ask), (agent, SECRET), {}, Seen())
    assert args[0] is agent
    assert args[1] == "<E>"


def test_the_order_of_parameters():
    """Keywords in whatever order are read as the function has them."""

    def ask(question: str, context: str = "", *, user: str = "") -> None: ...

    seen = Seen()
    rewrite(Target(ask), (), {"user": SECRET, "context": SECRET, "question": SECRET}, seen)
    assert seen.places == ["question", "context", "user"]


def test_labels():
    """A field's name goes with its text: it may be what tells the text's type."""
    seen = Seen()
    rewrite(Target(lambda data: data), ({"passport": [SECRET]},), {}, seen)
    assert seen.labels["data[...][0]"] == "passport"


def test_texts_of_a_partial():
    """What a partial gives by name is changed for the call."""
    target = Target(functools.partial(OPENAI.chat.completions.create, model="m", user=SECRET))
    _, kwargs = rewrite(target, (), {"messages": []}, Seen())
    assert kwargs == {"messages": [], "user": "<E>"}


def test_keys_that_meet():
    """Two keys that become one keep both values."""
    new = rewritten({"a1": 1, "a2": 2}, lambda text, _: "<R>" if text[0] == "a" else text)
    assert new == {"<R>": 1, "<R> (2)": 2}


def test_one_object_twice():
    """What is one object for the caller is one in the copy."""
    shared = [SECRET]
    new = rewritten({"a": shared, "b": shared}, Seen())
    assert new["a"] is new["b"]


def test_a_structure_that_contains_itself():
    """It cannot be changed in a copy, so it is refused, by name."""
    loop: dict[str, Any] = {"text": SECRET}
    loop["self"] = [loop]
    with pytest.raises(Unwalkable, match=r"data\[\.\.\.\]\[0\] contains itself"):
        rewrite(Target(lambda data: data), (loop,), {}, Seen())


def test_deep_nesting_is_refused():
    """Nesting that has no end in sight is refused, not a crash."""
    deep: Any = SECRET
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(Unwalkable):
        rewritten(deep, Seen())


def test_generators_are_read_when_they_are_read():
    """A generator's texts are changed as they come, once, and none before."""
    pulled: list[str] = []

    def lines():
        for line in (SECRET, "b"):
            pulled.append(line)
            yield line

    (new,), _ = rewrite(Target(lambda texts: texts), (lines(),), {}, Seen())
    assert pulled == []
    assert list(new) == ["<E>", "b"]
    assert list(new) == []


async def test_async_generators():
    """Async ones, too."""

    async def lines():
        yield {"text": SECRET}

    (new,), _ = rewrite(Target(lambda texts: texts), (lines(),), {}, Seen())
    assert [each async for each in new] == [{"text": "<E>"}]


def test_sets_are_read_in_one_order():
    """So that placeholders do not hang on how texts are hashed."""
    seen = Seen()
    rewritten({"c", "a", "b"}, seen)
    assert [text for _, text in seen.texts] == ["a", "b", "c"]


# --- JSON source ------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.booleans(), st.sampled_from([None, 2]))
def test_source_that_is_not_changed_stays(value, ascii_, indent):
    """Not a character differs, and every text was asked about."""
    source = json.dumps(value, ensure_ascii=ascii_, indent=indent)
    asked: list[str] = []
    assert changed_source(source, lambda text, _: asked.append(text) or text) == source

    def texts(node):
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            for key, each in node.items():
                yield key
                yield from texts(each)
        elif isinstance(node, list):
            for each in node:
                yield from texts(each)

    assert [text for text in asked if not text.lstrip("-").replace(".", "").isdigit()] == [
        text for text in texts(value) if not text.lstrip("-").replace(".", "").isdigit()
    ] or any(len(text) >= 9 for text in asked)


@given(JSON)
def test_source_stays_json(value):
    """Whatever texts become, the source still parses, to the same structure."""
    source = json.dumps(value)
    new = json.loads(changed_source(source, lambda text, _: f'"{text}"\n\\'))
    assert type(new) is type(value) or isinstance(value, (int, float))


@given(JSON, st.data())
def test_source_that_is_cut_off(value, data):
    """Of arguments that broke off nothing passes unseen."""
    source = json.dumps({"to": SECRET, "x": value})
    cut = data.draw(st.integers(0, len(source)))
    seen: list[str] = []
    new = changed_source(
        source[:cut], lambda text, _: seen.append(text) or text.replace(SECRET, "<E>")
    )
    assert SECRET not in new


@pytest.mark.parametrize(
    ("source", "new"),
    [
        (f'{{"to": "{SECRET}"}}', '{"to": "<E>"}'),
        (f"to {SECRET}", "to <E>"),
        (f'{{"to": {SECRET}}}', '{"to": <E>}'),
        (f'["{SECRET}', '["<E>'),
        (f'"{SECRET}"', '"<E>"'),
        ('{"to": "kim\\u0040example.com"}', '{"to": "<E>"}'),
        (f'{{"{SECRET}": 1}}', '{"<E>": 1}'),
        ("", ""),
    ],
)
def test_sources(source, new):
    """Escapes are read, broken JSON is text, keys are texts."""
    assert changed_source(source, lambda text, _: text.replace(SECRET, "<E>")) == new


def test_a_long_number_becomes_a_text():
    """A card's number needs no quotes in JSON; what takes its place does."""
    new = changed_source(
        '{"card": 4111111111111111}', lambda text, _: "<C>" if text[0] == "4" else text
    )
    assert json.loads(new) == {"card": "<C>"}


@pytest.mark.parametrize(
    "source", ['"' * 200_000, '\\"' * 200_000, '"a\\' * 200_000, '{"a":' * 99_999]
)
@pytest.mark.timeout(20)
def test_hostile_source_takes_linear_time(source):
    """No source makes the scanner go back and forth."""
    changed_source(source, lambda text, _: text)


def test_pickles_of_nothing():
    """Places are plain values."""
    where = Where(("messages", 0, "content"), "label")
    assert pickle.loads(pickle.dumps(where)) == where
    assert str(where) == "messages[0].content"
