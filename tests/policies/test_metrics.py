"""metrics(): what is counted of a call, in every shape of callable and however it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY
from tenacity import wait_fixed

import agentguard as ag
from agentguard import errors, events, prices
from agentguard.exporters.counting import OF_REQUESTS, OF_WHAT_HAPPENS
from agentguard.testing import FakeRuntime, Stall, check_policy
from tests.exporters.counted import Counted
from tests.shapes import Harness, every_shape, stream_shapes, unary_shapes

MODEL = "gpt-4o-mini"


def answer(text: str = "hello there", **usage: Any) -> dict[str, Any]:
    """An answer that tells what it used."""
    used = usage or {"prompt_tokens": 1000, "completion_tokens": 100}
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    return {"model": f"{MODEL}-2024-07-18", "choices": [choice], "usage": used}


def chunks(*parts: Any, **usage: Any) -> list[Any]:
    """The same as a stream; what is no text is an entry of the script."""
    used = usage or {"prompt_tokens": 1000, "completion_tokens": 100}

    def chunk(delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"object": "chat.completion.chunk", "model": MODEL, "choices": [choice]}

    told = {"object": "chat.completion.chunk", "model": MODEL, "choices": [], "usage": used}
    texts = [chunk({"content": part}) if isinstance(part, str) else part for part in parts]
    return [*texts, chunk({}, "stop"), told]


def served(harness: Harness, **usage: Any) -> Any:
    """An answer in this shape."""
    return chunks("hello ", "there", **usage) if harness.streams else answer(**usage)


def idle(counted: Counted) -> bool:
    """Whether nothing is in flight any more."""
    return all(value == 0 for _, value in counted.series("requests_in_flight"))


def until(true: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


# Requests and attempts


@every_shape
def test_a_call_is_a_request_and_an_attempt(harness: Harness) -> None:
    """Each is counted once, with how long it took."""
    counted = Counted()
    subject = harness.guard(counted.metrics(), [Stall(3), "42"])
    assert subject.call(model=MODEL).text == "42"
    assert counted.series("requests_total") == [
        ({"name": "t", "outcome": "completed", "kind": ""}, 1)
    ]
    [(labels, attempts)] = counted.series("attempts_total")
    assert attempts == 1
    assert labels == {
        "name": "t",
        "target": "model",
        "model": MODEL,
        "outcome": "completed",
        "kind": "",
    }
    assert counted("request_duration_seconds_sum", outcome="completed") == 3
    assert counted("attempt_duration_seconds_sum", target="model") == 3
    assert len(counted.series("requests_in_flight")) == 1
    assert idle(counted)


@every_shape
def test_a_failure_has_its_kind_and_comes_out_unchanged(harness: Harness) -> None:
    """Of the request and of the attempt."""
    counted, error = Counted(), ConnectionError("prompt")
    assert harness.run(counted.metrics(), error).error is error
    for metric in ("requests_total", "attempts_total"):
        [(labels, value)] = counted.series(metric)
        assert (labels["outcome"], labels["kind"], value) == ("failed", "connection", 1)
    assert counted("request_duration_seconds_count", outcome="failed") == 1
    assert idle(counted)


@every_shape
def test_retries_and_their_waits(harness: Harness) -> None:
    """Every attempt is one; one request; waits in seconds, by the policy that waits."""
    counted = Counted()
    run = harness.run(
        [counted.metrics(), ag.retry(wait=wait_fixed(2), budget=None)],
        ConnectionError(),
        ConnectionError(),
        served(harness),
    )
    assert run.error is None
    assert counted("requests_total", outcome="completed", kind="") == 1
    assert counted("attempts_total", outcome="failed", kind="connection") == 2
    assert counted("attempts_total", outcome="completed") == 1
    assert counted("retries_total", kind="connection") == 2
    assert counted("wait_seconds_total", reason="retry") == sum(run.slept) == 4


@every_shape
def test_fallbacks_by_target(harness: Harness) -> None:
    """Who answered instead, and why; its attempt is one of the same request."""
    counted = Counted()
    run = harness.run(
        [counted.metrics(), ag.fallback(harness.target("from the backup"))], ConnectionError()
    )
    assert run.text == "from the backup"
    assert counted("requests_total") == 1
    assert counted.series("fallbacks_total") == [
        ({"name": "t", "target": "backup", "kind": "connection"}, 1)
    ]
    assert counted("attempts_total", target="model", outcome="failed") == 1
    assert counted("attempts_total", target="backup", outcome="completed") == 1


@every_shape
def test_failures_and_successes_of_a_model_share_its_label(harness: Harness) -> None:
    """It is the model asked for: providers answer with a dated name, and failures with none."""
    counted = Counted()
    subject = harness.guard(counted.metrics(), ConnectionError(), served(harness))
    subject.call(model=MODEL)
    subject.call(model=MODEL)
    assert counted.values("model") == {MODEL}


@every_shape
def test_a_model_that_nobody_asks_for_by_name(harness: Harness) -> None:
    """Then it is the one that answered."""
    counted = Counted()
    harness.run(counted.metrics(), served(harness))
    assert counted("attempts_total") == 1
    assert len(counted.values("model")) == 1
    assert counted.values("model").pop().startswith(MODEL)


# Streams


@stream_shapes
def test_a_stream_is_counted_at_its_end(harness: Harness) -> None:
    """The first token from the call on, the pace from the first token on, all with the consumer."""
    counted = Counted()
    script = chunks(Stall(2), "hello", Stall(5), " there", prompt_tokens=7, completion_tokens=11)
    subject = harness.guard(counted.metrics(), script)
    assert subject.call(model=MODEL).error is None
    assert counted("time_to_first_token_seconds_sum", name="t", model=MODEL) == 2
    assert counted("time_to_first_token_seconds_count") == 1
    assert counted("time_per_output_token_seconds_sum", model=MODEL) == 0.5  # 5 s, 10 tokens
    assert counted("request_duration_seconds_sum") == 7


@stream_shapes
def test_the_first_token_counts_from_the_call_on(harness: Harness) -> None:
    """What was waited for retries is part of it, as it is for whoever reads."""
    counted = Counted()
    retry = ag.retry(wait=wait_fixed(3), budget=None)
    harness.run([counted.metrics(), retry], ConnectionError(), [Stall(2), "42"])
    assert counted("time_to_first_token_seconds_sum") == 5


@unary_shapes
def test_answers_in_one_piece_have_no_first_token(harness: Harness) -> None:
    """Theirs would be the duration once more, and spoil the metric."""
    counted = Counted()
    harness.run(counted.metrics(), answer())
    assert counted.series("time_to_first_token_seconds_count") == []
    assert counted.series("time_per_output_token_seconds_count") == []


@stream_shapes
def test_no_pace_where_tokens_may_have_come_before_the_first(harness: Harness) -> None:
    """Reasoning that is not shown would make it look faster than it is; one token has no pace."""
    counted = Counted()
    reasoned: dict[str, Any] = {
        "prompt_tokens": 7,
        "completion_tokens": 500,
        "completion_tokens_details": {"reasoning_tokens": 490},
    }
    single = {"prompt_tokens": 7, "completion_tokens": 1}
    subject = harness.guard(
        counted.metrics(), chunks("a", Stall(5), **reasoned), chunks("a", **single)
    )
    subject.call()
    subject.call()
    assert counted("tokens_total", type="reasoning") == 490
    assert counted.series("time_per_output_token_seconds_count") == []


@stream_shapes
@pytest.mark.parametrize("drop", [False, True], ids=["closed", "let go"])
def test_a_stream_that_is_left_early(harness: Harness, drop: bool) -> None:
    """Closed or collected: abandoned, once, and no longer in flight."""
    counted = Counted()
    subject = harness.guard(counted.metrics(), ["one", "two", "three"])
    subject.call(read=1, drop=drop)
    assert counted("requests_total", outcome="abandoned") == 1
    assert counted("requests_total") == counted("attempts_total") == 1
    assert counted("time_to_first_token_seconds_count") == 1
    assert idle(counted)


@stream_shapes
def test_a_stream_that_breaks(harness: Harness) -> None:
    """Failed, though its first items went out."""
    counted = Counted()
    harness.run(counted.metrics(), ["one", ConnectionError()])
    assert counted("requests_total", outcome="failed", kind="connection") == 1
    assert idle(counted)


def test_in_flight_while_it_lasts() -> None:
    """From the call to the stream's end."""
    counted = Counted()

    @counted.metrics()
    def tell() -> Any:
        yield "one"
        yield "two"

    stream, other = tell(), tell()
    assert counted("requests_in_flight") == 0  # a generator begins when it is first read
    next(stream)
    next(other)
    assert counted("requests_in_flight") == 2
    assert list(stream) == ["two"]
    assert counted("requests_in_flight") == 1
    other.close()
    assert counted("requests_in_flight") == 0


