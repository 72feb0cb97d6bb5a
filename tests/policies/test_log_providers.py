"""`log` around the clients of every provider, over HTTP: what their lines say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI

import agentguard as ag
from agentguard.testing import FakeProvider
from tests.policies.lines import Kept, Lines

SYSTEM, QUESTION = "Be brief.", "What is the answer to everything?"
CHAT = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
ANSWER = "forty-two"


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider(answer=ANSWER) as running:
        yield running


def line_of(client: Any, ask: Any) -> Kept:
    """Return the line of one call of a guarded client."""
    lines = Lines()
    answer = ask(ag.guard(ag.log("support", logger=lines), ag.retry())(client))
    if hasattr(answer, "__next__"):
        for _ in answer:
            pass
    assert ag.flush(30)
    return lines.only


def of_openai(provider: FakeProvider) -> Any:
    """Return a client of OpenAI's."""
    return openai.OpenAI(base_url=provider.openai_url, api_key="test-key", max_retries=0)


def chat(stream: bool) -> Any:
    """Return a call of chat completions."""
    return lambda client: client.chat.completions.create(
        model="gpt-4o-mini", messages=CHAT, stream=stream
    )


def responses(client: Any) -> Any:
    """Ask the Responses API."""
    return client.responses.create(model="gpt-4o-mini", instructions=SYSTEM, input=QUESTION)


def messages(client: Any) -> Any:
    """Ask Anthropic's API."""
    return client.messages.create(
        model="claude-sonnet-4-6", max_tokens=50, system=SYSTEM, messages=CHAT[1:]
    )


def contents(client: Any) -> Any:
    """Ask Google's API."""
    return client.models.generate_content(
        model="gemini-2.5-flash",
        contents=QUESTION,
        config=types.GenerateContentConfig(system_instruction=SYSTEM),
    )


def langchain(model: Any) -> Any:
    """Ask a chat model of LangChain's."""
    return model.invoke([SystemMessage(SYSTEM), HumanMessage(QUESTION)])


def of_anthropic(provider: FakeProvider) -> Any:
    """Return a client of Anthropic's."""
    return anthropic.Anthropic(base_url=provider.anthropic_url, api_key="test-key", max_retries=0)


def of_google(provider: FakeProvider) -> Any:
    """Return a client of Google's."""
    return genai.Client(
        api_key="test-key", http_options=types.HttpOptions(base_url=provider.google_url)
    )


def of_langchain(provider: FakeProvider) -> Any:
    """Return a chat model of LangChain's."""
    return ChatOpenAI(
        model="gpt-4o-mini", base_url=provider.openai_url, api_key="test-key", max_retries=0
    )


@pytest.mark.parametrize(
    ("make", "ask", "name", "model"),
    [
        (of_openai, chat(stream=False), "openai", "gpt-4o-mini"),
        (of_openai, chat(stream=True), "openai", "gpt-4o-mini"),
        (of_openai, responses, "openai", "gpt-4o-mini"),
        (of_anthropic, messages, "anthropic", "claude-sonnet-4-6"),
        (of_google, contents, "google", "gemini-2.5-flash"),
        (of_langchain, langchain, "openai", "gpt-4o-mini"),
    ],
    ids=["chat", "chat stream", "responses", "anthropic", "google", "langchain"],
)
def test_a_line_says_the_same_of_every_provider(
    provider: FakeProvider, make: Any, ask: Any, name: str, model: str
) -> None:
    """Who was asked, how much was said, and what it cost."""
    line = line_of(make(provider), ask)
    assert line.level == "info"
    assert (line["provider"], line["model_asked"]) == (name, model)
    assert line["model"].startswith(model)
    assert line["input_characters"] == len(SYSTEM) + len(QUESTION)
    assert line["output_characters"] == len(ANSWER)
    assert line["input_tokens"] > 0
    assert line["cost_usd"] > 0
    assert line["attempts"] == 1
