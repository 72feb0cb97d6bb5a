"""`log`: one wide line for every call."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agentguard as ag
from agentguard import errors
from agentguard.exporters.wide_event import FIELDS
from agentguard.testing import FakeRuntime, check_policy, disabled
from tests.policies.lines import Lines
from tests.shapes import Harness, every_shape, stream_shapes, unary_shapes

REPLY: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "choices": [{"message": {"content": "forty-two"}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 400},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
}


@every_shape
def test_an_answer_is_one_line(harness: Harness) -> None:
    """At level info, with what was done for it."""
    lines = Lines()
    run = harness.run([ag.log("support", logger=lines), ag.retry()], "forty-two")
    assert run.text == "forty-two"
    line = lines.only
    assert (line.level, line.event) == ("info", "model_call")
    assert line["outcome"] == "completed"
    assert line["guard"] == "support"
    assert line["attempts"] == 1
    assert (line["input_characters"], line["output_characters"]) == (2, 9)
    assert set(line.fields) <= set(FIELDS)
    assert ("streamed" in line.fields) == harness.streams
    assert json.loads(json.dumps(line.fields)) == line.fields


@every_shape
def test_two_on_one_callable_write_a_line_each(harness: Harness) -> None:
    """For two loggers: both lines tell of the whole call."""
    first, second = Lines(), Lines()
    harness.run([ag.log("a", logger=first), ag.log("b", logger=second), ag.retry()], "forty-two")
    assert [first.only.fields["guard"], second.only.fields["guard"]] == ["a", "b"]
    assert first.only.fields["attempts"] == second.only.fields["attempts"] == 1


@every_shape
def test_a_retry_that_helped_is_told_of(harness: Harness) -> None:
    """It is what retry is for: the level stays info, the fields say what it took."""
    lines = Lines()
    guards = [ag.log(logger=lines), ag.retry(attempts=3, wait=lambda state: 2.0)]
    harness.run(guards, ConnectionError(), TimeoutError(), "42")
    line = lines.only
    assert line.level == "info"
    assert (line["attempts"], line["retries"], line["wait_s"]) == (3, 2, 4.0)
    assert line["duration_s"] >= 4.0
    assert "kind" not in line.fields


@every_shape
def test_a_failure_is_an_error(harness: Harness) -> None:
    """With its kind and class, and none of its words."""
    lines = Lines()
    words = "c3" * 12
    run = harness.run([ag.log(logger=lines), ag.retry(attempts=2)], *[ConnectionError(words)] * 2)
    assert isinstance(run.error, ConnectionError)
    line = lines.only
    assert line.level == "error"
    assert (line["outcome"], line["kind"], line["error"]) == (
        "failed",
        "connection",
        "ConnectionError",
    )
    assert line["gave_up"] == "attempts=2 are used up"
    assert words not in str(line)


@every_shape
def test_a_fallback_is_a_warning(harness: Harness) -> None:
    """The caller has an answer, and not of whom he asked."""
    lines = Lines()
    backup = harness.target("from the backup")
    run = harness.run([ag.log(logger=lines), ag.fallback(backup)], ConnectionError())
    assert run.text == "from the backup"
    line = lines.only
    assert line.level == "warning"
    assert (line["fallbacks"], line["served_by"], line["attempts"]) == (1, "backup", 2)


@every_shape
def test_a_refusal_is_a_warning(harness: Harness) -> None:
    """The guard did what it is there for."""
    lines = Lines()
    run = harness.run([ag.log(logger=lines), ag.validate_input(max_chars=1)], "never")
    assert isinstance(run.error, errors.InputRejected)
    line = lines.only
    assert line.level == "warning"
    assert (line["kind"], line["refused_by"]) == ("rejected", "validate_input")
    assert line["attempts"] == 0
    assert line["refused_rules"] == ["too_long"]


@every_shape
def test_what_shadow_would_refuse_is_told_of(harness: Harness) -> None:
    """At the level that the call deserves, which was answered."""
    lines = Lines()
    harness.run([ag.log(logger=lines), ag.shadow(ag.validate_input(max_chars=1))], "42")
    assert lines.only.level == "info"
    assert lines.only["would_refuse"] == ["validate_input"]


@every_shape
def test_an_open_circuit_is_named(harness: Harness) -> None:
    """The call that opened it is an error, the one that it refused a warning."""
    lines = Lines()
    guards = [ag.log(logger=lines), ag.breaker(fail_max=1)]
    subject = harness.guard(guards, ConnectionError(), "never")
    with FakeRuntime():
        subject.call()
        subject.call()
    assert lines.levels == ["error", "warning"]
    assert [each["circuit_state"] for each in lines] == ["open", "refused"]
    assert lines[0]["circuit"] == lines[1]["circuit"]


@unary_shapes
def test_steering_a_framework_is_no_failure(harness: Harness) -> None:
    """An exception that only passes control on is info."""
    lines = Lines()

    interrupt = type("GraphBubbleUp", (Exception,), {"__module__": "langgraph.errors"})()
    run = harness.run(ag.log(logger=lines), interrupt)
    assert run.error is interrupt
    assert (lines.only.level, lines.only["kind"]) == ("info", "control")


@stream_shapes
def test_a_reader_who_leaves_is_told_of(harness: Harness) -> None:
    """It is nobody's failure."""
    lines = Lines()
    harness.guard(ag.log(logger=lines), ["4", "2", "!"]).call(read=1)
    line = lines.only
    assert (line.level, line["outcome"]) == ("info", "abandoned")
    assert line["streamed"] is True


