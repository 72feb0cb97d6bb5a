"""LangSmith: runs of calls and attempts, in every shape and in every way its client sends them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from langsmith import tracing_context
from tenacity import wait_fixed

import agentguard as ag
from agentguard import errors
from agentguard.engine.records import CallRecord
from agentguard.exporters.langsmith import LangSmith
from agentguard.testing import FakeRuntime, Stall
from tests.exporters.langsmith_receiver import PROJECT
from tests.exporters.langsmith_traced import WAYS, Traced, Way, client_of, metadata, traced
from tests.shapes import Harness, every_shape, stream_shapes, unary_shapes

MODEL = "gpt-4o-mini"


@pytest.fixture
def there() -> Iterator[Traced]:
    """A receiver and what sends to it."""
    with traced(project="p") as found:
        yield found


def served(harness: Harness, text: str = "hello there") -> Any:
    """An answer that tells its model and what it used, in this shape."""
    used = {"prompt_tokens": 1000, "completion_tokens": 100}
    if not harness.streams:
        choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
        return {"model": MODEL, "choices": [choice], "usage": used}
    chunk = {"object": "chat.completion.chunk", "model": MODEL}
    halves = [text[:5], text[5:]]
    return [
        *[{**chunk, "choices": [{"index": 0, "delta": {"content": half}}]} for half in halves],
        {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**chunk, "choices": [], "usage": used},
    ]


def at(run: dict[str, Any], name: str) -> float:
    """When, in seconds after it began."""
    times = {"end": run["end_time"]} | {each["name"]: each["time"] for each in run["events"]}
    began = datetime.fromisoformat(str(run["start_time"]))
    return round((datetime.fromisoformat(str(times[name])) - began).total_seconds(), 3)


@every_shape
def test_a_call_is_a_run_and_its_attempt_another_inside(harness: Harness, there: Traced) -> None:
    """With what was sent and answered, the model, tokens and cost."""
    subject = harness.guard(there.policy, served(harness))
    with ag.context(user="u-1", thread_id="t-7"):
        run = subject.call("why?", model=MODEL, temperature=0.5)
    assert run.error is None
    call, attempt = there.runs()
    said = {"messages": [{"role": "assistant", "content": "hello there"}]}
    assert (call["name"], call["run_type"], call["session_name"]) == ("model", "chain", "p")
    assert call["outputs"] == attempt["outputs"] == said
    assert call["inputs"] == attempt["inputs"]
    assert "why?" in call["inputs"].values()
    assert metadata(call) == {
        "user": "u-1",
        "thread_id": "t-7",
        "agentguard_outcome": "completed",
        "agentguard_served_by": "model",
    }
    assert (attempt["name"], attempt["run_type"]) == ("model", "llm")
    assert attempt["parent_run_id"] == call["id"]
    assert metadata(attempt) == {
        "ls_model_name": MODEL,
        "ls_temperature": 0.5,
        "agentguard_attempt": 1,
        "usage_metadata": {
            "input_tokens": 1000,
            "output_tokens": 100,
            "total_tokens": 1100,
            "total_cost": pytest.approx(0.00021),
        },
    }
    assert "error" not in call


@pytest.mark.parametrize("way", WAYS)
def test_in_every_way_that_the_client_sends(way: Way) -> None:
    """As parts, compressed, as batches and one by one: a reader sees the same."""
    with traced(way) as there:

        @ag.guard(there.policy)
        def ask(question: str) -> str:
            return f"no {question}"

        for number in range(3):
            ask(f"q{number}")
        runs = there.runs()
    assert [run["inputs"] for run in runs[::2]] == [{"question": f"q{n}"} for n in range(3)]
    assert [run["outputs"] for run in runs[1::2]] == [{"output": f"no q{n}"} for n in range(3)]


@every_shape
def test_what_policies_do_stands_in_the_calls_run(harness: Harness, there: Traced) -> None:
    """Waits and decisions with their times; each attempt is a run, failed ones too."""
    chain = [there.policy, ag.retry(attempts=2, wait=wait_fixed(2))]
    run = harness.guard(chain, ConnectionError(), served(harness)).call()
    assert run.slept == [2]
    call, first, second = there.runs()
    [retried] = call["events"][:1]
    assert (retried["name"], retried["message"]) == (
        "Retried",
        "retries attempt 1 (connection) in 2.00 s",
    )
    assert first["error"] == "connection: ConnectionError"
    assert first["outputs"] == {}
    assert "error" not in second
    assert metadata(second)["agentguard_attempt"] == 2
    assert metadata(second)["agentguard_wait_seconds"] == 2
    assert at(call, "end") == 2


@every_shape
def test_a_call_that_fails(harness: Harness, there: Traced) -> None:
    """Its runs say how, and quote nothing of the exception."""
    run = harness.guard(there.policy, ValueError("call 010-1234-5678")).call()
    assert type(run.error) is ValueError
    call, attempt = there.runs()
    assert call["error"] == attempt["error"] == "unknown: ValueError"
    assert metadata(call)["agentguard_outcome"] == "failed"
    assert b"010-" not in there.receiver.everything()


@stream_shapes
def test_a_streams_run_ends_with_the_stream(harness: Harness, there: Traced) -> None:
    """And says when its first token came."""
    script = served(harness)
    run = harness.guard(there.policy, [Stall(1), script[0], Stall(2), *script[1:]]).call()
    assert run.error is None
    for told in there.runs():
        assert at(told, "new_token") == 1
        assert at(told, "end") == 3


@stream_shapes
def test_a_stream_that_is_left_early(harness: Harness, there: Traced) -> None:
    """Its runs end there, with what has come by then, and are no failures."""
    harness.guard(there.policy, served(harness)).call(read=1)
    call, attempt = there.runs()
    assert "error" not in call
    assert metadata(call)["agentguard_outcome"] == "abandoned"
    assert attempt["outputs"] == {"messages": [{"role": "assistant", "content": "hello"}]}


@stream_shapes
def test_a_stream_that_breaks(harness: Harness, there: Traced) -> None:
    """What has come by then is kept."""
    script = served(harness)
    harness.guard(there.policy, [script[0], ConnectionError()]).call()
    call, attempt = there.runs()
    assert call["error"] == "connection: ConnectionError"
    assert attempt["outputs"] == {"messages": [{"role": "assistant", "content": "hello"}]}


@unary_shapes
def test_an_answer_in_one_piece_has_no_first_token(harness: Harness, there: Traced) -> None:
    """LangSmith would show it as one."""
    harness.guard(there.policy, [Stall(1), served(harness)]).call()
    assert [run["events"] for run in there.runs()] == [[], []]


@every_shape
def test_an_answer_from_a_cache(harness: Harness, there: Traced) -> None:
    """Nobody was asked: one run, with what was asked and, but of a stream, answered."""
    subject = harness.guard([there.policy, ag.cache()], served(harness))
    with FakeRuntime() as time:
        subject.call("why?", model=MODEL, temperature=0)
        time.advance(1)
        subject.call("why?", model=MODEL, temperature=0)
    first, attempt, second = there.runs()
    assert attempt["parent_run_id"] == first["id"]
    assert second["inputs"] == first["inputs"]
    assert second["outputs"] == ({} if harness.streams else first["outputs"])
    assert [event["name"] for event in second["events"]][:1] == ["CacheHit"]


def test_a_refused_call_has_a_run(there: Traced) -> None:
    """With what was refused, masked."""

    @ag.guard(there.policy, ag.validate_input(max_chars=5))
    def ask(question: str) -> str:
        return question

    with pytest.raises(errors.InputRejected):
        ask("write to ms77@example.com")
    [call] = there.runs()
    assert call["inputs"] == {"question": "write to <EMAIL_1>"}
    assert call["error"] == "rejected: InputRejected"
    assert [event["name"] for event in call["events"]] == ["Rejected"]


def test_a_call_is_shown_while_it_is_under_way(there: Traced) -> None:
    """From its first attempt on, with what it sends."""
    going = threading.Event()

    @ag.guard(there.policy)
    def ask(question: str) -> str:
        going.wait(30)
        return "fine"

    thread = threading.Thread(target=ask, args=("why?",))
    thread.start()
    there.receiver.wait(lambda: bool(there.receiver.operations))
    [(kind, run)] = there.receiver.operations
    assert (kind, run["inputs"], run.get("end_time")) == ("post", {"question": "why?"}, None)
    going.set()
    thread.join()
    assert [run["outputs"] for run in there.runs()] == [{"output": "fine"}] * 2
    assert [kind for kind, _ in there.receiver.operations] == ["post", "patch", "post"] or [
        kind for kind, _ in there.receiver.operations
    ] == ["post", "post", "patch"]


def test_what_the_caller_goes_on_with_is_no_part_of_what_was_sent(there: Traced) -> None:
    """A conversation grows after the call; the run shows it as it was."""

    @ag.guard(there.policy)
    def ask(messages: list[Any]) -> dict[str, Any]:
        return {"role": "assistant", "content": "fine"}

    messages: list[Any] = [{"role": "user", "content": "a"}]
    messages.append(ask(messages))
    messages[0]["content"] = "changed"
    call, _ = there.runs()
    assert call["inputs"] == {"messages": [{"role": "user", "content": "a"}]}


def test_no_run_where_tracing_is_off_around_it(there: Traced) -> None:
    """`tracing_context(enabled=False)` is obeyed."""

    @ag.guard(there.policy)
    def ask() -> str:
        return "fine"

    with tracing_context(enabled=False):
        ask()
    assert there.runs() == []


def test_sampling_is_langsmiths_own() -> None:
    """A trace is there whole or not at all."""
    with traced() as there:
        there.client.tracing_sample_rate = 0.5

        @ag.guard(there.policy, ag.retry(attempts=2))
        def ask() -> str:
            return "fine"

        for _ in range(40):
            ask()
        runs = there.runs()
    roots = [run for run in runs if "parent_run_id" not in run]
    assert 0 < len(roots) < 40
    assert len(runs) == 2 * len(roots)


def test_feedback_about_a_run(there: Traced) -> None:
    """A check's or a user's verdict, masked; also with nothing but the id, as from another process."""

    @ag.guard(there.policy)
    def ask() -> str:
        return "fine"

    with ag.report() as r:
        ask()
    [call] = r.calls
    there.to.feedback(call, "grounded", score=0.25, comment="says ms77@example.com")
    there.to.feedback(str(call.run), "thumbs", score=True)
    run, _ = there.runs()
    first, second = there.receiver.feedback
    assert {first["run_id"], second["run_id"]} == {run["id"]}
    assert {first["session_id"], second["session_id"]} == {PROJECT}
    assert (first["key"], first["score"], first["comment"]) == ("grounded", 0.25, "says <EMAIL_1>")
    assert (second["key"], second["score"]) == ("thumbs", 1)
    assert b"ms77" not in there.receiver.everything()
    with pytest.raises(ValueError, match="trace"):
        there.to.feedback(CallRecord("untraced", 0.0, {}, None), "x")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"client": "lsv2_key"}, "langsmith.Client"),
        ({"project": 3}, "project="),
        ({"detectors": ["email"]}, "detectors="),
    ],
)
def test_settings_that_are_wrong(wrong: dict[str, Any], message: str) -> None:
    """They fail where they are written, and quote no key."""
    with pytest.raises(TypeError, match=message) as failed:
        LangSmith(**wrong)
    assert "lsv2_key" not in str(failed.value)


def test_its_repr_shows_no_key() -> None:
    """Nor does what holds it."""
    key = "lsv2_pt_" + "0f" * 18
    client = client_of("http://127.0.0.1:9", api_key=key)
    to = LangSmith(client, "p")
    assert repr(to) == "LangSmith(project='p')"
    assert key not in repr(to) + repr(ag.trace(to)) + repr(to.outbox)
    client.cleanup(0)


def test_virtual_time_stays_virtual(there: Traced) -> None:
    """What is sent is in the time of the test."""
    with FakeRuntime() as time:

        @ag.guard(there.policy)
        def ask() -> str:
            time.advance(90)
            return "fine"

        ask()
    for run in there.runs():
        assert at(run, "end") == 90
