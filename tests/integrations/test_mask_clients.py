"""Clients of openai and anthropic under `mask_pii`, over real HTTP: no value reaches the provider."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
import zlib
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pydantic
import pytest

from agentguard import cache, errors, fallback, guard, mask_pii, report, retry
from agentguard.testing import FakeProvider, fault
from tests.integrations.clients import PLAIN, WAYS, Way, opened
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR

KIM, LEE = "kim@example.com", "lee@example.org"
every_way = pytest.mark.parametrize("way", WAYS, ids=[way.name for way in WAYS])
plain_ways = pytest.mark.parametrize("way", PLAIN, ids=[way.name for way in PLAIN])
chats = [way for way in WAYS if "input" not in way.arguments or way.method != "embeddings.create"]


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the clients of one test talk to."""
    with FakeProvider(answer="to <EMAIL_1>, < email_2 >!") as running:
        yield running


def went_out(provider: FakeProvider) -> str:
    """All that the provider received, headers too."""
    return "".join(json.dumps([each.body, dict(each.headers)]) for each in provider.journal)


def asking(way: Way, text: str) -> Way:
    """The same way, asking this."""
    given = dict(way.arguments)
    if "messages" in given:
        given["messages"] = [{"role": "user", "content": text}]
    else:
        given["input"] = text
    return way._replace(arguments=given)


@every_way
def test_every_way_is_masked_and_restored(provider: FakeProvider, way: Way) -> None:
    """Unary, streams, helpers, raw responses: values at both ends, placeholders between."""
    asked = asking(way, f"write to {KIM} and {LEE}")
    answer = asked.run(provider, guard(mask_pii()))
    assert answer == f"to {KIM}, {LEE}!"
    assert KIM not in went_out(provider)
    assert "write to <EMAIL_1> and <EMAIL_2>" in went_out(provider).replace("\\u003c", "<")


