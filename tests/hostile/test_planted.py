"""A whole run with planted values: none is in a log, a row, an exception, a note, a repr, a report."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import logging
import pickle
import sqlite3
import traceback
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

import agentguard as ag
from agentguard import errors
from agentguard.testing import FakeProvider, fault
from agentguard.testing.subject import Listening
from tests.policies.redis_server import RedisServer

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

MAIL, PHONE = "ms77@example.com", "010-9876-5432"
NUMBER, NAME = "900101-1234568", "Kim Minsu"
KEY = "sk-proj-" + base64.b64encode(hashlib.sha512(b"planted").digest(), b"ab").decode()[:48]
PLANTED = (MAIL, PHONE, NUMBER, NAME, KEY)
TEXT = f"I am {NAME} ({NUMBER}), {MAIL}, {PHONE}; my key is {KEY}"


class Heard:
    """All that is said anywhere during a run."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.told: list[str] = []
        self.caplog = caplog

    def __call__(self, event: object) -> None:
        self.told += [repr(event), str(event)]

    def failed(self, error: BaseException) -> None:
        """All that can be read from an exception, as a log or a crash report would."""
        out = io.StringIO()
        traceback.print_exception(error, file=out)
        each: BaseException | None = error
        while each is not None:
            self.told += [
                repr(each),
                str(each),
                repr(each.args),
                repr(getattr(each, "__notes__", "")),
                repr({k: v for k, v in vars(each).items() if k not in {"request", "response"}}),
                repr(getattr(each, "findings", "")),
                str(getattr(each, "public_message", "")),
                str(errors.partial(each)),
            ]
            each = each.__cause__ or each.__context__
        self.told.append(out.getvalue())
        try:
            self.told.append(repr(pickle.dumps(error)))
        except Exception as reason:
            self.told.append(repr(reason))

    def clean(self, *places: object) -> None:
        """Nothing planted is in any of it."""
        told = [*self.told, self.caplog.text, *map(repr, self.caplog.records), *map(str, places)]
        told += [repr(record.args) for record in self.caplog.records]
        for place in told:
            for value in PLANTED:
                assert value not in place


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Heard:
    """Everything from DEBUG on."""
    caplog.set_level(logging.DEBUG)
    return Heard(caplog)


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """It answers with placeholders."""
    with FakeProvider(answer="to <EMAIL_1> or <PHONE_1>, dear <NAME_1>") as running:
        yield running


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A real server."""
    server = RedisServer()
    server.start()
    yield f"redis://127.0.0.1:{server.port}/0"
    server.stop()


def unpacked(cells: Iterator[Any] | list[Any]) -> str:
    """Rows as text, with what is compressed in them."""
    found: list[str] = []
    for cell in cells:
        found.append(repr(cell))
        for at in range(len(cell) if isinstance(cell, bytes) else 0):
            if cell[at : at + 1] == b"x":
                try:
                    found.append(repr(zlib.decompress(cell[at:])))
                except zlib.error:
                    continue
    return "".join(found)


def of_file(path: Path) -> str:
    """All rows of all tables."""
    with sqlite3.connect(path) as file:
        tables = file.execute("select name from sqlite_master where type = 'table'").fetchall()
        cells = [c for (t,) in tables for row in file.execute(f"select * from {t}") for c in row]
    file.close()
    return unpacked(cells)


def of_redis(url: str) -> str:
    """All keys and values."""
    import redis

    cells: list[Any] = []
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter():
            cells += [key, client.dump(key)]
            kind = client.type(key)
            if kind == b"hash":
                cells += [each for pair in client.hgetall(key).items() for each in pair]
            elif kind == b"string":
                cells.append(client.get(key))
            elif kind == b"zset":
                cells += client.zrange(key, 0, -1)
            elif kind == b"set":
                cells += client.smembers(key)
    return unpacked(cells)


def messages(text: str) -> list[Any]:
    """A conversation with values in every role, and a tool's arguments."""
    return [
        {"role": "system", "content": f"the user: {text}"},
        {"role": "user", "content": [{"type": "text", "text": text}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "save", "arguments": f'{{"text": "{text}"}}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": f'{{"saved": "{text}"}}'},
    ]


@pytest.mark.parametrize("store", ["sqlite", "redis"])
@pytest.mark.parametrize("streaming", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_full_run(
    provider: FakeProvider,
    heard: Heard,
    tmp_path: Path,
    redis_url: str,
    store: str,
    streaming: bool,
    is_async: bool,
) -> None:
    """Failures, a retry, a fallback, a cache that misses and hits: the user gets values, nobody else."""
    file = tmp_path / "answers.db"
    where = f"sqlite:///{file}" if store == "sqlite" else redis_url
    name = f"{streaming}-{is_async}"
    safe = ag.guard(
        ag.mask_pii(),
        ag.cache(store=where, name=name),
        ag.fallback(model="gpt-4o-mini"),
        ag.retry(attempts=2, wait=lambda _: 0.0),
        ag.breaker(),
        ag.timeout(20),
    )
    provider.script(
        fault.status(429),
        fault.status(400, message="cannot read <EMAIL_1>"),
    )

    async def ask() -> list[str]:
        kind = openai.AsyncOpenAI if is_async else openai.OpenAI
        client = safe(kind(base_url=provider.openai_url, api_key="test"))
        heard.told += [repr(client), repr(safe), ag.explain(client), str(ag.describe(client))]
        said: list[str] = []
        for _ in range(3):
            try:
                found = client.chat.completions.create(
                    model="gpt-4o", messages=messages(TEXT), user=MAIL, stream=streaming
                )
                found = await found if is_async else found
                if streaming:
                    chunks = [c async for c in found] if is_async else [*found]
                    parts = [c.choices[0].delta.content or "" for c in chunks if c.choices]
                    said.append("".join(parts))
                else:
                    said.append(found.choices[0].message.content)
            except Exception as error:
                heard.failed(error)
        closing = client.close()
        if is_async:
            await closing
        return said

    with (
        warnings.catch_warnings(record=True) as warned,
        ag.report() as seen,
        ag.usage() as used,
        ag.context(known={"name": NAME}),
        Listening(heard),
    ):
        warnings.simplefilter("always")
        said = asyncio.run(ask())

    restored = f"to {MAIL} or {PHONE}, dear {NAME}"
    assert said
    assert set(said) == {restored}
    assert len(heard.told) > 10
    sent = str([(each.body, dict(each.headers)) for each in provider.journal])
    kept = of_file(file) if store == "sqlite" else of_redis(redis_url)
    assert "<EMAIL_1>" in sent
    assert "<EMAIL_1>" in kept
    heard.clean(
        sent,
        kept,
        seen,
        repr(seen),
        seen.to_html(),
        seen._repr_html_(),
        used,
        [str(each.message) for each in warned],
    )


class Quoting:
    """A detector that fails in words that quote the text."""

    def find(self, text: str) -> list[Any]:
        raise ValueError(f"cannot read {text!r}")


REFUSALS = {
    "block": lambda: ag.mask_pii(strategy="block"),
    "detector": lambda: ag.mask_pii(detectors=[Quoting()]),
    "strategy": lambda: ag.mask_pii(strategy=lambda value, kind: int(value)),
    "attachments": lambda: ag.mask_pii(attachments="block"),
}


@pytest.mark.parametrize("make", REFUSALS.values(), ids=REFUSALS)
def test_refusals(provider: FakeProvider, heard: Heard, make: Any) -> None:
    """Whatever is refused, and why: types and places, no text, and nothing is sent."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
    given = [{"role": "user", "content": [{"type": "text", "text": TEXT}, picture]}]
    with ag.report() as seen, Listening(heard), ag.context(known={"name": NAME}):
        client = ag.guard(make())(openai.OpenAI(base_url=provider.openai_url, api_key="test"))
        with client, pytest.raises(errors.InputRejected) as raised:
            client.chat.completions.create(model="gpt-4o", messages=given)
    heard.failed(raised.value)
    heard.clean(seen, repr(seen), seen.to_html(), seen._repr_html_())
    assert not provider.journal


def test_names_of_fields_are_not_told(heard: Heard) -> None:
    """A value may be a key: places of findings do not say it."""
    ask = ag.mask_pii(strategy="block")(lambda data: data)
    loop: dict[str, Any] = {}
    loop[MAIL] = loop
    for data in ({MAIL: {PHONE: MAIL}}, loop):
        with pytest.raises(errors.InputRejected) as raised, Listening(heard):
            ask(data)
        heard.failed(raised.value)
    heard.clean()


def test_what_breaks_in_the_middle(provider: FakeProvider, heard: Heard) -> None:
    """A stream that is cut: what had come is not in the error as values."""
    provider.script(fault.drop(after=2))
    client = ag.guard(ag.mask_pii())(openai.OpenAI(base_url=provider.openai_url, api_key="test"))
    with client, ag.context(known={"name": NAME}), pytest.raises(Exception) as raised:
        for _ in client.chat.completions.create(
            model="gpt-4o", messages=messages(TEXT), stream=True
        ):
            pass
    heard.failed(raised.value)
    heard.clean()
