"""Guarded clients of OpenAI and Anthropic: retries, another provider, streams that break.

`python examples/clients.py` asks two providers on this machine, which fail as told.
"""

from __future__ import annotations

from typing import Any

from anthropic import Anthropic
from openai import OpenAI

import agentguard as ag
from agentguard.testing import FakeProvider, fault

QUESTION: Any = [{"role": "user", "content": "What is the weather in Seoul?"}]


def main() -> None:
    """Ask plainly, through a manager, and when the provider is down."""
    with FakeProvider(answer="It is sunny in Seoul.") as provider, ag.report() as seen:
        claude = Anthropic(base_url=provider.anthropic_url, api_key="your-key")

        def backup(**request: Any) -> Any:
            return claude.messages.create(
                model="claude-x", max_tokens=64, messages=request["messages"]
            )

        client = ag.guard(
            ag.fallback(backup), ag.retry(attempts=3, wait=lambda _: 0.1), ag.timeout(30)
        )(OpenAI(base_url=provider.openai_url, api_key="your-key"))

        provider.script(fault.status(429, retry_after=0.1), fault.status(503))
        answer = client.chat.completions.create(model="gpt-4o", messages=QUESTION)
        print(answer.choices[0].message.content)

        provider.script(fault.error("overloaded", after=0))  # inside a 200, as the first event
        with client.responses.stream(model="gpt-4o", input="And tomorrow?") as stream:
            print(stream.get_final_response().output_text)

        provider.script(*[fault.status(503)] * 3)
        message: Any = client.chat.completions.create(model="gpt-4o", messages=QUESTION)
        print(message.content[0].text, "says", message.model)

        print(f"{len(provider.journal)} requests, {len(seen.calls)} calls, nothing failed")


if __name__ == "__main__":
    main()
