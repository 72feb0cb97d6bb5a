"""Requests and answers judged: refused, replaced, asked for again, only reported, held in windows."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentguard as ag
from agentguard import Answer, Call, Finding, Next, Policy, Reply, Window, errors, events, judged
from tests.shapes import Harness, every_shape, stream_shapes, unary_shapes

FOUND = Finding("forbidden", "a forbidden word is in it", "the answer")


class Forbid(Policy):
    """Refuses answers in which a word is."""

    refuses = True

    def __init__(self, word: str = "bad", then: Any = ag.stop, hold: Any = "all") -> None:
        self.word, self.then, self.hold = word, then, hold
        self.seen: list[Answer] = []

    async def around(self, call: Call, next: Next) -> Reply:
        return await judged(self, call, next, self.judge, then=self.then, hold=self.hold)

    def judge(self, answer: Answer) -> list[Finding]:
        self.seen.append(answer)
        return [FOUND] if self.word in answer.before + answer.text else []


class Waits(Forbid):
    """The same, having waited."""

    async def around(self, call: Call, next: Next) -> Reply:
        async def judge(answer: Answer) -> list[Finding]:
            await call.runtime.sleep(0.001)
            return self.judge(answer)

        return await judged(self, call, next, judge, then=self.then, hold=self.hold)


@every_shape
@pytest.mark.parametrize("kind", [Forbid, Waits])
def test_what_is_good_passes(harness: Harness, kind: type[Forbid]) -> None:
    """A judge that finds nothing changes nothing."""
    run = harness.run(kind(), ["go", "od"])
    assert run.text == "good"
    assert run.error is None


@every_shape
@pytest.mark.parametrize("kind", [Forbid, Waits])
def test_what_is_not_is_refused(harness: Harness, kind: type[Forbid]) -> None:
    """Nothing of the answer is shown, and the error says why without a word of it."""
    run = harness.run(kind(), ["very b", "ad"])
    assert not run.items
    assert isinstance(run.error, errors.OutputRejected)
    assert run.error.findings == (FOUND,)
    assert "the answer: a forbidden word is in it" in str(run.error)
    assert "very" not in str(run.error)
    assert pickle.loads(pickle.dumps(run.error)).findings == (FOUND,)


@every_shape
def test_the_model_is_asked_again(harness: Harness) -> None:
    """With what was wrong; the better answer is the one that is given."""
    run = harness.run(Forbid(then=ag.reask(2)), "bad", "bad again", "better")
    assert run.text == "better"
    assert len(run.calls) == 3


@every_shape
def test_it_is_not_asked_for_ever(harness: Harness) -> None:
    """The last answer is refused as the first, and the error says how often it was asked."""
    run = harness.run(Forbid(then=ag.reask(1)), "bad", "bad again", "better")
    assert isinstance(run.error, errors.OutputRejected)
    assert "asked 2 times" in str(run.error)
    assert len(run.calls) == 2


@unary_shapes
@pytest.mark.parametrize(
    ("bound", "asked"),
    [({"tokens": 25}, 3), ({"tokens": 10}, 1), ({"usd": 0.25}, 3), ({"usd": 0.05}, 1)],
    ids=str,
)
def test_asking_again_is_bounded_by_what_it_used(
    harness: Harness, bound: dict[str, Any], asked: int
) -> None:
    """All answers together, before another is asked for."""
    answer = {
        "object": "chat.completion",
        "model": "dear",
        "choices": [{"message": {"content": "bad"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
    ag.prices.add("dear", input=10_000, output=10_000)
    policy = Forbid(then=ag.reask(9, **bound))
    run = harness.run(policy, *[answer] * 9)
    assert len(run.calls) == asked
    assert isinstance(run.error, errors.OutputRejected)
    assert "not asked again" in str(run.error)


@every_shape
def test_something_else_is_said_instead(harness: Harness) -> None:
    """Once, whatever the pieces of the answer were."""
    run = harness.run(Forbid(then=ag.replace("No.")), ["very b", "ad", "!"])
    assert run.text == "No."
    assert run.error is None


@every_shape
@pytest.mark.parametrize("then", [ag.stop, ag.reask(2), ag.replace("No.")], ids=repr)
def test_a_shadow_only_reports(harness: Harness, then: Any) -> None:
    """What it would have refused is let through, and told."""
    policy = Forbid(then=then)
    with ag.report() as told:
        run = harness.run(ag.shadow(policy), "bad")
    assert run.text == "bad"
    assert len(run.calls) == 1
    found = [
        each for call in told.calls for each in call.events if isinstance(each, events.Rejected)
    ]
    assert [(each.what, each.rules, each.shadow) for each in found] == [
        ("answer", ("forbidden",), True)
    ]
    assert not policy.shadowed


def test_only_what_refuses_is_shadowed() -> None:
    """A mask that only reports would be a leak."""
    with pytest.raises(TypeError, match="retry refuses nothing"):
        ag.shadow(ag.retry())


@stream_shapes
def test_a_stream_that_is_not_held_is_refused(harness: Harness) -> None:
    """Half of it would be with the user; the error says what to pass."""
    run = harness.run(Forbid(hold=None), ["a", "b"])
    assert isinstance(run.error, TypeError)
    assert 'hold="all"' in str(run.error)
    assert "Window()" in str(run.error)
    asks = harness.run(Forbid(hold=Window(), then=ag.reask()), ["a", "b"])
    assert isinstance(asks.error, TypeError)
    assert "Window" not in str(asks.error).partition("pass")[2]


# Windows


@stream_shapes
@pytest.mark.parametrize("kind", [Forbid, Waits])
@pytest.mark.parametrize("place", range(0, 40, 3))
def test_nothing_bad_gets_through_a_window(
    harness: Harness, kind: type[Forbid], place: int
) -> None:
    """Wherever it stands, and however it is cut: not even its beginning is shown."""
    text = "." * place + "bad" + "." * (40 - place)
    for size in (1, 2, 7):
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        run = harness.run(kind(hold=Window(8, 3, 60)), pieces)
        assert isinstance(run.error, errors.OutputRejected)
        out = "".join(run.items)
        assert set(out) <= {"."}
        assert len(out) <= place


@stream_shapes
@given(text=st.text("abd .", max_size=60), size=st.integers(1, 9), window=st.integers(1, 20))
def test_a_window_changes_nothing_else(harness: Harness, text: str, size: int, window: int) -> None:
    """Either all is shown, or what stands before the bad word at most."""
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    run = harness.run(Forbid(hold=Window(window, 3, 60)), pieces)
    if "bad" in text:
        assert isinstance(run.error, errors.OutputRejected)
        out = "".join(run.items)
        assert text.startswith(out)
        assert len(out) <= text.index("bad")
    else:
        assert run.text == text


@stream_shapes
def test_a_replacement_ends_the_stream(harness: Harness) -> None:
    """What was shown stays, the rest of the provider's stream is not read."""
    policy = Forbid(then=ag.replace("[cut]"), hold=Window(4, 3, 60))
    run = harness.run(policy, ["0123", "456", "789", "bad", "x" * 50, "never"])
    assert run.text == "0123456[cut]"
    assert run.error is None


