"""prompt_cache() around LangChain's chat models."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool

from agentguard import guard, prompt_cache, usage
from agentguard.testing import FakeProvider, fault
from tests.policies.test_prompt_cache import LONG, Rerouted, keys, marks
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, chat_anthropic, chat_openai

pytestmark = LEFT_TO_THE_COLLECTOR

CALL: Final = {"name": "look", "args": {"query": "x"}, "id": "1", "type": "tool_call"}
MESSAGES: Final[list[Any]] = [
    SystemMessage(LONG),
    HumanMessage("how are you"),
    AIMessage("", tool_calls=[CALL]),
    ToolMessage("fine", tool_call_id="1"),
    AIMessage("good"),
    HumanMessage("and now"),
]


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider(answer="fine") as running:
        yield running


@tool
def look(query: str) -> str:
    """Look something up."""
    return query


def hoisted(body: Any) -> list[str]:
    """Where the API sees marks: older releases leave a result's mark on the text inside it."""
    return [place.replace(".content[0].content[0]", ".content[0]") for place in marks(body)]


def test_claude_in_langchain_is_marked(provider):
    """Tools that are bound, the system message and the conversation; the messages stay as they were."""
    before = [each.model_copy(deep=True) for each in MESSAGES]
    with chat_anthropic(provider) as model, usage() as used:
        safe = guard(prompt_cache())(model).bind_tools([look])
        for _ in range(2):
            safe.invoke(MESSAGES)
    assert before == MESSAGES
    for each in provider.journal:
        assert hoisted(each.body) == [
            "tools[0]",
            "system[0]",
            "messages[2].content[0]",
            "messages[4].content[0]",
        ]
        assert each.body["messages"][2]["content"][0]["type"] == "tool_result"
    assert used.cached_tokens > 1500


@pytest.mark.parametrize("way", ["stream", "ainvoke", "astream", "batch"])
def test_every_way_to_ask(provider, way):
    """Streams and coroutines come to the same."""

    async def drain(items: Any) -> None:
        async for _ in items:
            pass

    with chat_anthropic(provider) as model:
        safe = guard(prompt_cache())(model)
        if way == "stream":
            list(safe.stream(MESSAGES))
        elif way == "batch":
            safe.batch([MESSAGES])
        elif way == "ainvoke":
            asyncio.run(safe.ainvoke(MESSAGES))
        else:
            asyncio.run(drain(safe.astream(MESSAGES)))
    places = ["system[0]", "messages[2].content[0]", "messages[4].content[0]"]
    assert hoisted(provider.journal[0].body) == places


def test_marks_of_the_caller_are_all_there_are(provider):
    """In a block of a message, in a bound tool, or as an argument."""
    marked = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
    with chat_anthropic(provider) as model:
        guard(prompt_cache())(model).invoke([SystemMessage(marked), HumanMessage("hi")])
    assert marks(provider.journal[0].body) == ["system[0]"]


def test_a_result_that_ends_in_a_picture_is_not_marked(provider):
    """Its text would carry the mark inside the result, which the API refuses."""
    picture = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
    shown = ToolMessage([{"type": "text", "text": "see"}, picture], tool_call_id="1")
    with chat_anthropic(provider) as model:
        guard(prompt_cache())(model).invoke([*MESSAGES[:3], shown, *MESSAGES[4:]])
    places = ["system[0]", "messages[0].content[0]", "messages[4].content[0]"]
    assert hoisted(provider.journal[0].body) == places


def test_an_agents_history_is_read_back(provider):
    """What the model said before goes back as LangChain has it."""
    provider.script(fault.ok(tools=[("look", {"query": "x"})]))
    with chat_anthropic(provider) as model, usage() as used:
        safe = guard(prompt_cache())(model).bind_tools([look])
        first = safe.invoke(MESSAGES)
        result = look.invoke(first.tool_calls[0])
        safe.invoke([*MESSAGES, first, result])
    assert used.cache_write_tokens - used.cached_tokens == 3  # the call, its argument, its result


def test_openai_in_langchain_gets_a_key(provider):
    """Where it is OpenAI's own API, and nobody has chosen one."""
    from langchain_openai import ChatOpenAI

    http = httpx.Client(transport=Rerouted(provider))
    official = ChatOpenAI(model="gpt-4o-mini", api_key="k", http_client=http, max_retries=0)
    guard(prompt_cache())(official).invoke(MESSAGES)
    chosen = official.bind(prompt_cache_key="mine")
    guard(prompt_cache())(chosen).invoke(MESSAGES)
    with chat_openai(provider) as elsewhere:
        guard(prompt_cache())(elsewhere).invoke(MESSAGES)
    first, own, other = keys(provider)
    assert first.startswith("agentguard-")
    assert (own, other) == ("mine", None)
