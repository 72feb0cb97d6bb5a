"""A Celery app and its tasks, as a client and its workers import them."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from celery import Celery, current_task
from celery.exceptions import Ignore, Reject

import agentguard as ag
from agentguard.engine.call import Outcome
from agentguard.integrations.celery import install
from tests.integrations.crossing import failure, here

BROKER = os.environ.get("CELERY_BROKER", "redis://127.0.0.1:1")

app = Celery("work", broker=BROKER, backend=BROKER)
app.conf.update(
    accept_content=["json", "pickle"],
    result_accept_content=["json", "pickle"],
    result_serializer=os.environ.get("CELERY_RESULTS", "json"),
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    task_reject_on_worker_lost=True,
    broker_transport_options={"visibility_timeout": 30},
)
install(app)
install(app)

broken = ag.breaker(fail_max=2)


@app.task
@ag.guard(ag.retry(attempts=1), ag.timeout(30))
def ask(question: str) -> dict[str, Any]:
    """Answer, guarded, with what surrounds the attempt."""
    return here()


@ag.guard(ag.retry(attempts=1))
def model() -> dict[str, Any]:
    """Be called by tasks that are not guarded themselves."""
    return here()


@app.task
def plain() -> dict[str, Any]:
    """Answer with what surrounds a bare task."""
    return here()


@app.task
def guarded_inside() -> dict[str, Any]:
    """Call something guarded."""
    return model()


@app.task
def nested() -> list[Any]:
    """Send another task, and one from a block of its own; returns their ids."""
    with ag.context(step="nested"):
        inner = plain.delay()
    return [plain.delay().id, inner.id]


@app.task(bind=True, max_retries=2)
@ag.guard(ag.retry(attempts=5), ag.timeout(30))  # which runs it in a worker thread
def again(self: Any) -> list[Any]:
    """Ask Celery, from under a guard, to run this later; tell how often and in which scope."""
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    assert current_task.name == self.name
    return [self.request.retries, here()]


@app.task
def after(*_: Any) -> dict[str, Any]:
    """Come later in a chain or a chord."""
    return here()


@app.task(bind=True, acks_late=True)
def leaves(self: Any, how: str) -> None:
    """Leave, through a guard, by one of Celery's own exceptions; the task's state says how often."""

    @ag.guard(ag.retry(attempts=5))
    def under_guard() -> None:
        attempts.append(how)
        self.update_state(state=how.upper(), meta=len(attempts))
        raise Ignore if how == "ignored" else Reject(f"after {len(attempts)}", requeue=False)

    attempts: list[str] = []
    under_guard()


@app.task
@ag.guard(ag.retry(attempts=1))
def fail(kind: str) -> None:
    """Raise what a provider's SDK raises."""
    raise failure(kind)


@app.task
@broken
def vote() -> None:
    """Vote against a circuit."""
    raise ConnectionError


@app.task
def circuit() -> list[Any]:
    """Vote twice in this process, and tell what a third call brings."""
    seen = []
    for _ in range(3):
        try:
            vote()
        except Exception as error:
            seen.append(type(error).__name__)
    return [os.getpid(), seen]


class Settled(ag.Policy):
    """Writes down how a call ended."""

    async def around(self, call: ag.Call, next: ag.Next) -> ag.Reply:
        return await ag.observe(next(call), self.write)

    def write(self, outcome: Outcome) -> None:
        path = Path(os.environ["CELERY_SETTLED"])
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{outcome.kind} {os.getpid()} {threading.current_thread().name}\n")


@Settled()
def stream() -> Any:
    """Be read once and dropped."""
    yield "a"
    yield "b"


@app.task
def abandons() -> int:
    """Drop a stream half read: the collector finds it, and leaves it to the next call or flush."""
    items = stream()
    next(items)
    del items
    return os.getpid()


@app.task
def provider_call(url: str) -> str:
    """Ask a provider over HTTP through the real SDK, under a guard."""
    import openai

    @ag.guard(ag.retry(attempts=2), ag.timeout(20))
    def ask() -> str:
        with openai.OpenAI(base_url=url, api_key="sk-secret", max_retries=0) as client:
            answer = client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}]
            )
        return answer.choices[0].message.content or ""

    return ask()