# Tokens and dollars


@every_shape
def test_tokens_by_type_and_what_they_cost(harness: Harness) -> None:
    """Each token in one type, so that their sum is all of them; dollars as `usage()` has them."""
    counted = Counted()
    used: dict[str, Any] = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }
    with ag.usage() as u:
        harness.guard(counted.metrics(), served(harness, **used)).call(model=MODEL)
    found = {labels["type"]: value for labels, value in counted.series("tokens_total")}
    assert found == {"input": 400, "cache_read": 600, "output": 60, "reasoning": 40}
    assert sum(found.values()) == u.total_tokens
    assert counted("cost_usd_total", name="t", model=MODEL) == pytest.approx(float(u.cost or 0))
    assert counted("saved_usd_total", by="prompt_cache") == pytest.approx(float(u.saved))
    assert u.saved > 0
    assert counted.series("surcharge_usd_total") == []


@unary_shapes
def test_what_writing_to_a_cache_costs_on_top(harness: Harness) -> None:
    """Savings and surcharges are counters of their own, since a counter cannot fall."""
    counted = Counted()
    prices.add("m", input=1, output=0, cached="0.1", cache_write=2)
    write = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
    read = {**write, "prompt_tokens_details": {"cached_tokens": 1_000_000}}
    write["cache_creation_input_tokens"] = 1_000_000
    scripted = [dict(each, model="m") for each in (answer(**write), answer(**read))]
    subject = harness.guard(counted.metrics(), *scripted)
    with ag.usage() as u:
        subject.call()
        subject.call()
    assert counted("surcharge_usd_total") == 1
    assert counted("saved_usd_total", by="prompt_cache") == pytest.approx(0.9)
    assert counted("saved_usd_total") - counted("surcharge_usd_total") == pytest.approx(
        float(u.saved)
    )
    assert counted("cost_usd_total") == pytest.approx(2.1)