@stream_shapes
def test_a_slow_stream_is_not_held_for_long(harness: Harness) -> None:
    """After the delay what has come is judged and shown, though the window is not full."""
    run = harness.run(Forbid(hold=Window(1000, 50, 0)), ["a", "b", "c"])
    assert run.items == ["a", "b", "c"]


@stream_shapes
@pytest.mark.parametrize("hold", ["all", Window(5, 3, 60)], ids=repr)
def test_a_stream_that_fails_hands_over_what_was_judged(harness: Harness, hold: Any) -> None:
    """And nothing else: what the judge has not seen is not shown by way of the error."""
    error = ConnectionError("gone")
    run = harness.run(Forbid(hold=hold), ["some", "thing", error])
    assert run.error is error
    partial = errors.partial(error)
    assert partial is not None
    assert partial.text == ("" if hold == "all" else "some")


@stream_shapes
def test_a_judge_that_fails_ends_the_stream(harness: Harness) -> None:
    """Its error comes out, and nothing of what was not judged."""

    class Broken(Forbid):
        def judge(self, answer: Answer) -> list[Finding]:
            raise LookupError("judge")

    run = harness.run(Broken(hold=Window(3, 1, 60)), ["some", "thing"])
    assert isinstance(run.error, LookupError)
    assert not run.items


# Values


@pytest.mark.parametrize(
    "wrong",
    [lambda: ag.reask(0), lambda: ag.reask(True), lambda: ag.reask(2, tokens=0)],
    ids=["none", "bool", "tokens"],
)
def test_a_reask_that_cannot_be_is_refused(wrong: Any) -> None:
    """Where it is written."""
    with pytest.raises((TypeError, ValueError), match=r"reask\("):
        wrong()


def test_what_may_follow_is_said() -> None:
    """A policy names what it serves."""
    from agentguard.engine.verdict import Stop, checked, replace

    with pytest.raises(TypeError, match=r"lacks its brackets: reask\(...\)"):
        checked("ground", ag.reask)
    with pytest.raises(TypeError, match=r"stop or replace\(\"...\"\), from agentguard, not reask"):
        checked("moderate", ag.reask(2), Stop, replace)
    with pytest.raises(TypeError, match="not str"):
        checked("moderate", "stop")
    assert checked("moderate", ag.stop) is ag.stop
    assert pickle.loads(pickle.dumps(ag.stop)) is ag.stop


def test_a_replacement_shows_no_text() -> None:
    """In a repr: it may name what was asked for."""
    assert repr(ag.replace("secret")) == "replace(<6 characters>)"
    assert Decimal(str(ag.reask(2, usd=0.1).usd)) == Decimal("0.1")
