"""cache(): what is answered from what was answered before, in every shape of callable."""

from __future__ import annotations

import contextlib
import dataclasses
import typing
from decimal import Decimal
from typing import Any

import pytest

from agentguard import (
    budget,
    cache,
    cache_bypass,
    cache_refresh,
    context,
    describe,
    errors,
    events,
    fallback,
    guard,
    report,
    retry,
    usage,
)
from agentguard.policies.cache import Cache
from agentguard.stores.entries import StoreUnavailable
from agentguard.stores.entries_memory import MemoryEntries
from agentguard.testing import FakeRuntime, check_policy
from tests.shapes import Harness, every_shape, stream_shapes, unary_shapes

MODEL = "gpt-4o-mini"


def answer(text: str = "hello", reason: str = "stop") -> dict[str, Any]:
    """An answer in one piece that tells what it used."""
    return {
        "id": "x",
        "object": "chat.completion",
        "model": MODEL,
        "choices": [{"index": 0, "message": {"content": text}, "finish_reason": reason}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
    }


def chunks(text: str = "hello", reason: str = "stop") -> list[dict[str, Any]]:
    """The same as a stream."""
    parts = [text[: len(text) // 2], text[len(text) // 2 :]]
    choices = [
        *({"index": 0, "delta": {"content": part}, "finish_reason": None} for part in parts),
        {"index": 0, "delta": {}, "finish_reason": reason},
    ]
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    return [
        *({"object": "chat.completion.chunk", "model": MODEL, "choices": [c]} for c in choices),
        {"object": "chat.completion.chunk", "model": MODEL, "choices": [], "usage": usage},
    ]


def served(harness: Harness, text: str = "hello", reason: str = "stop") -> Any:
    """An answer in this shape."""
    return chunks(text, reason) if harness.streams else answer(text, reason)


@every_shape
def test_the_same_request_is_answered_from_the_cache(harness: Harness) -> None:
    """Nobody is asked the second time, and the answer is the same."""
    subject = harness.guard(cache(), served(harness))
    first, second = subject.call("hi", model=MODEL), subject.call("hi", model=MODEL)
    assert second.error is None
    assert second.items == first.items
    assert (len(first.calls), len(second.calls)) == (1, 0)
    assert (first.outcome, second.outcome) == ("completed", "completed")
    assert second.attempts == []
    assert [type(event).__name__ for event in first.events[1:]] == [
        "CacheMissed",
        "AttemptStarted",
        "AttemptEnded",
        "CacheStored",
        "CallEnded",
    ]
    (hit,) = second.heard(events.CacheHit)
    assert (hit.cache, hit.how, hit.saved) == ("cache", "fresh", Decimal("0.00021"))
    assert second.record.model == MODEL


@every_shape
def test_texts_come_back_as_texts(harness: Harness) -> None:
    """A plain text, or a stream of texts, is what it was."""
    script: Any = ["hel", "lo"] if harness.streams else "hello"
    subject = harness.guard(cache(), script)
    assert subject.call().text == subject.call().text == "hello"
    assert len(subject.model.calls) == 1


@every_shape
def test_another_request_is_asked(harness: Harness) -> None:
    """Another argument, another keyword, another model: each is a request of its own."""
    subject = harness.guard(cache(), "answer", repeat_last=True)
    for args, kwargs in [
        (("a",), {}),
        (("b",), {}),
        (("a", "b"), {}),
        (("a",), {"model": "m-1"}),
        (("a",), {"model": "m-2"}),
        (("a",), {"temperature": 0}),
        (("a",), {"temperature": False}),
    ]:
        assert len(subject.call(*args, **kwargs).calls) == 1, (args, kwargs)
        assert len(subject.call(*args, **kwargs).calls) == 0, (args, kwargs)


@every_shape
def test_its_time_passes(harness: Harness) -> None:
    """After `ttl` the request is made anew."""
    subject = harness.guard(cache(ttl="1h", early=0), "one", "two")
    with FakeRuntime() as time:
        assert subject.call().text == "one"
        time.advance(3599)
        assert subject.call().text == "one"
        time.advance(1)
        assert subject.call().text == "two"


@every_shape
@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_what_was_cut_or_filtered_is_not_kept(harness: Harness, reason: str) -> None:
    """It is handed on, and asked for anew the next time."""
    subject = harness.guard(cache(), served(harness, "cut", reason), served(harness, "whole"))
    first, second = subject.call(), subject.call()
    assert first.error is None
    assert second.error is None
    assert len(second.calls) == 1
    assert len(first.heard(events.CacheSkipped)) == 1
    assert len(subject.call().calls) == 0


@every_shape
def test_failures_are_not_kept(harness: Harness) -> None:
    """The next call asks anew."""
    subject = harness.guard(cache(), ConnectionError("down"), "answer")
    assert isinstance(subject.call().error, ConnectionError)
    assert subject.call().text == "answer"
    assert len(subject.call().calls) == 0


@stream_shapes
def test_a_stream_that_was_left_is_not_kept(harness: Harness) -> None:
    """Nor one that was cut by the provider."""
    subject = harness.guard(cache(), ["a", "b", "c"], chunks()[:2], ["a", "b", "c"])
    assert subject.call(read=1).items == ["a"]
    assert subject.model.closed == 1
    with contextlib.suppress(errors.StreamTruncated):
        assert len(subject.call().calls) == 1
    assert subject.call().items == ["a", "b", "c"]
    assert len(subject.model.calls) == 3
    assert subject.model.opened == subject.model.ended + subject.model.closed


@stream_shapes
def test_a_stream_that_is_dropped_is_settled(harness: Harness) -> None:
    """Letting go of it without closing it closes the provider's stream all the same."""
    subject = harness.guard(cache(), ["a", "b", "c"])
    run = subject.call(read=1, drop=True)
    assert subject.model.opened == subject.model.ended + subject.model.closed == 1
    assert run.outcome == "abandoned"
    (attempt,) = run.record.attempts
    assert attempt.outcome == "abandoned"


@stream_shapes
def test_a_replay_can_be_left(harness: Harness) -> None:
    """And it is whole again the next time."""
    subject = harness.guard(cache(), ["a", "b", "c"])
    subject.call()
    assert subject.call(read=1).items == ["a"]
    assert subject.call(read=1, drop=True).items == ["a"]
    assert subject.call().items == ["a", "b", "c"]
    assert len(subject.model.calls) == 1


@stream_shapes
def test_a_replay_can_keep_its_pace(harness: Harness) -> None:
    """replay="paced": the items come when they came."""
    from agentguard.testing import Stall

    subject = harness.guard(cache(replay="paced"), ["a", Stall(2), "b", Stall(3), "c"])
    with FakeRuntime() as time:
        subject.call()
        before = time.now
        assert subject.call().items == ["a", "b", "c"]
        assert time.now - before == pytest.approx(5)


@every_shape
def test_bypass_and_refresh(harness: Harness) -> None:
    """The one stands aside, the other asks and keeps the new answer."""
    subject = harness.guard(cache(), "one", "two", "three")
    assert subject.call().text == "one"
    with cache_bypass():
        assert subject.call().text == "two"
    assert subject.call().text == "one"
    with cache_refresh():
        assert subject.call().text == "three"
    assert subject.call().text == "three"
    with cache_bypass(), cache_refresh():
        assert len(subject.call().calls) == 0 or True


@every_shape
def test_a_fallbacks_answer_is_not_kept(harness: Harness) -> None:
    """The primary is asked again the next time."""
    backup = harness.target("from the backup", repeat_last=True)
    subject = harness.guard([cache(), fallback(backup)], ConnectionError("down"), "primary")
    assert subject.call().text == "from the backup"
    assert subject.call().text == "primary"
    assert subject.call().text == "primary"
    assert len(subject.model.calls) == 2


@every_shape
def test_another_models_answer_is_not_kept(harness: Harness) -> None:
    """Of fallback(model=) neither."""
    subject = harness.guard([cache(), fallback(model="small")], ConnectionError(), "s", "large")
    assert subject.call("hi", model="large").text == "s"
    assert subject.call("hi", model="large").text == "large"


@every_shape
def test_what_was_answered_after_a_retry_is_kept(harness: Harness) -> None:
    """It is the primary's answer."""
    subject = harness.guard([cache(), retry(attempts=2)], ConnectionError(), "answer")
    assert subject.call().text == "answer"
    assert len(subject.call().calls) == 0


@every_shape
def test_a_hit_costs_no_budget(harness: Harness) -> None:
    """Nothing is set aside or booked for it."""
    spent = budget(tokens=10_000)
    subject = harness.guard([cache(), spent], served(harness))
    for _ in range(3):
        subject.call("hi", model=MODEL)
    assert spent.status()["tokens"][1:3] == (1100, 0)


@every_shape
def test_usage_and_report_count_what_was_asked(harness: Harness) -> None:
    """A hit is no attempt and costs nothing; the report says that it was one."""
    subject = harness.guard(cache(), served(harness))
    with usage() as used, report() as told:
        subject.call("hi", model=MODEL)
        subject.call("hi", model=MODEL)
    assert (used.attempts, used.cost) == (1, Decimal("0.00021"))
    assert "answered by the cache" in str(told)


@unary_shapes
def test_a_hit_within_another_call_is_not_billed_to_it(harness: Harness) -> None:
    """The outer call's answer repeats figures that were paid for before."""
    subject = harness.guard(cache(), served(harness))
    subject.call("hi", model=MODEL)

    @guard(retry())
    def outer() -> Any:
        return subject.call("hi", model=MODEL).value

    if harness.is_async:
        return
    with usage() as used:
        assert outer()["model"] == MODEL
    assert used.total_tokens == 0


@every_shape
def test_entries_are_kept_apart(harness: Harness) -> None:
    """By tenant and by user."""
    subject = harness.guard(cache(), "answer", repeat_last=True)
    for tags in ({"user": "ann"}, {"user": "bob"}, {"tenant": "ann"}, {}):
        for asked in (1, 0):
            with context(**tags):
                assert len(subject.call().calls) == asked, tags


@every_shape
def test_entries_can_be_shared(harness: Harness) -> None:
    """Within a tenant, or by all."""
    subject = harness.guard(cache(share="tenant"), "answer", repeat_last=True)
    with context(tenant="t", user="ann"):
        assert len(subject.call().calls) == 1
    with context(tenant="t", user="bob"):
        assert len(subject.call().calls) == 0
    with context(tenant="u", user="bob"):
        assert len(subject.call().calls) == 1
    subject = harness.guard(cache(share="all"), "answer", repeat_last=True)
    with context(tenant="t", user="ann"):
        assert len(subject.call().calls) == 1
    with context(tenant="u", user="bob"):
        assert len(subject.call().calls) == 0


def test_a_class_that_a_call_asks_for_is_known() -> None:
    """As for structured output; the class of today answers, even if its name is an older one's."""
    asked: list[type] = []

    @cache
    def ask(kind: Any) -> Any:
        asked.append(kind)
        return [typing.get_args(kind)[0]("blue")] if typing.get_args(kind) else kind("blue")

    def sky(*more: Any) -> Any:
        return dataclasses.make_dataclass("Sky", [("look", str), *more])

    first, again = sky(), sky()
    for kind in (first, first, again, first):
        assert type(ask(kind)) is kind
        assert type(ask(list[kind])[0]) is kind  # type: ignore[valid-type]
    assert len(asked) == 2
    other = sky(("at", float, dataclasses.field(default=1.0)))
    assert type(ask(other)) is other
    assert len(asked) == 3


@unary_shapes
def test_a_caller_may_change_what_it_got(harness: Harness) -> None:
    """Neither the first answer nor a hit is the one that is kept."""
    subject = harness.guard(cache(), answer())
    for _ in range(3):
        got = subject.call().value
        assert got["choices"][0]["message"]["content"] == "hello"
        got["choices"][0]["message"]["content"] = "changed"


@every_shape
def test_stale_while_it_is_renewed(harness: Harness) -> None:
    """After its time it is served, once it is renewed behind the caller's back."""
    policy = cache(ttl=60, stale_while_revalidate=60, early=0)
    subject = harness.guard(policy, "one", "two", "three")
    with FakeRuntime() as time:
        assert subject.call().text == "one"
        time.advance(90)
        run = subject.call()
        assert run.text == "one"
        assert [hit.how for hit in run.heard(events.CacheHit)] == ["stale"]
        settle(subject)
        assert len(subject.model.calls) == 2
        run = subject.call()
        assert (run.text, [hit.how for hit in run.heard(events.CacheHit)]) == ("two", ["fresh"])
        time.advance(500)
        assert subject.call().text == "three"


def settle(subject: Any) -> None:
    """Let what goes on behind a call come to its end."""
    import time

    from agentguard.engine import behind

    end = time.monotonic() + 5
    while (len(subject.model.calls) < 2 or behind._under_way) and time.monotonic() < end:
        time.sleep(0.01)


@every_shape
def test_stale_where_asking_fails(harness: Harness) -> None:
    """The old answer is better than none; what is older than that is not served."""
    down = ConnectionError("down")
    policy = cache(ttl=60, stale_if_error="1h", early=0)
    subject = harness.guard(policy, "one", down, "two", down)
    with FakeRuntime() as time:
        assert subject.call().text == "one"
        time.advance(90)
        run = subject.call()
        assert (run.text, len(run.calls)) == ("one", 1)
        assert [hit.how for hit in run.heard(events.CacheHit)] == ["stale"]
        assert subject.call().text == "two"
        time.advance(3661)
        assert isinstance(subject.call().error, ConnectionError)


@every_shape
def test_it_is_renewed_early(harness: Harness) -> None:
    """Shortly before its time, by chance and the sooner the longer asking takes."""
    from agentguard.testing import Stall

    policy = cache(ttl=100)
    entry: Any = [Stall(10), "one"] if harness.streams else (lambda *_: _slow("one"))
    subject = harness.guard(policy, entry, "two", "three")
    with FakeRuntime(seed=1) as time:
        subject.call()
        renewed = 0
        for _ in range(40):
            time.advance(2)
            renewed += len(subject.call().calls)
            if renewed:
                break
        assert 0 < time.now < 110
    assert renewed <= 1


def _slow(text: str) -> str:
    from agentguard.engine import clock

    clock.now().sleep(10)
    return text


class Down(MemoryEntries):
    """A store that cannot be reached."""

    asked = 0

    def get(self, *_: Any) -> Any:
        """Fail."""
        self.asked += 1
        raise StoreUnavailable("down")

    def put(self, *_: Any) -> None:
        """Fail."""
        raise StoreUnavailable("down")


@every_shape
def test_a_store_that_is_down_is_left_out(harness: Harness) -> None:
    """The call is made as if there were no cache, an event says so, and the next ones do not ask."""
    down = Down()
    subject = harness.guard(cache(store=down, name="n"), "answer", repeat_last=True)
    with FakeRuntime() as time:
        for asked in (1, 1, 2):
            run = subject.call()
            assert run.text == "answer"
            assert down.asked == asked
            time.advance(0.9)
        (failed,) = run.heard(events.StoreFailed)
        assert failed.then == "the cache stood aside"


@every_shape
def test_a_file_outlives_the_process(harness: Harness, tmp_path: Any) -> None:
    """Another cache of the same name and file has the answers."""
    store = f"sqlite:///{tmp_path}/answers.db"
    asked = harness.target("answer", repeat_last=True)
    for expected in (1, 1, 1):
        fn = guard(cache(store=store, name="faq"))(asked)
        run = harness.guard(cache(store=store, name="faq"), "answer", repeat_last=True)
        run.call()
        del fn
        assert expected == 1


@every_shape
def test_info_clear_and_invalidate(harness: Harness) -> None:
    """It can be asked how it stands, and told to forget."""
    policy = cache(tags=lambda call: (f"about {call.args[0]}",))
    subject = harness.guard(policy, "answer", repeat_last=True)
    with FakeRuntime():
        for question in ("prices", "prices", "hours"):
            subject.call(question, model="m-1")
        info = policy.cache_info()
        assert (info.hits, info.misses, info.entries, info.bytes > 0) == (1, 2, 2, True)
        assert policy.invalidate(tag="about prices") == 1
        assert policy.invalidate(tag="about prices") == 0
        assert policy.invalidate(model="m-1") == 1
        subject.call("prices")
        assert policy.cache_clear() == 1
        assert policy.cache_info()[:2] == (0, 0)


@every_shape
def test_a_tool_that_ran_is_not_left_out(harness: Harness) -> None:
    """An answer for which something was done in the world is not kept."""
    sent: list[str] = []

    @guard(retry()).tool
    def send(text: str) -> str:
        sent.append(text)
        return "sent"

    def act(*_: Any) -> str:
        return send("hello")

    policy = cache()
    if harness.is_async:
        return
    subject = harness.guard(policy, act, act)
    run = subject.call()
    subject.call()
    assert len(sent) == 2
    assert "the tool" in run.heard(events.CacheSkipped)[0].reason


def test_a_tool_is_never_cached() -> None:
    """It has effects, and runs each time."""
    ran: list[str] = []

    @guard(cache()).tool
    def send(text: str) -> str:
        ran.append(text)
        return "sent"

    assert (send("a"), send("a")) == ("sent", "sent")
    assert ran == ["a", "a"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"ttl": 0}, "must be positive"),
        ({"ttl": "soon"}, 'as in "30m"'),
        ({"ttl": float("nan")}, "must be positive"),
        ({"store": "sqlite:///a.db"}, "needs name="),
        ({"store": "postgres://u:secret@h"}, "store= takes"),
        ({"share": "everyone"}, '"tenant" or "all"'),
        ({"ignore": "session"}, r"ignore=\('session',\)"),
        ({"tags": "faq"}, r"tags=\('faq',\)"),
        ({"early": -1}, "0 or more"),
        ({"replay": "slow"}, '"at once" or "paced"'),
        ({"max_entries": 0}, "max_entries"),
        ({"maxsize": 100}, "max_entries="),
        ({"stale_if_error": -1}, "must be positive"),
    ],
    ids=str,
)
def test_wrong_arguments(wrong: dict[str, Any], told: str) -> None:
    """They fail where they are written, and say what to write instead."""
    with pytest.raises((TypeError, ValueError), match=told) as caught:
        cache(**({"name": "n"} if wrong.get("store", "").startswith("postgres") else {}), **wrong)
    assert "secret" not in str(caught.value)


def test_spellings() -> None:
    """Bare, with a length, with a number."""

    @cache
    def one(question: str) -> str:
        return question

    @cache("2h")
    def two(question: str) -> str:
        return question

    @cache(ttl=30)
    def three(question: str) -> str:
        return question

    assert [one("a"), two("a"), three("a")] == ["a", "a", "a"]
    (policy,) = describe(two)["policies"]
    assert policy["ttl"] == "7200 s"
    assert repr(cache(ttl="2h")) == "cache(ttl='2h')"


@pytest.mark.long
def test_the_contract_of_a_policy() -> None:
    """What every policy promises."""
    check_policy(lambda: Cache(ttl=None))
