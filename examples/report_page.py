"""What a report shows: an assistant that looks something up, is refused, falls back and answers.

    python examples/report_page.py report.html      # then open it in a browser

It asks a provider on this machine, which fails as told.
"""

from __future__ import annotations

import sys
from pathlib import Path

from openai import OpenAI

import agentguard as ag
from agentguard.testing import FakeProvider, fault

NEWS = "The office is closed on Monday and opens again on Tuesday at nine in the morning."


def show(path: Path) -> str:
    with FakeProvider(answer=NEWS) as provider:
        client = ag.guard(
            ag.mask_pii(),
            ag.fallback(model="gpt-4o-mini"),
            ag.retry(attempts=2, wait=lambda _: 0.15),
            ag.timeout(30),
        )(OpenAI(base_url=provider.openai_url, api_key="your-key"))

        @ag.cache()
        def find(question: str) -> list[float]:
            answer = client.embeddings.create(model="text-embedding-3-small", input=question)
            return answer.data[0].embedding

        @ag.guard(ag.retry(attempts=2))
        def assistant(question: str) -> str:
            find(question)
            chunks = client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": question}], stream=True
            )
            return "".join(each.choices[0].delta.content or "" for each in chunks if each.choices)

        assistant("Are you there? Mail kim@example.com.")  # the first call loads what it needs
        with ag.report() as r:
            provider.script(fault.slow(first=0.08), fault.slow(NEWS, first=0.2, each=0.02))
            assistant("When may I come? Mail kim@example.com.")
            failing = [fault.status(503, first=0.06)] * 2
            provider.script(*failing, fault.slow(NEWS, first=0.12, each=0.015))
            assistant("When may I come? Mail kim@example.com.")
        client.close()
    r.to_html(path)
    return str(r)


if __name__ == "__main__":
    print(show(Path(sys.argv[1] if len(sys.argv) > 1 else "report.html")))
