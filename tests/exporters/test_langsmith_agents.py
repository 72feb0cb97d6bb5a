"""LangSmith: an agent of LangChain's with its own tracer, guarded inside."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_core.tracers.langchain import LangChainTracer
from langchain_openai import ChatOpenAI

import agentguard as ag
from agentguard.testing import FakeProvider, fault
from tests.exporters.langsmith_traced import metadata, traced
from tests.hostile.test_planted import KEY, MAIL, NUMBER, PHONE
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR
MODEL = "gpt-4o-mini"
HELD = ["model", "object", "middleware"]


@tool
def look_up(mail: str) -> str:
    """Look somebody up."""
    return f"{mail} is at {PHONE}, {NUMBER}"


@pytest.mark.parametrize("held", HELD)
def test_an_agent(held: str, caplog: pytest.LogCaptureFixture) -> None:
    """One trace, every run at its place, tokens counted once, and nothing planted in any of it."""
    with FakeProvider(answer=f"call {PHONE} or <EMAIL_1>") as provider, traced() as there:
        provider.script(fault.ok(tools=[("look_up", {"mail": "<EMAIL_1>"})]))
        guard = ag.guard(there.policy, ag.mask_pii())
        model = ChatOpenAI(base_url=provider.openai_url, api_key=KEY, model=MODEL)
        if held == "model":
            agent: Any = create_agent(guard(model), [guard(look_up)])
        elif held == "object":
            agent = guard(create_agent(model, [look_up]))
        else:
            agent = create_agent(model, [look_up], middleware=[guard.middleware()])
        said = agent.invoke(
            {"messages": [HumanMessage(f"Find {MAIL}, {NUMBER}")]},
            {"callbacks": [LangChainTracer(client=there.client)]},
        )
        assert MAIL in said["messages"][-1].content
        runs = there.runs()
        everything = there.receiver.everything().decode()
    for value in (MAIL, PHONE, NUMBER, KEY):
        assert value not in everything
        assert value not in caplog.text
    roots = [run for run in runs if "parent_run_id" not in run]
    assert {run["trace_id"] for run in runs} == {run["id"] for run in roots}
    assert len(roots) == 1
    models = [run for run in runs if run["run_type"] == "llm"]
    assert [run["name"] for run in models] == ["ChatOpenAI"] * 2
    assert all(
        "usage_metadata" in metadata(run) or "usage" in str(run["outputs"]) for run in models
    )
    others = [run for run in runs if run["run_type"] != "llm"]
    assert all("usage_metadata" not in metadata(run) for run in others)
    assert "look_up" in {run["name"] for run in runs}
