"""A LangChain agent with two tools: its model and each tool under guards of their own.

`python examples/langchain_agent.py` asks a provider on this machine, which fails once.
"""

from __future__ import annotations

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

import agentguard as ag
from agentguard.testing import FakeProvider, fault


@tool
def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


@tool
def send_mail(to: str, text: str) -> str:
    """Send a mail."""
    return f"sent to {to}: {text}"


def build(base_url: str):
    """Reading may be repeated, sending may not: each tool has the policies that fit it."""
    model = ag.presets.production("assistant", fallback="gpt-4o-mini")
    reads = ag.guard(ag.retry(attempts=3), ag.timeout(5))
    sends = ag.guard(ag.timeout(10))
    chat = ChatOpenAI(model="gpt-4o", base_url=base_url, api_key="test-key")
    agent = create_agent(model(chat), [reads(weather), sends(send_mail)], name="assistant")
    whole = ag.guard(
        ag.budget(usd=0.5, per="request", max_output=1_000),  # of all its model calls together
        ag.retry(attempts=2),  # not again once a tool ran
        ag.timeout(120),
    )
    return whole(agent)


def main() -> None:
    with FakeProvider() as provider:
        provider.script(
            fault.ok(tools=[("weather", {"city": "Rome"})]),
            fault.status(503, retry_after=0.1),  # tried again
            fault.ok(tools=[("send_mail", {"to": "<EMAIL_1>", "text": "sunny"})]),
            "<EMAIL_1> knows.",
        )
        agent = build(provider.openai_url)
        with ag.report() as report, ag.context(user="u1"):
            answer = agent.invoke(
                {"messages": [("user", "tell ann@example.com the weather in Rome")]}
            )
    print(answer["messages"][-1].content)
    print(report)
    seen = " ".join(str(each.body) for each in provider.journal)
    print(f"the provider has seen the address: {'ann@example.com' in seen}")


if __name__ == "__main__":
    main()