@every_shape
def test_an_answer_without_figures_has_no_known_cost(harness: Harness) -> None:
    """Which is counted, and is not zero dollars."""
    counted = Counted()
    harness.run(counted.metrics(), "42")
    assert counted("unpriced_attempts_total") == 1
    assert counted.series("cost_usd_total") == []


@every_shape
def test_a_model_without_a_price(harness: Harness) -> None:
    """Its tokens are counted, and that its cost is missing."""
    counted = Counted()
    script = served(harness)
    for each in script if harness.streams else [script]:
        each["model"] = "nobody-knows"
    subject = harness.guard(counted.metrics(), script)
    with pytest.warns(UserWarning, match="nobody-knows"):
        assert (subject.call().error, counted("tokens_total")) == (None, 1100)
    assert counted("unpriced_attempts_total", model="nobody-knows") == 1
    assert counted.series("cost_usd_total") == []


@stream_shapes
def test_a_stream_that_was_cut_is_estimated(harness: Harness) -> None:
    """As `usage()` does: what was sent and had arrived, counted by a tokenizer."""
    counted = Counted()
    with ag.usage() as u:
        harness.guard(counted.metrics(), chunks("one two three", "four")).call(
            "how are you?", model=MODEL, read=1
        )
    assert u.estimated == 1
    assert u.total_tokens > 0
    assert counted("tokens_total") == u.total_tokens
    assert counted("cost_usd_total") == pytest.approx(float(u.cost or 0))


