"""Celery: real workers, on a real Redis broker, run tasks in the scope of who sent them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import celery
import pytest
from celery.exceptions import Retry

from agentguard import carry, context, deadline, errors, guard, report, retry
from agentguard.integrations.celery import install
from agentguard.providers.failures import classify
from agentguard.testing import FakeProvider, fault
from tests.policies.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
WORK = "tests.integrations.celery_work"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # Celery's results say goodbye to a broker that this module has stopped.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Worker(NamedTuple):
    """A worker, a client of it, and where it writes down how calls ended."""

    process: subprocess.Popen[bytes]
    client: celery.Celery
    settled: Path

    def send(self, task: str, *args: object, **options: Any) -> Any:
        """Send a task by its name."""
        return self.client.send_task(f"{WORK}.{task}", args, **options)

    def ended(self) -> list[list[str]]:
        """Return how calls ended: kind, process and thread."""
        text = self.settled.read_text(encoding="utf-8") if self.settled.exists() else ""
        return [line.split(" ", 2) for line in text.splitlines()]


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """Run a Redis server of this module's own."""
    server = RedisServer()
    server.start()
    yield f"redis://127.0.0.1:{server.port}"
    server.stop()


@pytest.fixture(scope="module")
def work(broker: str) -> ModuleType:
    """Return the module of tasks, as a client imports it."""
    from tests.integrations import celery_work

    celery_work.app.conf.update(broker_url=broker, result_backend=broker)
    return celery_work


