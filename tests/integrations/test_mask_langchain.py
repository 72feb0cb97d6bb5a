"""LangChain's models and chains under `mask_pii`, over real HTTP, LangSmith's tracing on."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel

from agentguard import guard, mask_pii
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR
KIM, LEE = "kim@example.com", "lee@example.org"
ANSWER = "to <EMAIL_1>, < email_2 >!"
RESTORED = f"to {KIM}, {LEE}!"
_numbers = itertools.count(1)


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider(answer=ANSWER) as running:
        yield running


@pytest.fixture(autouse=True, scope="module")
def _collect() -> Iterator[None]:
    """Collect what SDKs forget to close while the warnings about it are still filtered."""
    yield
    gc.collect()


def model_of(kind: str, provider: FakeProvider) -> Any:
    """A chat model; LangChain shares HTTP clients of one address and timeout, so each has its own."""
    patience = 20 + next(_numbers) / 1e6
    if kind == "openai":
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(
            model="gpt-4o-mini",
            base_url=provider.openai_url,
            api_key="sk-1",
            timeout=patience,
            stream_usage=True,
        )
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(
        model="claude-x", base_url=provider.anthropic_url, api_key="sk-1", timeout=patience
    )


def went_out(provider: FakeProvider) -> str:
    """All bodies that the provider received."""
    return json.dumps([each.body for each in provider.journal])


def clean(provider: FakeProvider) -> None:
    """Nothing planted has reached the provider."""
    assert provider.journal
    assert KIM not in went_out(provider)
    assert LEE not in went_out(provider)


kinds = pytest.mark.parametrize("kind", ["openai", "anthropic"])


@kinds
@pytest.mark.parametrize("ask", ["invoke", "ainvoke", "stream", "astream", "batch", "chain"])
def test_models(provider: FakeProvider, kind: str, ask: str) -> None:
    """Whichever way a model is asked."""
    model = guard(mask_pii())(model_of(kind, provider))
    given = [SystemMessage("be brief"), HumanMessage(f"{KIM} {LEE}")]

    async def run() -> str:
        if ask == "invoke":
            return model.invoke(given).content
        if ask == "ainvoke":
            return (await model.ainvoke(given)).content
        if ask == "stream":
            return "".join(
                str(chunk.text) if isinstance(chunk.text, str) else chunk.text()
                for chunk in model.stream(given)
            )
        if ask == "astream":
            return "".join(
                [
                    str(c.text) if isinstance(c.text, str) else c.text()
                    async for c in model.astream(given)
                ]
            )
        if ask == "batch":
            return model.batch([given, given])[1].content
        prompt = ChatPromptTemplate.from_messages([("user", "{text}")])
        return (prompt | model | StrOutputParser()).invoke({"text": f"{KIM} {LEE}"})

    assert asyncio.run(run()) == RESTORED
    clean(provider)


@kinds
def test_history_with_tool_calls(provider: FakeProvider, kind: str) -> None:
    """Arguments and results of tools are masked in what is sent again."""
    model = guard(mask_pii())(model_of(kind, provider))
    model.invoke(
        [
            HumanMessage(f"mail {KIM}"),
            AIMessage("", tool_calls=[{"name": "send", "args": {"name": LEE}, "id": "c1"}]),
            ToolMessage(f"sent to {KIM}", tool_call_id="c1"),
        ]
    )
    clean(provider)
    assert "c1" in went_out(provider)


class Contact(BaseModel):
    """A contact."""

    mail: str


@kinds
@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_structured_output(provider: FakeProvider, kind: str, method: str) -> None:
    """`with_structured_output` of a masked model parses values."""
    provider.schedule(
        lambda _, received: (
            fault.ok(tools=[("Contact", {"mail": "<EMAIL_1>"})])
            if received.body.get("tools")
            else fault.ok('{"mail": "<EMAIL_1>"}')
        )
    )
    model = guard(mask_pii())(model_of(kind, provider))
    try:
        structured = model.with_structured_output(Contact, method=method)
    except (TypeError, ValueError):
        structured = model.with_structured_output(Contact)
    assert structured.invoke(f"who? {KIM}") == Contact(mail=KIM)
    clean(provider)


def test_a_masked_chain(provider: FakeProvider) -> None:
    """A chain guarded as a whole: its input is masked before its prompt is made."""
    prompt = ChatPromptTemplate.from_messages([("user", "write to {who}")])
    chain = guard(mask_pii())(prompt | model_of("openai", provider) | StrOutputParser())
    assert chain.invoke({"who": f"{KIM}, {LEE}"}) == RESTORED
    assert "".join(chain.stream({"who": f"{KIM}, {LEE}"})) == RESTORED
    clean(provider)


# --- LangSmith --------------------------------------------------------------------------------

TRACED = """
import os, sys
import agentguard as ag
KIM, LEE = "kim@example.com", "lee@example.org"
from langchain_openai import ChatOpenAI
import langsmith
if {own}:
    from langsmith import Client, run_trees
    run_trees._CLIENT = Client(hide_inputs=lambda data: {{**data, "mine": True}})
model = ag.guard(ag.mask_pii())(ChatOpenAI(model="m", base_url=os.environ["PROVIDER"], api_key="k"))

@langsmith.traceable
def ask(question):
    return model.invoke(question).content

with ag.context(known={{"name": "Kim Minsu"}}):
    assert ask(KIM + " Kim Minsu") == "to " + KIM + ", < email_2 >!", "not restored"
try:
    ask(LEE + " fail")
except Exception:
    pass
from langsmith import run_trees
run_trees.get_cached_client().flush()
"""


@pytest.mark.parametrize("own", [False, True], ids=["ambient", "with hide_inputs"])
@pytest.mark.parametrize("switch", ["LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"])
def test_traces_have_no_values(provider: FakeProvider, switch: str, own: bool) -> None:
    """LangSmith's ambient client sends placeholders, in inputs, outputs and errors; yours go on."""
    provider.schedule(
        lambda number, received: (
            fault.status(400)
            if "fail" in json.dumps(received.body)
            else fault.ok("to <EMAIL_1>, < email_2 >!")
        )
    )
    with Receiver() as traces:
        env = {
            **os.environ,
            switch: "true",
            "LANGSMITH_ENDPOINT": traces.url,
            "LANGSMITH_API_KEY": "test",
            "LANGSMITH_TEST_CACHE": "",
            "PROVIDER": provider.openai_url,
        }
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", TRACED.format(own=own)],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
    assert done.returncode == 0, done.stderr
    sent = traces.text
    assert "EMAIL_1" in sent
    assert "NAME_1" in sent
    for value in (KIM, LEE, "Kim Minsu"):
        assert value not in sent
    assert ("mine" in sent) == own
    clean(provider)


class Receiver:
    """A local stand-in for LangSmith, which remembers what it is sent, unpacked."""

    def __enter__(self) -> Any:
        import threading
        import zlib
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        bodies: list[bytes] = []
        self._bodies = bodies

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(b"{}")

            def do_POST(self) -> None:
                length = self.headers.get("content-length")
                body = self.rfile.read(int(length)) if length else self.chunks()
                if self.headers.get("content-encoding") in {"gzip", "deflate"}:
                    body = zlib.decompress(body, 47)
                bodies.append(body)
                self.answer(b"{}")

            do_PATCH = do_POST  # noqa: N815  as http.server names it

            def chunks(self) -> bytes:
                found = b""
                while size := int(self.rfile.readline(), 16):
                    found += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return found

            def answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def text(self) -> str:
        """All that came."""
        return b"".join(self._bodies).decode(errors="replace")
