"""Where the lines of `log` go, and what never stands in them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
import structlog

import agentguard as ag
from agentguard.exporters import wide_event as wide
from agentguard.exporters.captured import bounded
from agentguard.exporters.structlog import NAME
from agentguard.exporters.wide_event import FIELDS
from agentguard.providers.characters import characters
from agentguard.testing import FakeProvider, fault
from tests.policies.lines import Lines
from tests.shapes import Harness, every_shape

ASK: dict[str, Any] = {"model": "gpt-4o-mini", "max_tokens": 50}


@pytest.fixture
def configured() -> Iterator[io.StringIO]:
    """Configure structlog as a service does: JSON lines from level info on, with bound context."""
    out = io.StringIO()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(out),
    )
    yield out
    structlog.reset_defaults()


def printed(out: io.StringIO) -> list[dict[str, Any]]:
    """Return the lines that were printed."""
    return [json.loads(line) for line in out.getvalue().splitlines()]


def to(provider: FakeProvider, key: str = "test-key") -> dict[str, Any]:
    """Return the settings of a client."""
    return {"base_url": provider.openai_url, "api_key": key, "max_retries": 0}


# Which logger


def test_structlog_is_used_where_it_is_configured(configured: io.StringIO) -> None:
    """As the application has configured it, with what the application has bound."""

    @ag.log("support")
    def ask() -> str:
        return "42"

    with structlog.contextvars.bound_contextvars(request="r-1"):
        ask()
    (line,) = printed(configured)
    assert (line["event"], line["level"], line["guard"]) == ("model_call", "info", "support")
    assert line["request"] == "r-1"
    assert line["call"] == ask.__qualname__.rpartition(".")[2]


def test_what_structlog_would_drop_is_not_even_made(
    configured: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line at debug costs the question whether anybody wants it."""
    made: list[str] = []
    real = wide.wide_event
    monkeypatch.setattr(
        "agentguard.policies.log.wide_event", lambda call: made.append(call.name) or real(call)
    )

    @ag.retry
    def ask() -> str:
        return "42"

    @ag.log
    def answer() -> str:
        return ask()

    answer()
    assert len(made) == len(printed(configured)) == 1


def test_the_standard_library_gets_the_fields_too(caplog: pytest.LogCaptureFixture) -> None:
    """In `extra`, for formatters that make JSON; as `key=value` for people."""

    @ag.log
    def ask() -> str:
        return "42"

    with caplog.at_level(logging.INFO, NAME), ag.context(user="u 1", feature="search"):
        ask()
    (record,) = caplog.records
    assert (record.name, record.levelname) == (NAME, "INFO")
    assert record.agentguard["attempts"] == 1  # type: ignore[attr-defined]
    message = record.getMessage()
    assert message.startswith("model_call call=ask ")
    assert ' user="u 1" tags={"feature": "search"} outcome=completed ' in f"{message} "


def test_no_line_breaks_into_two(caplog: pytest.LogCaptureFixture) -> None:
    """A user who is called like a log line forges none."""

    @ag.log
    def ask() -> str:
        return "42"

    forged = "u1\nERROR agentguard model_call user=root\x1b[2K \u2028"
    with caplog.at_level(logging.INFO, NAME), ag.context(user=forged, **{"a\nb": "c"}):
        ask()
    message = caplog.records[0].getMessage()
    assert len(message.splitlines()) == 1
    assert "\x1b" not in message


def test_a_level_that_is_off_writes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The application decides by the logger's level."""

    @ag.log
    def ask() -> str:
        return "42"

    with caplog.at_level(logging.WARNING, NAME):
        ask()
    assert caplog.records == []


def test_fields_go_together_with_every_attribute_of_a_record() -> None:
    """Structlog's own bridge to the standard library puts them side by side."""
    record = logging.LogRecord("x", 20, "x.py", 1, "x", (), None)
    taken = {*vars(record), "message", "asctime", "event", "level", "logger", "timestamp"}
    assert not taken & set(FIELDS)