def start(broker: str, settled: Path, pool: str, results: str = "json") -> Worker:
    """Start a worker and wait until it answers."""
    command = [sys.executable, "-m", "celery", "-A", WORK, "worker", "-P", pool, "-c", "2"]
    with settled.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-l", "info"],
            cwd=ROOT,
            env={
                **os.environ,
                "CELERY_BROKER": broker,
                "CELERY_RESULTS": results,
                "CELERY_SETTLED": str(settled),
                "C_FORCE_ROOT": "1",  # it accepts pickles, from this test alone
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    client = celery.Celery("client", broker=broker, backend=broker)
    client.conf.update(result_serializer=results, result_accept_content=[results])
    running = Worker(process, client, settled)
    try:
        result(running.send("ask", "?"))
    except BaseException:
        stop(running)
        raise
    return running


def stop(worker: Worker) -> int:
    """Shut a worker down as its supervisor does, once."""
    if worker.process.poll() is None:
        worker.process.send_signal(signal.SIGTERM)
    return worker.process.wait(60)


@pytest.fixture(scope="module", params=["prefork", pytest.param("threads", marks=pytest.mark.long)])
def worker(
    request: pytest.FixtureRequest,
    broker: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Worker]:
    """Run a worker with two processes, or two threads."""
    settled = tmp_path_factory.mktemp("celery") / "settled"
    results = {"prefork": "pickle", "threads": "json"}[request.param]
    running = start(broker, settled, request.param, results)
    yield running
    stop(running)


def result(sent: Any) -> Any:
    """Wait for a task's result."""
    return sent.get(timeout=30)


# --- the scope ----------------------------------------------------------------------------------


def test_the_scope_arrives(worker: Worker, work: ModuleType):
    """Tags and deadline of the sender surround guarded tasks, bare ones, and guarded calls in them."""
    with context(user="u", tenant="t"), deadline(60):
        sent = [
            worker.send("ask", "?"),
            worker.send("plain"),
            worker.send("guarded_inside"),
            worker.client.AsyncResult(work.ask.delay("?").id),
        ]
    for there in map(result, sent):
        assert there["tags"] == {"user": "u", "tenant": "t"}
        assert 0 < there["left"] < 60
        assert there["pid"] != os.getpid()


def test_nothing_is_left_in_the_worker(worker: Worker):
    """A task that brings no scope finds none, whatever ran before it in the same worker."""
    with context(user="u"), deadline(60):
        for each in [worker.send("plain") for _ in range(8)]:
            result(each)
    for there in map(result, [worker.send("plain") for _ in range(8)]):
        assert (there["tags"], there["left"]) == ({}, None)


def test_many_senders_at_once(worker: Worker):
    """Each task runs in the scope of its own sender."""
    sent = []
    for number in range(40):
        with context(user=number):
            sent.append(worker.send("guarded_inside"))
    assert [result(each)["tags"]["user"] for each in sent] == list(range(40))


def test_a_deadline_that_is_over(worker: Worker):
    """When the sender's time is used up a guarded task is refused at once; others run."""
    with deadline(0):
        late, bare = worker.send("ask", "?"), worker.send("plain")
    with pytest.raises(errors.DeadlineExceeded, match=r"deadline\(0\)"):
        result(late)
    assert result(bare)["left"] <= 0


def test_a_task_that_waits_for_its_time(worker: Worker):
    """With a countdown the scope arrives likewise, and the time of waiting counts."""
    with context(user="u"), deadline(60):
        sent = worker.send("plain", countdown=1)
    there = result(sent)
    assert there["tags"] == {"user": "u"}
    assert there["left"] <= 59


def test_tasks_that_tasks_send(worker: Worker):
    """A task sent by a task brings that one's scope, with what a block around it adds."""
    with context(user="u"), deadline(60):
        sent = worker.send("nested")
    outer, inner = (result(worker.client.AsyncResult(each)) for each in result(sent))
    assert outer["tags"] == {"user": "u"}
    assert inner["tags"] == {"user": "u", "step": "nested"}
    assert 0 < outer["left"] < 60


def test_chains_groups_and_chords(worker: Worker, work: ModuleType):
    """The scope goes through a canvas to its last task."""
    with context(user="u"), deadline(60):
        chain = (work.plain.s() | work.after.s() | work.after.s()).delay()
        group = celery.group(work.plain.s() for _ in range(3)).delay()
        chord = celery.chord([work.plain.s(), work.ask.s("?")])(work.after.s())
    for sent in [chain, *group.results, chord]:
        there = result(worker.client.AsyncResult(sent.id))
        assert there["tags"] == {"user": "u"}
        assert 0 < there["left"] < 60


def test_retries_of_celery(worker: Worker):
    """`self.retry` works in the worker thread of a timeout, and each run has the sender's scope."""
    with context(user="u"), deadline(60):
        sent = worker.send("again")
    retries, there = result(sent)
    assert retries == 2
    assert there["tags"] == {"user": "u"}
    assert 0 < there["left"] < 60


def test_a_header_given_by_hand(worker: Worker):
    """A task sent with an empty header takes nothing along."""
    with context(user="u"), deadline(0):
        sent = worker.send("ask", "?", headers={"agentguard": {}})
    assert result(sent)["tags"] == {}


def test_a_tag_that_is_no_json_stays_behind(worker: Worker):
    """A tag that cannot be written as JSON is told of when the task is sent; the others arrive."""
    told = pytest.warns(UserWarning, match=r"context\(lock=\.\.\.\) is a object")
    with context(user="u", lock=object()), told:
        sent = worker.send("plain")
    assert result(sent)["tags"] == {"user": "u"}


# --- exceptions and state -----------------------------------------------------------------------


@pytest.mark.parametrize(("how", "state"), [("ignored", "IGNORED"), ("rejected", "FAILURE")])
def test_ignore_and_reject_pass_guards(worker: Worker, how: str, state: str):
    """Celery's own exceptions come out of a guard after one attempt, and do what they are for."""
    sent = worker.send("leaves", how)
    for _ in range(600):
        if sent.state == state:
            break
        time.sleep(0.05)
    assert sent.state == state
    assert {"ignored": "1", "rejected": "after 1"}[how] in str(sent.info)


def test_a_providers_exception_comes_back(worker: Worker):
    """Through a result backend that pickles, an SDK's exception is itself; through JSON, told."""
    import openai

    with pytest.raises(Exception, match="slow down") as caught:
        result(worker.send("fail", "rate_limit"))
    if isinstance(caught.value, openai.RateLimitError):
        assert classify(caught.value).retry_after == 7
        assert caught.value.request is None
    else:
        assert "RateLimitError" in str(caught.value)
    with pytest.raises(errors.Overloaded):
        result(worker.send("fail", "ours"))
    with pytest.raises(Exception, match=r"Connection error"):
        result(worker.send("fail", "connection"))
    assert result(worker.send("plain"))["tags"] == {}, "the worker goes on"


def test_a_real_sdk_in_a_task(worker: Worker):
    """A task asks a provider over HTTP; what fails for good comes back, and nothing hangs."""
    with FakeProvider(answer="42") as provider:
        provider.script(fault.status(503), fault.status(400))
        with pytest.raises(Exception, match="400"):
            result(worker.send("provider_call", provider.openai_url))
        assert result(worker.send("provider_call", provider.openai_url)) == "42"
        assert len(provider.journal) == 3


def test_each_process_has_its_own_circuits(worker: Worker):
    """A breaker without a store keeps its circuits in its process."""
    seen: dict[int, list[list[str]]] = {}
    for each in [worker.send("circuit") for _ in range(8)]:
        pid, found = result(each)
        seen.setdefault(pid, []).append(found)
    for found in seen.values():
        opened = ["CircuitOpen" in "".join(names) for names in found]
        assert any(opened)
        assert all("".join(names).count("ConnectionError") <= 2 for names in found)


# --- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["prefork", pytest.param("threads", marks=pytest.mark.long)])
def test_a_worker_settles_what_is_open(tmp_path: Path, pool: str):
    """A stream that a task dropped half read is settled when its worker is shut down."""
    server = RedisServer()
    server.start()
    own = None
    try:
        own = start(f"redis://127.0.0.1:{server.port}", tmp_path / "settled", pool)
        pid = result(own.send("abandons"))
        assert own.ended() == []
        assert stop(own) == 0
    finally:
        if own is not None:
            stop(own)
        server.stop()
    assert [each[:2] for each in own.ended()] == [["abandoned", str(pid)]]


# --- without a worker ---------------------------------------------------------------------------


def test_eager_tasks_are_surrounded_by_their_caller(work: ModuleType):
    """An eager task runs in its caller's scope, reports included, and leaves it as it was."""
    with context(user="u"), deadline(60), report() as seen:
        there = work.ask.apply(("?",)).get()
        assert work.guarded_inside.apply().get()["tags"] == {"user": "u"}
        assert work.plain.apply().get()["tags"] == {"user": "u"}
    assert there["tags"] == {"user": "u"}
    assert there["left"] > 0
    assert len(seen.calls) == 2
    assert work.plain.apply().get()["tags"] == {}


def test_an_eager_task_with_a_header(work: ModuleType):
    """A header given by hand adds to the caller's scope and is gone after the task."""
    header = {"agentguard": {"tags": {"user": "h"}, "deadline": [time.time() + 60, 90]}}
    with context(user="u", step=1):
        there = work.plain.apply(headers=header).get()
        after = work.plain.apply().get()
    assert there["tags"] == {"user": "h", "step": 1}
    assert 0 < there["left"] <= 60
    assert after["tags"] == {"user": "u", "step": 1}
    assert after["left"] is None


def test_celerys_retry_is_no_failure():
    """`Retry` is control flow: no guard retries it or falls back from it."""
    calls = []

    @guard(retry(attempts=5))
    def asks_for_it():
        calls.append(1)
        raise Retry

    with pytest.raises(Retry):
        asks_for_it()
    assert calls == [1]
    assert classify(Retry()).kind == "control"


def test_carry_of_a_task_is_refused(work: ModuleType):
    """`carry(task)` says that `install` does it."""
    with pytest.raises(TypeError, match=r"install\(app\)"):
        carry(work.ask)


def test_install_takes_an_app():
    """Anything but an app is refused, with what to write."""
    with pytest.raises(TypeError, match=r"install\(Celery\('work'\)\), not str"):
        install("work")


def test_without_celery(monkeypatch: pytest.MonkeyPatch):
    """Where Celery is missing the message is the line to type."""
    monkeypatch.setitem(sys.modules, "celery.signals", None)
    with pytest.raises(ImportError, match=r"pip install 'agentguard-decorators\[celery\]'"):
        install(object())


def test_the_example():
    """The example runs as a script, without a broker."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "examples/celery_tasks.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "a summary" in done.stdout
    assert "OpenAI.chat.completions  completed" in done.stdout
