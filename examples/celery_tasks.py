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
import structlog
from celery import Celery, signals

import agentguard as ag
from agentguard.integrations.celery import install

BROKER = os.environ.get("BROKER")

structlog.configure(processors=[structlog.processors.JSONRenderer()])  # a line for every call

app = Celery("celery_tasks", broker=BROKER, backend=BROKER)
install(app)  # user, tags and deadline of whoever sends a task go along with it

safe = ag.presets.production(  # the budget is all workers' together: kept where their broker is
    "summaries", usd_per_day=2, store=BROKER, scope=None if BROKER else "process"
)


@functools.cache
def client():
    """Make a worker process its own client, when it is first needed: after the fork."""
    return safe(openai.OpenAI())


@app.task
def summarize(text):
    answer = client().chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": f"Summarize: {text}"}]
    )
    return answer.choices[0].message.content


@signals.worker_process_shutdown.connect
def end(pid=None, **_):
    """Where PROMETHEUS_MULTIPROC_DIR is set, what this process had in flight is so no more."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(pid or os.getpid())


def send():
    with ag.context(user="ann"), ag.deadline(60):
        print(summarize.delay("a long text by kim@example.com").get(timeout=60))


def here_and_now():
    from agentguard.testing import FakeProvider, fault

    with FakeProvider(answer="a summary") as provider:
        os.environ.update(OPENAI_BASE_URL=provider.openai_url, OPENAI_API_KEY="test-key")
        provider.script(fault.status(503))
        with ag.context(user="ann"), ag.deadline(60), ag.report() as r:
            print(summarize.apply(("a long text by kim@example.com",)).get())
        client().close()
    ag.flush()
    print(r)


if __name__ == "__main__":
    send() if "--send" in sys.argv else here_and_now()