def test_a_program_that_configured_nothing_sees_trouble_alone() -> None:
    """On stderr, as the standard library does it, and no line of what went well."""
    program = """
        import agentguard as ag

        @ag.log
        def ask(fails: bool) -> str:
            if fails:
                raise ConnectionError
            return "42"

        ask(False)
        try:
            ask(True)
        except ConnectionError:
            pass
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert line.startswith("model_call call=ask outcome=failed kind=connection ")


@pytest.mark.parametrize(
    "make",
    [
        lambda: logging.getLogger("app"),
        lambda: logging.LoggerAdapter(logging.getLogger("app"), {}),
        lambda: structlog.wrap_logger(logging.getLogger("app"), wrapper_class=None),
    ],
    ids=["logging", "adapter", "structlog"],
)
def test_a_logger_of_ones_own(make: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    """Any of them, whatever is configured."""

    @ag.log(logger=make())
    def ask() -> str:
        return "42"

    with caplog.at_level(logging.INFO, "app"):
        ask()
    (record,) = caplog.records
    assert record.name == "app"
    assert "model_call" in record.getMessage()


def test_a_logger_that_wants_to_be_awaited(caplog: pytest.LogCaptureFixture) -> None:
    """The AsyncBoundLogger of structlog has one inside that does not."""

    @ag.log
    async def ask() -> str:
        return "42"

    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        wrapper_class=structlog.stdlib.AsyncBoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    try:
        with caplog.at_level(logging.INFO, NAME):
            asyncio.run(ask())
    finally:
        structlog.reset_defaults()
    assert json.loads(caplog.records[0].getMessage())["outcome"] == "completed"


# Loggers that are not well


class Broken(Lines):
    """Raises instead of writing."""

    def info(self, event: str, **fields: Any) -> None:
        """Fail."""
        raise OSError("no space left, said " + event)


@every_shape
def test_a_logger_that_raises_breaks_no_call(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer comes, and that it failed is told without the exception's words."""
    run = harness.run(ag.log(logger=Broken()), "42")
    assert run.text == "42"
    assert "OSError" in caplog.text
    assert "no space left" not in caplog.text.replace('raise OSError("no space left', "")


def test_lines_of_threads_and_loops() -> None:
    """One for each call, each whole, whoever makes them."""
    lines = Lines()
    log = ag.log(logger=lines)

    @log
    def ask(number: int) -> str:
        return "x" * number

    @log
    async def aask(number: int) -> str:
        await asyncio.sleep(0)
        return "x" * number

    async def many() -> None:
        async def one(number: int) -> None:
            with ag.context(user=f"u{number}"):
                await aask(number)

        await asyncio.gather(*(one(number) for number in range(50)))

    def sync() -> None:
        for number in range(50):
            with ag.context(user=f"u{number}"):
                ask(number)

    with ThreadPoolExecutor(6) as pool:
        for work in [pool.submit(sync) for _ in range(3)] + [
            pool.submit(lambda: asyncio.run(many())) for _ in range(3)
        ]:
            work.result()
    assert len(lines) == 300
    assert all(each["user"] == f"u{each['output_characters']}" for each in lines)
    assert log._asked == {}


def test_an_answer_that_was_cut_is_counted_off_the_event_loop() -> None:
    """A tokenizer takes its time; the line follows, with its context."""
    lines, threads = Lines(), []

    class Threads(Lines):
        def info(self, event: str, **fields: Any) -> None:
            threads.append(threading.current_thread().name)
            lines.info(event, **fields)

    @ag.log(logger=Threads())
    async def ask(*, model: str) -> Any:
        yield {"model": model, "choices": [{"delta": {"content": "forty"}}]}
        yield {"model": model, "choices": [{"delta": {"content": "-two"}}]}

    async def leave() -> None:
        stream = ask(model="gpt-4o-mini")
        await anext(stream)
        await stream.aclose()

    with ag.context(user="u1"):
        asyncio.run(leave())
    assert ag.flush(30)
    assert lines.only["estimated"] == 1
    assert lines.only["output_tokens"] > 0
    assert lines.only["user"] == "u1"
    assert threads == ["agentguard-log"]


# What never stands in a line, and what does with capture