def test_failures_before_any_work_cost_nothing() -> None:
    """A refused request is no attempt without a known cost."""
    counted = Counted()

    @counted.metrics()
    def ask() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        ask()
    assert counted.series("unpriced_attempts_total") == []
    assert counted.series("cost_usd_total") == []


def test_a_late_answer_is_added_when_it_comes() -> None:
    """Its tokens and cost, though its caller had given up; the attempt stays one."""
    counted, go = Counted(), threading.Event()

    @ag.guard(counted.metrics(), ag.timeout(0.01))
    def ask(*, model: str) -> dict[str, Any]:
        go.wait(30)
        return answer()

    with pytest.raises(errors.Timeout):
        ask(model=MODEL)
    assert counted("attempts_total", outcome="failed", kind="timeout") == 1
    assert counted("timeouts_total", bound="seconds") == 1
    assert counted("tokens_total") == 0
    go.set()
    until(lambda: counted("late_results_total") == 1 and counted("tokens_total") > 0)
    assert counted("tokens_total") == 1100
    assert counted("cost_usd_total", model=MODEL) == pytest.approx(0.00021)
    assert counted("attempts_total") == counted("requests_total") == 1
    assert idle(counted)


# Policies


@every_shape
def test_caches(harness: Harness) -> None:
    """A hit is a request and no attempt; what it saved is what asking would have cost."""
    counted = Counted()
    subject = harness.guard([counted.metrics(), ag.cache(ttl="1h")], served(harness))
    with ag.usage() as u:
        subject.call("hi", model=MODEL)
        subject.call("hi", model=MODEL)
    assert counted("requests_total", outcome="completed") == 2
    assert counted("attempts_total") == 1
    assert counted("cache_requests_total", cache="cache", result="miss") == 1
    assert counted("cache_requests_total", cache="cache", result="hit") == 1
    assert counted("saved_usd_total", by="cache") == pytest.approx(float(u.saved)) == 0.00021
    assert counted("tokens_total") == 1100


@every_shape
def test_circuits(harness: Harness) -> None:
    """Open, half-open, closed: the state as it is now, each change, each refusal."""
    counted = Counted()
    subject = harness.guard(
        [counted.metrics(), ag.breaker(fail_max=1, reset_timeout=30, name="c")],
        ConnectionError(),
        "42",
    )
    with FakeRuntime() as time:
        subject.call()
        assert counted.series("circuit_state") == [({"circuit": "c model"}, 2)]
        assert isinstance(subject.call().error, errors.CircuitOpen)
        time.advance(30)
        subject.call()
    assert counted.series("circuit_state") == [({"circuit": "c model"}, 0)]
    changes = {
        found["state"]: value for found, value in counted.series("circuit_transitions_total")
    }
    assert changes == {"open": 1, "half_open": 1, "closed": 1}
    assert counted("refusals_total", policy="breaker", mode="on") == 1
    assert counted("requests_total", kind="circuit_open") == 1


@every_shape
def test_circuits_of_a_key_have_no_state(harness: Harness) -> None:
    """Their names are the keys, which may be users: they are counted together."""
    counted = Counted()
    breaker = ag.breaker(fail_max=1, key=lambda call: call.scope.tags["user"])
    subject = harness.guard([counted.metrics(), breaker], ConnectionError(), repeat_last=True)
    for user in ("ann@example.com", "bob@example.com"):
        with ag.context(user=user):
            subject.call()
    assert counted("circuit_transitions_total", state="open") == 2
    assert counted.series("circuit_state") == []
    assert not [each for each in counted.labels() if "example" in str(each)]


