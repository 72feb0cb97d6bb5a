"""What marking a prompt for the provider's cache adds to a call."""

from __future__ import annotations

from typing import Any

import anthropic
from anthropic.resources import Messages
from langchain.agents.middleware import ModelRequest
from langchain_anthropic import ChatAnthropic
from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage

from agentguard import guard, prompt_cache
from benchmarks.common import Noop, Row, against, alone, calls, section, yardstick

ABOUT = (
    "Around a method of the anthropic SDK that does nothing: a system prompt of 10,000 characters and "
    "so many messages of 1,000, with and without ten tools, all seen before. The peer marks the same "
    "request in LangChain: the last tool, the last block of the system prompt, and the end."
)
MODEL = "claude-opus-5"
SYSTEM = "word " * 2000
TOOLS = [
    {
        "name": f"look_{number}",
        "description": "Look it up in the table. " * 10,
        "input_schema": {
            "type": "object",
            "properties": {
                name: {"type": "string", "description": "what it is"} for name in "abcde"
            },
        },
    }
    for number in range(10)
]


class Quiet(Messages):
    """Anthropic's messages without a server."""

    def create(self, **_: Any) -> Any:
        """Do nothing."""


def body(messages: int) -> dict[str, Any]:
    """Build a request with so many messages."""
    said = [
        {"role": "assistant" if number % 2 else "user", "content": f"{number} " + "word " * 200}
        for number in range(messages - 1)
    ]
    return {"model": MODEL, "max_tokens": 9, "system": SYSTEM, "messages": [*said, said[0]]}


def rows(client: Any, messages: int, tools: list[dict[str, Any]]) -> list[Row]:
    """Measure one request."""
    create = Quiet(client).create
    given = body(messages) | ({"tools": tools} if tools else {})
    plain, marking = guard(Noop())(create), guard(Noop(), prompt_cache())(create)
    said: list[AnyMessage] = [
        (AIMessage if each["role"] == "assistant" else HumanMessage)(each["content"])
        for each in given["messages"]
    ]
    request: Any = ModelRequest(
        model=ChatAnthropic(model=MODEL, api_key="k"),
        messages=said,
        system_message=SystemMessage(SYSTEM),
        tools=[*tools],
    )
    peer = AnthropicPromptCachingMiddleware()
    found = calls(
        {
            "yardstick": yardstick,
            "plain": lambda _: plain(**given),
            "marking": lambda _: marking(**given),
            "peer": lambda _: peer.wrap_model_call(request, lambda _: None),
        }
    )
    ours = found["marking"] - found["plain"]
    case = f"{messages} messages, {len(tools) or 'no'} tools"
    return [
        alone(case, ours, found["yardstick"], most_us=50 if messages == 10 else None),
        against(f"{case}, AnthropicPromptCachingMiddleware", ours, found["peer"]),
    ]


def main() -> None:
    """Measure and print."""
    with anthropic.Anthropic(api_key="k") as client:
        found = [row for n in (10, 100) for tools in ([], TOOLS) for row in rows(client, n, tools)]
    print(section(ABOUT, found, "anthropic", "langchain-anthropic"))


if __name__ == "__main__":
    main()