def test_planted_secrets_are_in_no_line() -> None:
    """Prompts, answers, keys, addresses, errors' words, known values; sync, async, streams."""
    key, address, name = "sk-" + "a1" * 24, "kim" + "@example.test", "Kim " + "Minsu"
    host = "secret" + "b2" * 8 + ".example.test"
    lines = Lines()
    question = [{"role": "user", "content": f"I am {name}, {address}, {host}"}]

    def fails(number: int, _: Any) -> Any:
        return fault.status(400, message=f"bad: {address} {key}") if number == 2 else None

    with FakeProvider(answer=f"hello {name} at {host}") as provider:
        provider.schedule(fails)
        guards = ag.guard(ag.log(logger=lines), ag.mask_pii(), ag.retry(attempts=1))
        client = guards(openai.OpenAI(**to(provider, key)))
        aclient = guards(openai.AsyncOpenAI(**to(provider, key)))

        async def stream() -> None:
            answer = await aclient.chat.completions.create(**ASK, messages=question, stream=True)
            async for _ in answer:
                pass

        with ag.context(known={"name": name}, user="u1"):
            client.chat.completions.create(**ASK, messages=question)
            with pytest.raises(Exception, match="bad"):
                client.chat.completions.create(**ASK, messages=question)
            asyncio.run(stream())
    assert ag.flush(30)
    assert len(lines) == 3
    told = str(lines)
    for secret in (key, address, name, host, "hello", provider.openai_url):
        assert secret not in told
    assert lines.levels == ["info", "error", "info"]
    assert lines[1]["status"] == 400
    assert lines[1]["request_id"]


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_what_is_captured_is_what_went_over_the_wire(stream: bool) -> None:
    """The prompt that was sent and the answer that came, placeholders and all."""
    address = "kim" + "@example.test"
    lines = Lines()
    with FakeProvider(answer="I wrote to <EMAIL_1>") as provider:
        client = ag.guard(ag.log(capture=True, logger=lines), ag.mask_pii())(
            openai.OpenAI(**to(provider))
        )
        answer = client.chat.completions.create(
            **ASK,
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": f"Write to {address}"},
            ],
            tools=[{"type": "function", "function": {"name": "look", "description": "unseen"}}],
            stream=stream,
        )
        if stream:
            assert address in "".join(
                chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices
            )
        else:
            assert address in answer.choices[0].message.content
    line = lines.only
    assert line["prompt"] == "system: Be brief.\nuser: Write to <EMAIL_1>"
    assert line["answer"] == "I wrote to <EMAIL_1>"
    assert address not in str(line)


def test_what_is_captured_has_a_length() -> None:
    """The middle is left out, and the line says how much of it."""
    lines = Lines()

    @ag.log(capture=10, logger=lines)
    def ask(question: str) -> str:
        return "x" * 100

    ask("y" * 100)
    assert lines.only["answer"] == "xxxxx [... 90 characters ...] xxxxx"
    assert lines.only["prompt"] == "user: [... 96 characters ...] yyyyy"
    assert lines.only["input_characters"] == 100
    assert bounded("abc", 1) == "a [... 2 characters ...] "


def test_a_prompt_that_cannot_be_read_breaks_no_call() -> None:
    """An argument that contains itself is captured by nobody."""
    lines = Lines()
    endless: list[Any] = []
    endless.append(endless)

    @ag.log(capture=True, logger=lines)
    def ask(question: list[Any]) -> str:
        return "42"

    assert ask(endless) == "42"
    assert "prompt" not in lines.only.fields


def test_characters_of_requests() -> None:
    """What is said counts; names, roles, images and objects' other attributes do not."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 999}}
    message = {"role": "user", "content": [{"type": "text", "text": "Who?"}, image]}
    called = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    assert characters([message, called]) == 6
    assert characters({"question": "Who?", "n": 3, "more": ["Me."]}) == 7

    class Message:
        def __init__(self) -> None:
            self.content, self.client = "Who?", "x" * 99

    assert characters([Message()]) == 4


def test_what_a_tool_gets_is_captured_masked() -> None:
    """Inside a masked call a tool has the values; its line has none, and no half of one."""
    lines = Lines()
    address = "kim.minsu" + "@example.com"

    @ag.guard(ag.log(capture=12, logger=lines)).tool
    def look_up(who: str) -> str:
        return f"{who} lives there"

    @ag.guard(ag.mask_pii())
    def ask(question: str) -> str:
        return look_up(f"please find {address}")

    assert address in ask(f"please find {address}")
    (line,) = lines
    assert "kim" not in f"{line}"
    assert line.fields["prompt"].endswith("AIL_1>")


def test_a_circuit_of_somebody_is_not_named() -> None:
    """`breaker(key=)` may keep one for each user, or for each API key."""
    lines = Lines()

    @ag.guard(ag.log(logger=lines), ag.breaker(fail_max=1, key=lambda call: call.args[0]))
    def ask(user: str) -> str:
        raise ConnectionError

    for _ in range(2):
        with pytest.raises((ConnectionError, ag.errors.CircuitOpen)):
            ask("ann" + "@example.com")
    assert [line.fields["circuit"] for line in lines] == ["one of several"] * 2
    assert "ann" not in f"{lines}"
