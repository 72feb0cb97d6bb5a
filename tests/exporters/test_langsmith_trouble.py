"""LangSmith that is slow, fails, hangs or is absent: no call notices, and nothing grows without end."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import pytest

import agentguard as ag
from agentguard.exporters.langsmith import LangSmith
from agentguard.exporters.outbox import Outbox
from tests.exporters.langsmith_receiver import nobody, receiving
from tests.exporters.langsmith_traced import WAYS, Traced, Way, client_of, traced

KEY = "lsv2_pt_" + "0f" * 18


@pytest.fixture
def there() -> Iterator[Traced]:
    """A receiver and what sends to it."""
    with traced() as found:
        yield found


def asking(to: LangSmith) -> Any:
    """A traced function."""

    @ag.guard(ag.trace(to), ag.retry(attempts=2))
    def ask(number: int) -> int:
        return number

    return ask


@pytest.mark.parametrize("way", WAYS)
def test_calls_go_on_while_it_hangs(way: Way) -> None:
    """And on an event loop; when it answers again, what waited is sent."""
    with traced(way) as there:
        there.receiver.gate.clear()
        ask = asking(there.to)

        async def on_a_loop() -> list[int]:
            answers = [ask(number) for number in range(10)]
            assert ag.flush(60) is False  # it does not wait on a loop
            return answers

        assert [ask(number) for number in range(10)] == list(range(10))
        assert asyncio.run(on_a_loop()) == list(range(10))
        assert ag.flush(0.05) is False
        there.receiver.gate.set()
        there.receiver.wait(lambda: len(there.receiver.runs) == 40)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("absent", [True, False])
def test_calls_go_on_while_it_fails(
    way: Way, absent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """With 500, or with nobody there; neither our log nor LangSmith's has the key."""
    caplog.set_level(logging.DEBUG)
    with receiving("multipart" if way == "single" else way) as receiver:
        receiver.status = 500
        client = client_of(nobody() if absent else receiver.url, way, api_key=KEY)
        client.retry_config.total = 0  # type: ignore[attr-defined]
        to = LangSmith(client)
        ask = asking(to)
        assert [ask(number) for number in range(5)] == list(range(5))
        to.outbox.flush(0.2)
        assert [ask(number) for number in range(5)] == list(range(5))
        client.cleanup(0)
        to.outbox.forget()
    assert KEY not in caplog.text


def test_what_the_client_refuses_is_counted_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A client that sends at once raises where nobody is there."""
    with traced("single") as there:
        there.receiver.status = 422
        ask = asking(there.to)
        for number in range(4):
            ask(number)
        ag.flush(30)
        assert there.to.dropped >= 4
    told = [each for each in caplog.records if each.name == "agentguard"]
    assert len(told) == 1
    assert "langsmith" in told[0].getMessage()


def test_a_flood_is_dropped_and_counted() -> None:
    """The queue is bounded, and the calls are as quick as ever."""
    with traced("single") as there:
        there.receiver.gate.clear()
        there.to.outbox._size = 16
        ask = asking(there.to)
        for number in range(100):
            assert ask(number) == number
        assert there.to.dropped >= 300 - 16 - 1
        assert len(there.to.outbox._items) <= 16
        there.to.outbox._items.clear()


def test_what_the_clients_own_queue_has_no_room_for_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LangSmith's client would drop it with no more than a line in the log."""
    from langsmith import utils

    monkeypatch.setenv("LANGSMITH_TRACING_QUEUE_MAX_SIZE", "2")
    utils.get_env_var.cache_clear()
    with traced() as there:
        monkeypatch.undo()
        utils.get_env_var.cache_clear()
        there.receiver.gate.clear()
        ask = asking(there.to)
        for number in range(200):
            ask(number)
        assert Outbox.flush(there.to.outbox, 30)
        assert there.to.dropped > 0
        there.receiver.gate.set()


def test_what_cannot_be_masked_is_not_sent(there: Traced, caplog: pytest.LogCaptureFixture) -> None:
    """The run is there, without content."""

    class Broken:
        type = "name"

        def find(self, text: str) -> list[Any]:
            raise ValueError(text)

    there.to = LangSmith(there.client, detectors=[Broken()])

    @ag.trace(there.to)
    def ask(question: str) -> str:
        return "the answer"

    with ag.context(user="u-77"):
        assert ask("the question") == "the answer"
    call, attempt = there.runs()
    assert (
        call["inputs"]
        == attempt["outputs"]
        == {"agentguard": "left out, since it could not be masked"}
    )
    everything = there.receiver.everything()
    for planted in (b"the question", b"the answer", b"u-77"):
        assert planted not in everything
    assert "the question" not in caplog.text
    assert len([each for each in caplog.records if each.name == "agentguard"]) == 1