@every_way
def test_through_retries_caches_and_a_fallback(
    provider: FakeProvider, way: Way, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever stands in the chain, no value is on the wire, on the disk, in a report or a log."""
    caplog.set_level(logging.DEBUG)
    provider.script(fault.status(429), fault.status(503))
    store = tmp_path / "answers.db"
    safe = guard(
        mask_pii(),
        cache(store=f"sqlite:///{store}", name="n"),
        fallback(model=way.arguments["model"] + "-small"),
        retry(attempts=2, wait=lambda _: 0.0),
    )
    with report() as seen:
        answer = asking(way, f"write to {KIM} and {LEE}").run(provider, safe, times=2)
    assert answer == f"to {KIM}, {LEE}!"
    kept = rows(store)
    assert "EMAIL_1" in kept
    for place in (went_out(provider), kept, str(seen), caplog.text):
        assert KIM not in place
        assert LEE not in place


def rows(store: Path) -> str:
    """All that a cache keeps in a file, and what is compressed in it."""
    found: list[str] = []
    with contextlib.closing(sqlite3.connect(store)) as file:
        tables = file.execute("select name from sqlite_master where type = 'table'").fetchall()
        cells = [c for (t,) in tables for row in file.execute(f"select * from {t}") for c in row]
    for cell in cells:
        found.append(repr(cell))
        for at in range(len(cell) if isinstance(cell, bytes) else 0):
            if cell[at : at + 1] == b"x":
                with contextlib.suppress(zlib.error):
                    found.append(repr(zlib.decompress(cell[at:])))
    return "".join(found)


def tool_answers() -> Any:
    """A tool call with a placeholder in its arguments, also cut in the middle of it."""
    return fault.ok("calling", tools=[("send", {"to": "<EMAIL_1>", "note": 'say "<EMAIL_2>"'})])


@pytest.mark.parametrize("streaming", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_tool_arguments_of_openai(provider: FakeProvider, streaming: bool, is_async: bool) -> None:
    """Arguments are JSON before and after, whatever the value needs escaped."""
    provider.schedule(lambda *_: tool_answers())
    with_name = guard(mask_pii())

    async def ask() -> Any:
        client = with_name(opened(provider, "openai", is_async=is_async))
        messages = [{"role": "user", "content": f"mail {KIM}, {LEE}"}]
        found = client.chat.completions.create(model="m", messages=messages, stream=streaming)
        found = await found if is_async else found
        if not streaming:
            return found.choices[0].message.tool_calls[0].function.arguments
        chunks = [c async for c in found] if is_async else [*found]
        calls = [c.choices[0].delta.tool_calls for c in chunks if c.choices]
        return "".join(each[0].function.arguments or "" for each in calls if each)

    assert json.loads(asyncio.run(ask())) == {"to": KIM, "note": f'say "{LEE}"'}


@pytest.mark.parametrize("streaming", [False, True], ids=["unary", "stream"])
def test_tool_input_of_anthropic(provider: FakeProvider, streaming: bool) -> None:
    """Parsed input, and the JSON that streams."""
    provider.schedule(lambda *_: tool_answers())
    with guard(mask_pii())(opened(provider, "anthropic", is_async=False)) as client:
        given: dict[str, Any] = {
            "model": "c",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": f"mail {KIM}, {LEE}"}],
        }
        if streaming:
            with client.messages.stream(**given) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**given)
    assert message.content[-1].input == {"to": KIM, "note": f'say "{LEE}"'}


def test_values_that_need_escapes_in_json(provider: FakeProvider) -> None:
    """A value with line breaks goes back into JSON as JSON."""
    word = "PRIVATE KEY"
    pem = f"-----BEGIN {word}-----\n{'MIIB' * 16}\n{'AgEA' * 8}\n-----END {word}-----"
    provider.schedule(lambda *_: fault.ok(tools=[("save", {"text": "<PRIVATE_KEY_1>"})]))
    with guard(mask_pii())(opened(provider, "openai", is_async=False)) as client:
        found = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": f"save {pem}"}]
        )
    assert json.loads(found.choices[0].message.tool_calls[0].function.arguments) == {"text": pem}
    assert "MIIB" not in went_out(provider)


class Contact(pydantic.BaseModel):
    """A parsed answer."""

    mail: str


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_parsed_answers(provider: FakeProvider, is_async: bool) -> None:
    """`parse()` gives an object with values."""
    provider.schedule(lambda *_: fault.ok('{"mail": "<EMAIL_1>"}'))

    async def ask() -> Any:
        client = guard(mask_pii())(opened(provider, "openai", is_async=is_async))
        found = client.chat.completions.parse(
            model="m", messages=[{"role": "user", "content": KIM}], response_format=Contact
        )
        return await found if is_async else found

    found = asyncio.run(ask())
    assert found.choices[0].message.parsed == Contact(mail=KIM)
    assert KIM not in went_out(provider)


def test_reasoning_is_restored(provider: FakeProvider) -> None:
    """Thinking, whole and streaming."""
    provider.schedule(lambda *_: fault.ok("ok <EMAIL_1>", thinking="mail to <EMAIL_1>"))
    with guard(mask_pii())(opened(provider, "anthropic", is_async=False)) as client:
        given: dict[str, Any] = {
            "model": "c",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": KIM}],
        }
        message = client.messages.create(**given)
        assert message.content[0].thinking == f"mail to {KIM}"
        with client.messages.stream(**given) as stream:
            final = stream.get_final_message()
        assert final.content[0].thinking == f"mail to {KIM}"


def test_a_conversation_that_the_client_sends_again(provider: FakeProvider) -> None:
    """What went out stays the same, character for character, when the restored history returns."""
    provider.schedule(
        lambda number, _: tool_answers() if number == 1 else fault.ok("done, <EMAIL_1>")
    )
    with guard(mask_pii())(opened(provider, "openai", is_async=False)) as client:
        messages: list[Any] = [
            {"role": "system", "content": f"the boss is {LEE}"},
            {"role": "user", "content": f"mail {KIM}"},
        ]
        first = client.chat.completions.create(model="m", messages=messages)
        call = first.choices[0].message.tool_calls[0]
        messages += [
            first.choices[0].message,
            {"role": "tool", "tool_call_id": call.id, "content": f"sent to {KIM}"},
            {"role": "user", "content": "and 010-1234-5678?"},
        ]
        client.chat.completions.create(model="m", messages=messages)
    before, after = (each.body["messages"] for each in provider.journal)
    assert after[: len(before)] == before
    said = json.loads(first.choices[0].message.tool_calls[0].function.arguments)
    assert said == {"to": LEE, "note": f'say "{KIM}"'}
    assert after[2]["tool_calls"][0]["id"] == call.id
    arguments = after[2]["tool_calls"][0]["function"]["arguments"]
    assert arguments == '{"to": "<EMAIL_1>", "note": "say \\"<EMAIL_2>\\""}'
    assert after[4]["content"] == "and <PHONE_1>?"
    assert KIM not in went_out(provider)


@pytest.mark.parametrize("streaming", [False, True], ids=["unary", "stream"])
def test_a_conversation_that_the_provider_keeps(provider: FakeProvider, streaming: bool) -> None:
    """`previous_response_id`: placeholders that the provider has seen stand for what they stood for."""
    from agentguard import context

    with guard(mask_pii())(opened(provider, "openai", is_async=False)) as client:

        def ask(text: str, **more: Any) -> tuple[str, str]:
            found = client.responses.create(model="m", input=text, stream=streaming, **more)
            if not streaming:
                return found.id, found.output_text
            last = [*found][-1].response
            return last.id, last.output_text

        provider.schedule(lambda *_: fault.ok("<EMAIL_1> <EMAIL_2>"))
        name, said = ask(f"I am {KIM}")
        assert said == f"{KIM} <EMAIL_2>"
        _, said = ask(f"mail {LEE}", previous_response_id=name)
        assert said == f"{KIM} {LEE}"
        with context(user="another"):
            assert ask("hi", previous_response_id=name)[1] == "<EMAIL_1> <EMAIL_2>"


@plain_ways
def test_a_provider_that_quotes_the_prompt(provider: FakeProvider, way: Way) -> None:
    """Its error has placeholders, and is not restored."""
    provider.schedule(lambda *_: fault.status(400, message="cannot take <EMAIL_1>"))
    with pytest.raises(Exception, match="EMAIL_1") as raised:
        asking(way, KIM).run(provider, guard(mask_pii()))
    request = getattr(raised.value, "request", None)
    assert KIM not in repr(raised.value) + str(raised.value) + repr(vars(raised.value))
    assert request is None or KIM.encode() not in request.content


@plain_ways
def test_block_sends_nothing(provider: FakeProvider, way: Way) -> None:
    """The journal is empty."""
    with pytest.raises(errors.InputRejected):
        asking(way, KIM).run(provider, guard(mask_pii(strategy="block")))
    assert not provider.journal


def test_a_picture_in_a_request(provider: FakeProvider) -> None:
    """It goes out as it is, is told of with its place, or is refused."""
    blocks = [
        {"type": "text", "text": KIM},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]
    messages: list[Any] = [{"role": "user", "content": blocks}]
    with guard(mask_pii())(opened(provider, "openai", is_async=False)) as client, report() as seen:
        client.chat.completions.create(model="m", messages=messages)
    assert provider.journal[0].body["messages"][0]["content"][1] == blocks[1]
    assert "not masked: image at messages[0].content[1]" in str(seen)
    strict = guard(mask_pii(attachments="block"))
    with (
        strict(opened(provider, "openai", is_async=False)) as client,
        pytest.raises(errors.InputRejected, match="kind image"),
    ):
        client.chat.completions.create(model="m", messages=messages)
    assert len(provider.journal) == 1


def test_methods_by_themselves(provider: FakeProvider) -> None:
    """A guarded method of a plain client, also as a decorated function's own."""
    with opened(provider, "openai", is_async=False) as client:
        create = mask_pii()(client.chat.completions.create)
        found = create(model="m", messages=[{"role": "user", "content": f"{KIM} {LEE}"}])
    assert found.choices[0].message.content == f"to {KIM}, {LEE}!"
    assert attrgetter("model")(found)
    assert KIM not in went_out(provider)