@stream_shapes
def test_a_stream_that_breaks_off_is_an_error(harness: Harness) -> None:
    """What has gone out is counted."""
    lines = Lines()
    run = harness.run([ag.log(logger=lines), ag.retry()], ["four", "ty", ConnectionError()])
    assert isinstance(run.error, ConnectionError)
    assert lines.only.level == "error"
    assert lines.only["output_characters"] == 6
    assert "first_token_s" in lines.only.fields


def test_tokens_and_dollars_stand_in_it() -> None:
    """The same figures as in a report."""
    lines = Lines()

    @ag.log(logger=lines)
    def ask(question: str, *, model: str) -> dict[str, Any]:
        return REPLY

    with ag.report() as r:
        ask("why?", model="gpt-4o-mini")
    line = lines.only
    assert line["input_tokens"] == 1000
    assert line["output_tokens"] == 100
    assert line["cached_tokens"] == 400
    assert line["reasoning_tokens"] == 20
    assert line["cost_usd"] == float(r.calls[0].cost or 0)
    assert line["saved_usd"] == float(r.calls[0].figures.saved)
    assert (line["model_asked"], line["model"]) == ("gpt-4o-mini", "gpt-4o-mini")
    assert line["input_characters"] == 4


@pytest.mark.filterwarnings("ignore:no price is known:UserWarning")
def test_an_unknown_price_is_not_nothing() -> None:
    """The attempt is counted as unpriced."""
    lines = Lines()

    @ag.log(logger=lines)
    def ask() -> dict[str, Any]:
        return {**REPLY, "model": "of-our-own"}

    ask()
    assert lines.only["unpriced"] == 1
    assert "cost_usd" not in lines.only.fields


@every_shape
def test_an_answer_from_the_cache_says_so(harness: Harness) -> None:
    """A miss, and then a fresh answer for which nobody was asked."""
    lines = Lines()
    subject = harness.guard([ag.log(logger=lines), ag.cache(ttl="1h")], "42")
    with FakeRuntime():
        subject.call()
        subject.call()
    assert [each["cache"] for each in lines] == ["miss", "fresh"]
    assert [each["attempts"] for each in lines] == [1, 0]


def test_masks_are_counted_by_type() -> None:
    """And the values are not there."""
    lines = Lines()
    address = "kim" + "@example.test"

    @ag.guard(ag.log(logger=lines), ag.mask_pii())
    def ask(question: str) -> str:
        return f"you said {question}"

    assert address in ask(f"I am {address}, and {address}")
    assert lines.only["masked"] == {"email": 2}
    assert address not in str(lines)


