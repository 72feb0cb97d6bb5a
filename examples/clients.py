"""Clients of OpenAI and Anthropic under the whole stack, with logs and metrics.

`python examples/clients.py` asks two providers on this machine, which fail as told.
"""

from __future__ import annotations

import sys
from typing import Any

import structlog
from anthropic import Anthropic
from openai import OpenAI
from prometheus_client import generate_latest

import agentguard as ag
from agentguard.testing import FakeProvider, fault

QUESTION: Any = [{"role": "user", "content": "What is the weather in Seoul? I am kim@example.com."}]

structlog.configure(  # one line of JSON for every call
    processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
    logger_factory=structlog.PrintLoggerFactory(sys.stderr),
)


def main() -> None:
    """Ask plainly, once more, through a manager, and when the provider is down."""
    with FakeProvider(answer="It is sunny in Seoul.") as provider:
        claude = Anthropic(base_url=provider.anthropic_url, api_key="your-key")

        def backup(**request: Any) -> Any:
            return claude.messages.create(
                model="claude-haiku-4-5", max_tokens=64, messages=request["messages"]
            )

        whole = ag.presets.production("weather", fallback=backup, usd_per_day=1, scope="process")
        client = whole.with_(ag.retry(attempts=3, wait=lambda _: 0.1))(
            OpenAI(base_url=provider.openai_url, api_key="your-key")
        )
        question: Any = {"model": "gpt-4o", "messages": QUESTION, "temperature": 0}

        provider.script(fault.status(429, retry_after=0.1), fault.status(503))
        answer = client.chat.completions.create(**question)
        print(answer.choices[0].message.content)

        answer = client.chat.completions.create(**question)
        print(answer.choices[0].message.content, "(from the cache)")

        provider.script(fault.error("overloaded", after=0))  # inside a 200, as the first event
        with client.responses.stream(model="gpt-4o", input="And tomorrow?") as stream:
            print(stream.get_final_response().output_text)

        provider.script(*[fault.status(503)] * 3)
        message: Any = client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)
        print(message.content[0].text, "says", message.model)

        ag.flush()
        for line in generate_latest().decode().splitlines():
            if line.startswith(("agentguard_attempts_total", "agentguard_cache_requests_total")):
                print(line)
        masked = not any("kim@example.com" in str(each.body) for each in provider.journal)
        print(f"{len(provider.journal)} requests, no address in any of them: {masked}")


if __name__ == "__main__":
    main()
