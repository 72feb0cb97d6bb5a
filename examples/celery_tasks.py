"""A Celery task that asks a model for the user who sent it, within that user's deadline.

    python examples/celery_tasks.py              # here and now, against a provider of the test kit

With a broker and a real worker:

    export BROKER=redis://localhost OPENAI_API_KEY=...
    celery --workdir examples -A celery_tasks worker -c 2
    python examples/celery_tasks.py --send
"""

from __future__ import annotations

import functools
import os
import sys

import openai
from celery import Celery

import agentguard as ag
from agentguard.integrations.celery import install

app = Celery("celery_tasks", broker=os.environ.get("BROKER"), backend=os.environ.get("BROKER"))
install(app)  # user, tags and deadline of whoever sends a task go along with it

safe = ag.guard(ag.retry(attempts=3), ag.breaker(), ag.timeout(30))


@functools.cache
def client():
    """Make a worker process its own client, when it is first needed: after the fork."""
    return openai.OpenAI(max_retries=0)


@safe
def ask(text):
    answer = client().chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": f"Summarize: {text}"}]
    )
    return answer.choices[0].message.content


@app.task
def summarize(text):
    return ask(text)


def send():
    with ag.context(user="ann"), ag.deadline(60):
        print(summarize.delay("a long text").get(timeout=60))


def here_and_now():
    from agentguard.testing import FakeProvider, fault

    with FakeProvider(answer="a summary") as provider:
        os.environ.update(OPENAI_BASE_URL=provider.openai_url, OPENAI_API_KEY="test-key")
        provider.script(fault.status(503))
        with ag.context(user="ann"), ag.deadline(60), ag.report() as r:
            print(summarize.apply(("a long text",)).get())
        client().close()
    print(r)


if __name__ == "__main__":
    send() if "--send" in sys.argv else here_and_now()