def test_who_asked_stands_in_it() -> None:
    """User and tenant by themselves, other tags together; what is known of a user not at all."""
    lines = Lines()

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    @ag.log(logger=lines)
    def ask() -> str:
        return "42"

    name = "Kim " + "Minsu"
    with ag.context(
        user="u1", tenant=7, known={"name": name}, feature="search", long="x" * 999, odd=Broken()
    ):
        ask()
    line = lines.only
    assert (line["user"], line["tenant"]) == ("u1", 7)
    assert line["tags"] == {"feature": "search", "long": "x" * 200, "odd": "Broken"}
    assert name not in str(line)


# Calls inside calls


def nested(lines: Lines, *inner: ag.Policy) -> Any:
    """Return an agent that asks a guarded client twice."""

    @ag.guard(*inner, ag.retry())
    def ask(question: str) -> dict[str, Any]:
        return REPLY

    @ag.log("agent", logger=lines)
    def answer() -> str:
        ask("one?")
        ask("two?")
        return "done"

    return answer


def test_the_line_of_a_call_tells_of_all_inside() -> None:
    """Calls made inside have lines at debug, which name their parent."""
    lines = Lines()
    nested(lines)()
    assert lines.levels == ["debug", "debug", "info"]
    first, second, outer = lines
    assert (outer["attempts"], outer["inner_calls"]) == (2, 2)
    assert outer["input_tokens"] == 2000
    assert outer["cost_usd"] == pytest.approx(first["cost_usd"] + second["cost_usd"])
    assert first["parent"] == outer["call"]
    assert first["parent_id"] == second["parent_id"] == outer["call_id"]
    assert first["call_id"] != second["call_id"]
    assert "parent" not in outer.fields


def test_a_log_further_in_writes_its_own_lines() -> None:
    """Each call has one line, and lines without a parent add up to what was spent."""
    outside, inside = Lines(), Lines()
    nested(outside, ag.log(logger=inside))()
    assert outside.levels == ["info"]
    assert inside.levels == ["info", "info"]
    assert {each["parent"] for each in inside} == {outside.only["call"]}
    spent = [each["cost_usd"] for each in (*outside, *inside) if "parent" not in each.fields]
    assert sum(spent) == pytest.approx(2 * inside[0]["cost_usd"])


def test_a_call_whose_parent_has_no_line_names_none() -> None:
    """Else its cost would stand in no line without a parent."""
    lines = Lines()

    @ag.log(logger=lines)
    def ask() -> dict[str, Any]:
        return REPLY

    with ag.report():

        @ag.retry
        def answer() -> Any:
            return ask()

        answer()
    assert "parent" not in lines.only.fields


def test_nothing_is_kept_of_calls_that_ended() -> None:
    """Also of those that a log further in has told of."""
    outer, inner = ag.log(logger=Lines()), ag.log(logger=Lines())

    @inner
    def ask() -> str:
        return "42"

    @outer
    def answer() -> str:
        return ask()

    answer()
    assert outer._asked == {}
    assert inner._asked == {}


# Sampling


def test_a_part_of_the_successes_is_written() -> None:
    """About as many as was asked for; all failures."""
    lines = Lines()
    log = ag.log(sample=0.25, logger=lines)

    @log
    def ask(fails: bool) -> str:
        if fails:
            raise ConnectionError
        return "42"

    with FakeRuntime(seed=7):
        for _ in range(2000):
            ask(False)
        assert 400 < len(lines) < 600
        before = len(lines)
        for _ in range(20):
            with pytest.raises(ConnectionError):
                ask(True)
        assert len(lines) == before + 20


def test_nothing_but_trouble_is_written_with_nought() -> None:
    """Failures, refusals, fallbacks and slow calls."""
    lines = Lines()
    log = ag.log(sample=0, slow=5, logger=lines)
    with FakeRuntime() as runtime:
        log(lambda: "42")()
        assert lines == []
        log(lambda: runtime.advance(5))()
        assert lines.only["slow"] is True
        ag.guard(log, ag.fallback(lambda: "42"))(lambda: 1 / 0)
    assert len(lines) == 1


