"""prompt_cache() around LiteLLM, which hands marks on to Claude."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import pytest

from agentguard import Call, Next, Policy, Reply, guard, prompt_cache
from agentguard.testing import FakeProvider
from tests.policies.test_prompt_cache import LONG, marks
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, litellm_route

pytestmark = LEFT_TO_THE_COLLECTOR

CALL: Final = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
TOOL: Final = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "d " * 900,
        "parameters": {"type": "object", "properties": {}},
    },
}
BODY: Final[dict[str, Any]] = {
    "tools": [TOOL],
    "messages": [
        {"role": "system", "content": LONG},
        {"role": "user", "content": "how are you"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "1", "content": "fine"},
        {"role": "assistant", "content": "good"},
        {"role": "user", "content": "and now"},
    ],
}
PLACES: Final = ["tools[0]", "system[0]", "messages[2].content[0]", "messages[4].content[0]"]


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider(answer="fine") as running:
        yield running


class Peek(Policy):
    """Keeps what would be sent, and sends nothing."""

    def __init__(self) -> None:
        self.kwargs: dict[str, Any] = {}

    async def around(self, call: Call, next: Next) -> Reply:
        """Look."""
        self.kwargs = dict(call.kwargs)
        raise LookupError


@pytest.mark.parametrize("way", ["completion", "acompletion", "stream"])
def test_marks_arrive_at_claude(provider, way):
    """On the system prompt and on texts, over HTTP."""
    messages = [each for each in BODY["messages"] if each["content"] not in (None, "fine")]
    body = {"model": "anthropic/claude-sonnet-4-6", "max_tokens": 9, "messages": messages}
    with litellm_route(provider, route="anthropic") as litellm:
        if way == "acompletion":
            asyncio.run(guard(prompt_cache())(litellm.acompletion)(**body))
        else:
            answer = guard(prompt_cache())(litellm.completion)(**body, stream=way == "stream")
            assert way == "completion" or list(answer)
    places = ["system[0]", "messages[0].content[0]", "messages[2].content[0]"]
    assert marks(provider.journal[0].body) == places


def test_marks_on_tools_and_their_results_are_handed_on(provider):
    """By LiteLLM's own translation: its `completion` needs one more package for tools."""
    import litellm

    peek = Peek()
    with pytest.raises(LookupError):
        guard(prompt_cache(), peek)(litellm.completion)(model="claude-sonnet-4-6", **BODY)
    config = litellm.AnthropicConfig()
    tools, _ = config._map_tools(peek.kwargs["tools"])
    sent = config.transform_request(
        model="claude-sonnet-4-6",
        messages=peek.kwargs["messages"],
        optional_params={"tools": tools, "max_tokens": 9},
        litellm_params={},
        headers={},
    )
    assert marks(sent) == PLACES


def test_other_models_get_no_marks(provider):
    """Not even one that another vendor calls after Claude."""
    body = {"messages": BODY["messages"]}
    with litellm_route(provider) as litellm:
        for model in ("openai/gpt-4o-mini", "openai/claude-like"):
            guard(prompt_cache())(litellm.completion)(**body, model=model)
    assert [marks(each.body) for each in provider.journal] == [[], []]
