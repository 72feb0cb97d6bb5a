"""What type checkers make of guarded LangChain objects: they are what they were."""

# LangChain's create_agent has a type of langgraph's in its signature that nobody has filled in.
# pyright: reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Sized
from typing import Any, assert_type

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool, StructuredTool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

import agentguard as ag

guards = ag.guard(ag.retry(), ag.timeout(30))
model = guards(ChatOpenAI(model="m"))

assert_type(model, ChatOpenAI)
assert_type(ag.retry(attempts=2)(ChatOpenAI(model="m")), ChatOpenAI)
assert_type(guards(guards(ChatOpenAI(model="m"))), ChatOpenAI)
assert_type(model.invoke("?"), AIMessage)
assert_type(guards(OpenAIEmbeddings()).embed_query("?"), list[float])
assert_type(guards(RunnableLambda(len)), RunnableLambda[Sized, int])


async def awaited() -> None:
    assert_type(await model.ainvoke("?"), AIMessage)


def held(tool: BaseTool, written: StructuredTool, retriever: BaseRetriever) -> None:
    assert_type(guards(tool), BaseTool)
    assert_type(guards(written), StructuredTool)
    assert_type(guards.tool(tool), BaseTool)
    assert_type(guards(retriever), BaseRetriever)


middleware = guards.middleware(tools=ag.guard(ag.timeout(5)))
assert_type(middleware, AgentMiddleware[Any, Any, Any])
create_agent(model, [], middleware=[middleware])
guards.middleware(ag.guard(ag.timeout(5)))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def chat(one: ChatAnthropic) -> ChatAnthropic:
    return guards(one)