@pytest.mark.parametrize("sample", [0.1, 0.5, 0.9])
def test_a_tree_of_calls_is_written_whole_or_not_at_all(sample: float) -> None:
    """The outermost call decides for those inside, whatever log they have."""
    lines = Lines()

    @ag.log(sample=sample, logger=lines)
    def ask() -> str:
        return "42"

    @ag.log(sample=sample, logger=lines)
    def answer() -> str:
        return ask() + ask()

    with FakeRuntime(seed=3):
        for _ in range(200):
            before = len(lines)
            answer()
            assert len(lines) - before in {0, 3}
    assert 0 < len(lines) < 600


# Spelling


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sample": 2}, ValueError, r"log\(sample=\) is between 0 and 1, as in 0.1, not 2"),
        ({"sample": "all"}, TypeError, r"log\(sample=\) is a part of the calls"),
        ({"slow": 0}, ValueError, r"log\(slow=\) must be positive"),
        ({"capture": "yes"}, TypeError, r"log\(capture=\) is a whole number"),
        ({"capture": 0}, ValueError, r"log\(capture=\) must be at least 1"),
        ({"name": 3}, TypeError, r'log\(name=\) is a name, as in "support"'),
        ({"logger": "agentguard"}, TypeError, r"log\(logger=\) is a logger of structlog or of"),
        ({"level": "info"}, TypeError, r"log\(\) has no level=: write nothing: it follows from"),
    ],
    ids=str,
)
def test_bad_settings_are_told_at_once(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """With what to write instead."""
    with pytest.raises(error, match=message):
        ag.log(**options)


def test_it_decorates_by_itself_and_shows_itself() -> None:
    """Bare, and with settings; the logger is not shown."""

    @ag.log
    def ask() -> str:
        return "42"

    assert ask() == "42"
    policy = ag.log("support", sample=0.5, capture=100, logger=Lines())
    assert repr(policy) == "log('support', sample=0.5, capture=100, logger=(" + "))"
    assert dict(policy.explain()) == {
        "label": "support",
        "sample": 0.5,
        "slow": 30.0,
        "capture": "100 characters",
        "logger": "given",
    }


def test_nothing_is_written_where_guards_are_disabled() -> None:
    """`disabled()` takes the policy away."""
    lines = Lines()
    with disabled():
        ag.log(logger=lines)(lambda: "42")()
    assert lines == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["connection", "overloaded", "auth", "ok"]), max_size=5))
def test_whatever_happens_is_one_line(script: list[str]) -> None:
    """Its figures are those of the call, and its level follows from its end."""
    raised = {
        "connection": ConnectionError(),
        "overloaded": errors.ProviderError("busy", kind="overloaded"),
        "auth": errors.ProviderError("who?", kind="auth"),
    }
    lines = Lines()
    made: list[str] = []

    @ag.guard(ag.log(logger=lines), ag.retry(attempts=3, wait=lambda state: 1.0, budget=None))
    def ask() -> str:
        made.append(script[len(made)] if len(made) < len(script) else "ok")
        if made[-1] != "ok":
            raise raised[made[-1]]
        return "42"

    with FakeRuntime(), contextlib.suppress(ConnectionError, errors.ProviderError):
        ask()
    line = lines.only
    assert line["attempts"] == len(made)
    assert line.fields.get("retries", 0) == len(made) - 1
    assert line.fields.get("wait_s", 0.0) == float(len(made) - 1)
    assert line.fields.get("kind") == (None if made[-1] == "ok" else made[-1])
    assert line.level == ("info" if made[-1] == "ok" else "error")


def test_every_field_stands_on_the_page() -> None:
    """With the words of its definition."""
    page = (Path(__file__).parents[2] / "docs" / "policies" / "log.md").read_text(encoding="utf-8")
    for name, about in FIELDS.items():
        assert f"| `{name}` | {about} |" in page


def test_it_keeps_what_the_engine_relies_on() -> None:
    """In every shape, under load, and when cancelled."""
    check_policy(lambda: ag.log(logger=Lines()))
    check_policy(lambda: ag.log(logger=Lines(), capture=True, sample=0.5))