def test_a_mask_of_the_chains_own_that_fails(there: Traced) -> None:
    """A refused request is shown by no run either."""

    class Broken:
        type = "name"

        def find(self, text: str) -> list[Any]:
            raise ValueError(text)

    @ag.guard(there.policy, ag.mask_pii(detectors=[Broken()]))
    def ask(question: str) -> str:
        return "the answer"

    with pytest.raises(ag.errors.InputRejected):
        ask("the question")
    there.runs()
    assert b"the question" not in there.receiver.everything()


def test_many_threads_at_once(there: Traced) -> None:
    """Every run arrives, whole and at its place."""
    ask = asking(there.to)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(200))) == list(range(200))
    assert len(there.runs()) == 400


def test_a_second_trace_further_in(there: Traced) -> None:
    """Each call has one run, however many traces stand around it."""

    @ag.trace(there.to)
    def inner() -> str:
        return "a"

    @ag.guard(there.policy, ag.trace(there.to))
    def outer() -> str:
        return inner()

    outer()
    assert [run["name"] for run in there.runs()] == ["outer", "outer", "inner", "inner"]


def test_calls_under_way_are_let_go(there: Traced) -> None:
    """Nothing is kept of a call that has ended."""
    policy = there.policy

    @ag.guard(policy)
    def ask() -> str:
        return "a"

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ask(), range(40)))
    assert policy._open == {}


def test_without_langsmith_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the trace is made, not when something is called."""
    monkeypatch.setitem(sys.modules, "langsmith", None)
    with pytest.raises(ImportError, match=r"pip install 'agentguard-decorators\[langsmith\]'"):
        ag.trace("langsmith")


def run(script: str, **env: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "LANGSMITH_API_KEY": KEY, "LANGSMITH_USE_DAEMON": "true", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_it_is_imported_when_a_trace_is_made() -> None:
    """Not with the library, and not in the first call."""
    assert (
        run(
            """
            import sys
            import agentguard as ag
            to = ag.exporters.LangSmith
            before = "langsmith" in sys.modules
            ag.trace("langsmith")
            print(before, "langsmith" in sys.modules)
            """,
            LANGSMITH_ENDPOINT=nobody(),
        )
        == "False True"
    )


def test_the_environment_alone_switches_it_on() -> None:
    """A bare trace goes to LangSmith where LANGSMITH_TRACING is true, by the process's own client."""
    with receiving() as receiver:
        script = """
            import agentguard as ag

            @ag.trace
            def ask(question: str) -> str:
                return "to ms77@example.com"

            ask("write to ms77@example.com")
            print(ag.flush(20))
            """
        told = run(
            script,
            LANGSMITH_TRACING="true",
            LANGSMITH_ENDPOINT=receiver.url,
            LANGSMITH_PROJECT="by-env",
        )
        assert told == "True"
        assert [each["session_name"] for each in receiver.named("ask")] == ["by-env"] * 2
        assert b"ms77" not in receiver.everything()
        before = len(receiver.bodies)
        if find_spec("opentelemetry") is not None:  # else there is nowhere to trace to
            run(script, LANGSMITH_TRACING="false", LANGSMITH_ENDPOINT=receiver.url)
        assert len(receiver.bodies) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_sends_as_well() -> None:
    """Its client has no thread of its own, and connections that are its parent's."""
    with receiving() as receiver:
        script = """
            import os
            import agentguard as ag

            @ag.trace("langsmith")
            def ask(who: str) -> str:
                return who

            ask("parent")
            assert ag.flush(20)
            if os.fork() == 0:
                ask("child")
                os._exit(0 if ag.flush(20) else 1)
            print(os.waitpid(-1, 0)[1])
            """
        assert run(script, LANGSMITH_ENDPOINT=receiver.url) == "0"
        assert sorted(str(each["inputs"]["who"]) for each in receiver.named("ask")) == [
            "child",
            "child",
            "parent",
            "parent",
        ]


def test_one_that_hangs_does_not_keep_the_process() -> None:
    """Where LangSmith's threads may be daemons, it ends after a second."""
    with receiving() as receiver:
        receiver.gate.clear()
        script = """
            import agentguard as ag

            @ag.trace("langsmith")
            def ask() -> str:
                return "a"

            print(ask())
            """
        assert run(script, LANGSMITH_ENDPOINT=receiver.url) == "a"
        assert receiver.named("ask") == []