@every_shape
def test_a_breaker_in_shadow(harness: Harness) -> None:
    """What it would have refused is told apart from what it has."""
    counted = Counted()
    breaker = ag.shadow(ag.breaker(fail_max=1))
    subject = harness.guard([counted.metrics(), breaker], ConnectionError(), "42")
    subject.call()
    assert subject.call().text == "42"
    assert counted("refusals_total", policy="breaker", mode="shadow") == 1
    assert counted("refusals_total", mode="on") == 0


@every_shape
def test_budgets(harness: Harness) -> None:
    """What is used, of how much; what was refused; which shares were reached."""
    counted = Counted()
    budget = ag.budget(tokens=2000, name="team", expect=100)
    subject = harness.guard([counted.metrics(), budget], served(harness), repeat_last=True)
    for _ in range(3):
        subject.call("hi", model=MODEL)
    assert counted("budget_used", budget="team", unit="tokens") == 2200
    assert counted("budget_limit", budget="team", unit="tokens") == 2000
    assert counted("budget_used_ratio", budget="team", unit="tokens") == 1.1
    assert counted("budget_charged_total", budget="team", unit="tokens") == 2200
    crossed = {each["percent"] for each, _ in counted.series("budget_thresholds_total")}
    assert crossed == {"50", "80", "100"}
    assert counted("refusals_total", policy="budget", mode="on") == 1
    assert counted("findings_total", policy="budget", rule="tokens") == 1
    assert counted("requests_total", outcome="failed", kind="budget_exceeded") == 1


@every_shape
def test_budgets_of_users_are_counted_together(harness: Harness) -> None:
    """No user is a label, and what one of many has used would be no budget's standing."""
    counted = Counted()
    budget = ag.budget(tokens=2000, by="user", name="users", expect=100)
    subject = harness.guard([counted.metrics(), budget], served(harness), repeat_last=True)
    for user in ("ann", "bob"):
        with ag.context(user=user):
            subject.call("hi", model=MODEL)
    assert counted("budget_charged_total", budget="users", unit="tokens") == 2200
    assert counted("budget_thresholds_total", percent="50") == 2
    assert counted.series("budget_used") == []
    assert counted.series("budget_used_ratio") == []
    assert counted("refusals_total") == 0


@every_shape
def test_waits_for_a_budget(harness: Harness) -> None:
    """By the policy that waits, in seconds."""
    counted = Counted()
    budget = ag.budget(requests=1, per="minute", exceeded="wait", name="b")
    subject = harness.guard([counted.metrics(), budget], served(harness), repeat_last=True)
    with FakeRuntime():
        subject.call("hi", model=MODEL)
        run = subject.call("hi", model=MODEL)
    assert run.error is None
    assert sum(run.slept) > 0
    assert counted("wait_seconds_total", reason="budget") == pytest.approx(sum(run.slept))
    assert counted("refusals_total") == 0


@every_shape
def test_a_refusal_that_another_answers(harness: Harness) -> None:
    """The budget refused, though its caller got an answer."""
    counted = Counted()
    cheap = harness.target("from the cheap one", repeat_last=True)
    budget = ag.budget(requests=1, exceeded=cheap, name="b")
    subject = harness.guard([counted.metrics(), budget], served(harness), repeat_last=True)
    subject.call("hi", model=MODEL)
    run = subject.call("hi", model=MODEL)
    assert run.text == "from the cheap one"
    assert [each.then for each in run.heard(events.Rejected)] == ["replace"]
    assert counted("refusals_total", policy="budget", mode="on") == 1
    assert counted("requests_total", outcome="completed") == 2


@every_shape
def test_masks_by_type(harness: Harness) -> None:
    """How many of each, and nothing of what they were."""
    counted = Counted()
    subject = harness.guard([counted.metrics(), ag.mask_pii()], "fine")
    subject.call("ann@example.com, bob@example.com and 4111 1111 1111 1111", model=MODEL)
    found = {labels["type"]: value for labels, value in counted.series("masked_total")}
    assert found == {"email": 2, "credit_card": 1}
    assert not [each for each in counted.labels() if "example" in str(each)]


@every_shape
@pytest.mark.parametrize("shadowed", [False, True], ids=["on", "shadow"])
def test_refusals_by_policy_and_rule(harness: Harness, shadowed: bool) -> None:
    """One for each refusal, and one for each rule that was broken."""
    counted = Counted()
    policy: Any = ag.validate_input(max_chars=3)
    mode = "shadow" if shadowed else "on"
    subject = harness.guard([counted.metrics(), ag.shadow(policy) if shadowed else policy], "fine")
    run = subject.call("too long")
    assert (run.error is None) == shadowed
    [(labels, value)] = counted.series("refusals_total")
    assert (labels, value) == ({"name": "t", "policy": "validate_input", "mode": mode}, 1)
    [(labels, value)] = counted.series("findings_total")
    assert (labels["policy"], labels["mode"], value) == ("validate_input", mode, 1)
    assert counted("requests_total", kind="" if shadowed else "rejected") == 1


# Contract and settings


def test_the_contract_of_a_policy() -> None:
    """Every shape, every ending, threads and loops at once: nothing changes for the caller."""
    check_policy(lambda: Counted().metrics())


def test_used_bare_it_counts_in_the_default_registry() -> None:
    """Under the name of the function; decorating again raises nothing."""

    @ag.metrics
    def ask_bare() -> str:
        return "42"

    @ag.metrics()
    def ask_again() -> str:
        return "42"

    ask_bare()
    ask_again()
    names = {"ask_bare", "ask_again"}
    counted = Counted(REGISTRY)
    assert names <= counted.values("name")
    assert all(counted("requests_total", name=name) == 1 for name in names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": 3}, "is a name"),
        ({"name": ""}, "is a name"),
        ({"registry": "default"}, "CollectorRegistry"),
        ({"models": "gpt-4o"}, r"models=\) is a list of names"),
        ({"models": [3]}, "3 is none"),
        ({"targets": 3}, r"targets=\) is a list of names"),
        ({"buckets": [1, 2]}, "OpenTelemetry"),
        ({"labels": ["user"]}, "no label"),
        ({"namespace": "x"}, "name="),
        ({"port": 9100}, "start_http_server"),
    ],
)
def test_settings_that_are_wrong(options: dict[str, Any], message: str) -> None:
    """They fail where they are written, with what to write instead."""
    with pytest.raises(TypeError, match=message):
        ag.metrics(**options)


def test_it_stands_outermost_and_explains_itself() -> None:
    """`with_` puts it first; `describe` shows its settings."""
    stack = ag.guard(ag.mask_pii(), ag.retry()).with_(ag.metrics("support", models=["b", "a"]))
    assert [each.name for each in stack.policies] == ["metrics", "mask_pii", "retry"]
    shown = ag.describe(stack)["policies"][0]
    assert (shown["name"], shown["label"], shown["models"]) == ("metrics", "support", ["a", "b"])


def test_no_block() -> None:
    """It guards callables."""
    with pytest.raises(TypeError, match="would guard nothing"), Counted().metrics():  # type: ignore[attr-defined]
        pass


def test_a_listener_of_every_event() -> None:
    """An event that is added must be counted, or be named here as one that is not."""
    known = {getattr(events, name) for name in events.__all__}
    kinds = {each for each in known if isinstance(each, type) and issubclass(each, events.Event)}
    assert {each.__name__ for each in kinds - {*OF_REQUESTS, *OF_WHAT_HAPPENS}} == {
        "Blind",
        "BudgetOverrun",
        "CacheSkipped",
        "CacheStored",
        "Capped",
        "CheckFailed",
        "DetectorFailed",
        "Event",
        "GaveUp",
        "PrefixChanged",
        "Unmasked",
        "Unpriced",
    }
