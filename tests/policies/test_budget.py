"""budget(): what is set aside, booked and refused, in every shape of callable."""

from __future__ import annotations

import asyncio
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from agentguard import (
    budget,
    carry,
    context,
    describe,
    errors,
    events,
    fallback,
    guard,
    on_event,
    prices,
    report,
    retry,
    timeout,
    usage,
)
from agentguard.policies.budget import Budget
from agentguard.stores.ledger import StoreUnavailable
from agentguard.stores.memory import MemoryLedger
from agentguard.testing import FakeRuntime, ScriptedModel, check_policy
from tests.shapes import Harness, every_shape, stream_shapes, unary_shapes

MODEL = "gpt-4o-mini"


def answer(input_tokens: int = 100, output_tokens: int = 10, model: str = MODEL) -> dict[str, Any]:
    """An answer in one piece that tells what it used."""
    return {
        "id": "x",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": input_tokens, "completion_tokens": output_tokens},
    }


def chunks(
    texts: list[str], input_tokens: int = 100, output_tokens: int = 10, model: str = MODEL
) -> list[dict[str, Any]]:
    """A stream that tells at its end what it used."""
    told: list[dict[str, Any]] = [
        {"object": "chat.completion.chunk", "model": model, "choices": [choice]}
        for choice in [
            *({"index": 0, "delta": {"content": text}, "finish_reason": None} for text in texts),
            {"index": 0, "delta": {}, "finish_reason": "stop"},
        ]
    ]
    usage = {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}
    last = {"object": "chat.completion.chunk", "model": model, "choices": [], "usage": usage}
    return [*told, last]


def served(harness: Harness, **figures: Any) -> Any:
    """One good answer in this shape."""
    return chunks(["hel", "lo"], **figures) if harness.streams else answer(**figures)


def spent(policy: Budget, key: object = None) -> tuple[Any, Any]:
    """What is booked and what is set aside, of the first unit."""
    standing = next(iter(policy.status(key).values()))
    return standing.used, standing.reserved


@every_shape
def test_what_was_used_is_booked(harness: Harness) -> None:
    """The provider's figures are booked when the answer is complete; nothing stays set aside."""
    policy = budget(tokens=10_000, expect=50)
    run = harness.run(policy, served(harness))
    assert run.error is None
    assert spent(policy) == (110, 0)
    assert (policy.used, policy.left) == (110, 9890)


@every_shape
def test_money_is_booked_at_the_price_of_the_model_that_served(harness: Harness) -> None:
    """A thousand and a hundred tokens of gpt-4o-mini."""
    policy = budget(usd=1)
    harness.run(policy, served(harness, input_tokens=1000, output_tokens=100))
    assert spent(policy) == (Decimal("0.00021"), 0)


@every_shape
def test_what_does_not_fit_is_refused_before_it_is_sent(harness: Harness) -> None:
    """The error says which budget, how much, and when it renews."""
    policy = budget(requests=1, per="minute", name="support")
    with FakeRuntime() as time:
        subject = harness.guard(policy, served(harness), "never")
        assert subject.call().error is None
        error = subject.call().error
        assert isinstance(error, errors.BudgetExceeded)
        assert (error.budget, error.unit) == ("support", "requests")
        assert (error.used, error.limit, error.asked) == (1, 1, 1)
        assert error.retry_after is not None
        assert 0 < error.retry_after <= 60
        assert error.http_status == 402
        assert len(subject.model.calls) == 1
        assert spent(policy) == (1, 0)
        time.advance(error.retry_after)
        assert spent(policy) == (0, 0)


@every_shape
def test_each_retry_is_charged(harness: Harness) -> None:
    """Three attempts are three requests."""
    policy = budget(requests=10)
    harness.run(
        [policy, retry(attempts=3, wait=lambda _: 0.0, budget=None)],
        ConnectionError(),
        ConnectionError(),
        served(harness),
    )
    assert spent(policy) == (3, 0)


@every_shape
def test_a_retry_that_does_not_fit_is_refused(harness: Harness) -> None:
    """The refusal comes out, with the failure before it as its cause."""
    policy = budget(requests=2)
    run = harness.run(
        [policy, retry(attempts=5, wait=lambda _: 0.0, budget=None)],
        ConnectionError(),
        ConnectionError(),
        "never",
    )
    assert isinstance(run.error, errors.BudgetExceeded)
    assert isinstance(run.error.__cause__, ConnectionError)
    assert spent(policy) == (2, 0)


@every_shape
def test_fallback_targets_are_charged(harness: Harness) -> None:
    """A target that is called past the chain is seen all the same."""
    policy = budget(tokens=100_000)
    backup = harness.target(served(harness, input_tokens=7, output_tokens=3))
    harness.run([policy, fallback(backup)], ConnectionError())
    assert spent(policy) == (10, 0)


@every_shape
def test_guarded_calls_inside_are_counted_once(harness: Harness) -> None:
    """An agent that makes two calls has used what these two have; its own answer costs nothing."""
    policy = budget(requests=2, per="request")
    inner = budget(requests=100)
    model = ScriptedModel(answer(), answer(), answer())
    ask = guard(inner, policy)(model.shape("sync"))

    def agent() -> str:
        ask("one")
        ask("two")
        return "done"

    assert guard(policy)(agent)() == "done"
    assert spent(inner) == (2, 0)

    def greedy() -> str:
        agent()
        ask("three")
        return "never"

    model = ScriptedModel(answer(), answer(), answer())
    ask = guard(inner, policy)(model.shape("sync"))
    with pytest.raises(errors.BudgetExceeded):
        guard(policy)(greedy)()
    assert len(model.calls) == 2
    assert harness.shape


def test_a_block_holds_for_the_calls_inside() -> None:
    """Calls made outside are not counted; nested ones once; `spent` tells."""
    ask = guard(retry(budget=None))(ScriptedModel(*[answer()] * 5).shape("sync"))

    def agent() -> None:
        ask("nested")

    with budget(usd=1, tokens=10_000) as money:
        ask("one")
        guard(retry(budget=None))(agent)()
    ask("outside")
    assert money.status()["tokens"].used == 220
    assert money.used == 2 * Decimal("0.000021")
    assert money.left == 1 - money.used


def test_a_block_refuses() -> None:
    """What is left over is the next block's affair."""
    ask = guard(retry(budget=None))(ScriptedModel(*[answer()] * 5).shape("sync"))
    with budget(requests=1), pytest.raises(errors.BudgetExceeded):
        ask("one")
        ask("two")
    with budget(requests=1):
        ask("three")


def test_keys_have_budgets_of_their_own() -> None:
    """By user; a mapping is read anew, and one that nobody mentioned has nothing."""
    limits = {"ann": 1}
    policy = budget(requests=limits, by="user")
    ask = policy(ScriptedModel(*[answer()] * 9).shape("sync"))
    with context(user="ann"):
        ask("?")
        with pytest.raises(errors.BudgetExceeded):
            ask("?")
        limits["ann"] = 2
        ask("?")
    with context(user="bob"), pytest.raises(errors.BudgetExceeded) as caught:
        ask("?")
    assert "bob" not in str(caught.value)
    assert spent(policy, "ann") == (2, 0)


def test_a_missing_key() -> None:
    """It is an error, unless all who have none share a budget."""
    ask = budget(requests=1, by="user")(ScriptedModel(answer()).shape("sync"))
    with pytest.raises(errors.ContextMissing, match="context\\(user="):
        ask("?")
    policy = budget(requests=1, by="user", missing="shared")
    ask = policy(ScriptedModel(answer()).shape("sync"))
    ask("?")
    assert spent(policy) == (1, 0)


def test_limits_by_function_and_model() -> None:
    """None is no limit; the model is what is asked."""
    policy = budget(tokens=lambda model: None if model == "free" else 10, by="model", expect=1)

    def ask(question: str, *, model: str) -> dict[str, Any]:
        return answer(model=model)

    asked = policy(ask)
    asked("?", model="free")
    with pytest.raises(errors.BudgetExceeded):
        asked("a question that is longer than ten bytes", model="other")
    assert policy.status("free")["tokens"].left is None


@unary_shapes
def test_several_budgets(harness: Harness) -> None:
    """What the outer has set aside is given back when the inner refuses."""
    outer, inner = budget(tokens=100_000), budget(requests=0)
    run = harness.run([outer, inner], "never")
    assert isinstance(run.error, errors.BudgetExceeded)
    assert spent(outer) == (0, 0)


@every_shape
def test_failures_before_any_work_cost_nothing(harness: Harness) -> None:
    """But they are requests."""
    policy = budget(tokens=100_000, requests=5)
    harness.run(policy, ConnectionError())
    assert policy.status()["tokens"][1:3] == (0, 0)
    assert policy.status()["requests"][1:3] == (1, 0)


@stream_shapes
def test_a_stream_that_is_left_is_estimated(harness: Harness) -> None:
    """What has arrived is paid."""
    policy = budget(output_tokens=100_000)
    subject = harness.guard(policy, chunks(["one two three"] * 4))
    with FakeRuntime():
        subject.call(take=2)
    used, reserved = spent(policy)
    assert 3 <= used <= 12
    assert reserved == 0


@stream_shapes
def test_a_stream_is_cut_at_the_limit(harness: Harness) -> None:
    """The error comes in place of what does not fit; partial text is kept; spent <= limit."""
    policy = budget(output_tokens=30)
    run = harness.run(policy, chunks(["one two three "] * 100, output_tokens=301))
    assert isinstance(run.error, errors.BudgetExceeded)
    kept = errors.partial(run.error)
    assert kept is not None
    assert kept.text.startswith("one two three ")
    used, reserved = spent(policy)
    assert 20 <= used <= 30
    assert reserved == 0


@stream_shapes
def test_a_stream_that_is_cut_at_its_first_item_has_cost_something(harness: Harness) -> None:
    """The provider was asked and has answered: nobody gets that for nothing, again and again."""
    policy = budget(output_tokens=2, requests=5)
    run = harness.run(policy, chunks(["one two three four"] * 3, output_tokens=12))
    assert isinstance(run.error, errors.BudgetExceeded)
    standing = policy.status()
    assert standing["output_tokens"].used >= 2
    assert standing["requests"].used == 1
    assert isinstance(harness.run(policy, "never").error, errors.BudgetExceeded)


def test_a_stream_beyond_the_bound_of_its_request_is_cut_at_the_limit() -> None:
    """Once a provider has gone past what it was told, its bound promises nothing any more."""
    policy = budget(output_tokens=1000)
    endless = [*chunks(["word "] * 3000)[:-1]]  # tells no usage

    @policy
    def ask(*, max_tokens: int) -> Any:
        return fake(max_tokens=max_tokens)

    fake = ScriptedModel(endless).shape("returns_stream")
    with pytest.raises(errors.BudgetExceeded):
        list(ask(max_tokens=100))
    used, reserved = spent(policy)
    assert 900 <= used <= 1000
    assert reserved == 0


@stream_shapes
def test_a_stream_longer_than_expected_sets_more_aside(harness: Harness) -> None:
    """Nothing is refused while there is something left."""
    policy = budget(output_tokens=2000, expect=10)
    run = harness.run(policy, chunks(["one two three "] * 100, output_tokens=301))
    assert run.error is None
    assert spent(policy) == (301, 0)


@unary_shapes
def test_an_unbounded_answer_is_booked_in_full(harness: Harness) -> None:
    """It may exceed by itself, and says so."""
    policy = budget(output_tokens=100)
    with report() as told:
        run = harness.run(policy, answer(output_tokens=500))
    assert run.error is None
    assert spent(policy) == (500, 0)
    over = [e for call in told.calls for e in call.events if isinstance(e, events.BudgetOverrun)]
    assert [(e.unit, e.over, e.used, e.limit) for e in over] == [("output_tokens", 400, 500, 100)]


def test_expected_is_learned() -> None:
    """After some answers the 99th percentile of their lengths is set aside, no more."""
    policy = budget(output_tokens=100_000)
    seen: list[Any] = []

    def ask() -> dict[str, Any]:
        seen.append(policy.status()["output_tokens"].reserved)
        return answer(output_tokens=40)

    for _ in range(40):
        policy(ask)()
    assert (seen[0], seen[-1]) == (2048, 40)


def test_thresholds_are_told_once() -> None:
    """Each percent once in a window, to the listeners and to on_threshold."""
    told: list[Any] = []
    policy = budget(
        requests=10, per="minute", thresholds=(50, 80), on_threshold=told.append, name="n"
    )
    ask = policy(ScriptedModel(*[answer()] * 30).shape("sync"))
    with FakeRuntime() as time, report() as seen:
        for _ in range(10):
            ask("?")
        time.advance(60)
        for _ in range(5):
            ask("?")
    assert [(each.percent, each.used, each.limit) for each in told] == [
        (50, 5, 10),
        (80, 8, 10),
        (50, 5, 10),
    ]
    heard = [e for c in seen.calls for e in c.events if isinstance(e, events.BudgetThreshold)]
    assert [each.percent for each in heard] == [50, 80, 50]


def test_events_tell_what_was_charged() -> None:
    """One for each unit."""
    policy = budget(usd=1, tokens=10_000, name="n")
    with report() as seen:
        policy(ScriptedModel(answer()).shape("sync"))("?")
    charged = [e for c in seen.calls for e in c.events if isinstance(e, events.BudgetCharged)]
    assert [(e.budget, e.unit, e.amount) for e in charged] == [
        ("n", "usd", Decimal("0.000021")),
        ("n", "tokens", 110),
    ]


def test_a_model_without_a_price() -> None:
    """It is refused, or passes with a warning; with a price of one's own it counts."""

    def ask(*, model: str) -> dict[str, Any]:
        return answer(model=model)

    with pytest.raises(errors.BudgetExceeded, match="no price is known"):
        budget(usd=1)(ask)(model="mine")
    lenient = budget(usd=1, unpriced="pass")
    with pytest.warns(UserWarning, match="no price is known"):
        lenient(ask)(model="mine")
    assert spent(lenient) == (0, 0)
    prices.add("mine", input=1, output=1)
    policy = budget(usd=1)
    policy(ask)(model="mine")
    assert spent(policy) == (Decimal("0.00011"), 0)


def test_what_a_budget_books_and_a_report_tells_is_one_figure() -> None:
    """Also where an answer names no model, and others of the same callable did; told once."""
    answers = [answer(), answer(model="")]
    policy = budget(usd=1)
    ask = policy(lambda: answers.pop(0))
    with usage() as u:
        ask()
        ask()
    assert u.cost == spent(policy)[0] > 0
    assert u.by("model")[MODEL].requests == 2

    heard: list[events.Event] = []
    strange = guard(on_event(events.Unpriced, heard.append), budget(usd=1, unpriced="pass"))(
        lambda model: answer(model=model)
    )
    with usage() as u, pytest.warns(UserWarning, match="no price is known"):
        strange(model="mine")
    assert u.cost is None
    assert len(heard) == 1


@unary_shapes
def test_wait(harness: Harness) -> None:
    """Until the window renews, exactly, and not past a deadline."""
    policy = budget(requests=1, per="minute", exceeded="wait")
    with FakeRuntime() as time:
        subject = harness.guard(policy, answer(), answer())
        subject.call()
        began = time.time()
        run = subject.call()
        assert run.error is None
        assert time.time() % 60 == pytest.approx(0, abs=1e-3)
        assert time.time() - began <= 60


@unary_shapes
def test_it_does_not_wait_in_vain(harness: Harness) -> None:
    """Past a deadline, or for what would never fit: refused at once."""
    policy = budget(requests=1, per="minute", exceeded="wait")
    with FakeRuntime() as time:
        subject = harness.guard([timeout(total=0.001), policy], answer(), "never")
        subject.call()
        began = time.time()
        assert isinstance(subject.call().error, errors.BudgetExceeded)
        never = budget(output_tokens=0, per="minute", exceeded="wait")
        assert isinstance(harness.run(never, "never").error, errors.BudgetExceeded)
        assert time.time() == began


@pytest.mark.parametrize("place", ["memory", "sqlite"])
async def test_it_waits_for_calls_under_way(place: str, tmp_path: Any) -> None:
    """What they have set aside comes back before the budget renews, and is waited for a little at a time."""
    store: Any = MemoryLedger() if place == "memory" else f"sqlite:///{tmp_path / 'b.db'}"
    policy = budget(output_tokens=100, per="24h", exceeded="wait", store=store, name="n")
    policy.warm(None)
    order: list[int] = []
    began = asyncio.Event()

    @policy
    async def ask(number: int, *, max_tokens: int) -> Any:
        order.append(number)
        began.set()
        await asyncio.sleep(0.05)
        return answer(output_tokens=max_tokens // 2)

    first = asyncio.create_task(ask(1, max_tokens=100))
    await began.wait()
    async with asyncio.timeout(20):
        await asyncio.gather(first, ask(2, max_tokens=40))
    assert order == [1, 2]
    assert policy.status()["output_tokens"][1:3] == (70, 0)
    policy.ledger.close()


@pytest.mark.parametrize("exceeded", ["wait", "raise"])
async def test_a_call_that_expects_more_than_the_limit_waits_for_others(exceeded: Any) -> None:
    """It can be told to be short: what is in its way are the calls under way, not its length."""
    policy = budget(output_tokens=100, per="30m", exceeded=exceeded, expect=2048)
    began = asyncio.Event()

    @policy
    async def ask() -> Any:
        began.set()
        await asyncio.sleep(0.05)
        return answer(output_tokens=10)

    first = asyncio.create_task(ask())
    await began.wait()
    async with asyncio.timeout(20):
        if exceeded == "wait":
            await ask()
        else:
            with pytest.raises(errors.BudgetExceeded, match="calls under way hold") as caught:
                await ask()
            assert caught.value.retry_after is not None
            assert 0 < caught.value.retry_after <= 1  # less where the half hour is nearly over
            assert caught.value.least == 1
        await first


@pytest.mark.parametrize("unit", ["usd", "tokens", "output_tokens"])
@pytest.mark.parametrize("asked", [1, 2, 7, 500])
def test_the_least_is_what_a_call_can_be_shortened_to(unit: str, asked: int) -> None:
    """With so much left it is let through, and with a unit less it is refused: nobody waits in vain."""
    from agentguard.budgeting.limits import units

    def run(limit: Any) -> None:
        policy = budget(**{unit: limit}, per="30m")
        fake = ScriptedModel(answer(output_tokens=1)).shape("sync")
        policy(fake)(model=MODEL, messages=[{"role": "user", "content": "hi"}], max_tokens=asked)

    with pytest.raises(errors.BudgetExceeded) as caught:
        run(0)
    least = caught.value.least
    assert least is not None
    run(least)
    one = Decimal(1) / 10**9 if unit == "usd" else 1
    assert units(unit, least - one) < units(unit, least)
    with pytest.raises(errors.BudgetExceeded):
        run(least - one)


@every_shape
def test_another_answers_instead(harness: Harness) -> None:
    """A callable, which is not counted."""
    policy = budget(requests=1, exceeded=harness.target(served(harness)))
    subject = harness.guard(policy, served(harness), "never")
    subject.call()  # only then is it known that a plain function hands back an awaitable
    assert subject.call().error is None
    assert len(subject.model.calls) == 1
    assert spent(policy) == (1, 0)


def test_another_model_instead() -> None:
    """The same call with other arguments, counted at its price."""

    def ask(question: str, *, model: str = "gpt-4o") -> dict[str, Any]:
        return answer(model=model)

    limits = {"gpt-4o": 0, "gpt-4o-mini": 5}
    policy = budget(requests=limits, by="model", exceeded={"model": "gpt-4o-mini"})
    assert policy(ask)("?", model="gpt-4o")["model"] == "gpt-4o-mini"
    assert spent(policy, "gpt-4o-mini") == (1, 0)


def test_status_reset_grant() -> None:
    """What operators need."""
    policy = budget(requests=1, by="user", missing="shared")
    ask = policy(ScriptedModel(*[answer()] * 9).shape("sync"))
    with context(user="ann"):
        ask("?")
        with pytest.raises(errors.BudgetExceeded):
            ask("?")
        policy.grant("ann", requests=1)
        ask("?")
        policy.reset("ann")
        assert policy.status("ann")["requests"].left == 1
        ask("?")
    with pytest.raises(TypeError, match="has no usd="):
        policy.grant("ann", usd=1)
    with pytest.raises(TypeError, match="takes amounts by unit"):
        policy.grant("ann")


@pytest.mark.parametrize("ask", [Budget.status, Budget.reset, lambda b: b.grant(requests=1)])
def test_a_budget_by_key_is_asked_whose(ask: Any) -> None:
    """Without a key it would answer with zeros, or grant to nobody, and nobody would notice."""
    with pytest.raises(TypeError, match=r"say whose, as in status\('ann'\)"):
        ask(budget(requests=1, by="user"))
    ask(budget(requests=1, by="user", missing="shared"))
    ask(budget(requests=1))


def test_what_a_dead_store_does() -> None:
    """Calls are refused by default; they pass if asked. Always an event, and asked once a call."""
    asked = []

    class Down(MemoryLedger):
        def reserve_all(self, *_: Any, **__: Any) -> Any:
            asked.append("reserve")
            raise StoreUnavailable("down")

        def settle_all(self, *_: Any, **__: Any) -> Any:
            asked.append("settle")
            raise StoreUnavailable("down")

    ask = budget(requests=1, name="n", store=Down())(ScriptedModel(answer()).shape("sync"))
    with report() as seen, pytest.raises(errors.BudgetExceeded, match=r"reach its store.*\(down\)"):
        ask("?")
    (failed,) = (e for c in seen.calls for e in c.events if isinstance(e, events.StoreFailed))
    assert failed.then == "calls are refused"
    lenient = budget(requests=1, name="n", store=Down(), on_store_failure="pass")
    lenient(ScriptedModel(answer()).shape("sync"))("?")
    assert asked == ["reserve", "reserve"]


def test_long_budgets_say_that_they_count_this_process() -> None:
    """Once."""
    with pytest.warns(UserWarning, match="counts this process only"):
        budget(usd=1, per="day", name="told once")
    budget(usd=1, per="day", name="told once")
    budget(usd=1, per="day", name="has a store", store=MemoryLedger())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs a limit"),
        ({"usd": "5"}, "is a number"),
        ({"usd": -1}, "zero or more"),
        ({"tokens": 1.5}, "whole number"),
        ({"tokens": 1, "per": "fortnight"}, "rolling window"),
        ({"tokens": 1, "tz": "Mars/Base"}, "time zone"),
        ({"tokens": 1, "store": MemoryLedger()}, "needs name="),
        ({"tokens": {"a": 1}}, "needs by="),
        ({"tokens": 1, "exceeded": "explode"}, "answers instead"),
        ({"tokens": 1, "missing": "ignore"}, "missing="),
        ({"max_tokens": 1}, "write tokens="),
    ],
)
def test_bad_arguments(options: dict[str, Any], said: str) -> None:
    """Each says what to write instead."""
    with pytest.raises((TypeError, ValueError), match=said):
        budget(**options)


def test_threads_race_to_the_last_unit() -> None:
    """32 threads: exactly as many calls pass as there is room for."""
    policy = budget(requests=100)
    lock, made = threading.Lock(), [0]

    @policy
    def ask() -> dict[str, Any]:
        with lock:
            made[0] += 1
        return answer()

    def worker(_: int) -> int:
        passed = 0
        for _ in range(10):
            try:
                ask()
            except errors.BudgetExceeded:
                continue
            passed += 1
        return passed

    with ThreadPoolExecutor(32) as pool:
        passed = sum(pool.map(worker, range(32)))
    assert passed == made[0] == 100
    assert spent(policy) == (100, 0)


def test_loops_race_to_the_last_unit() -> None:
    """Four event loops in threads, over one policy object."""
    policy = budget(tokens=15 * 50, expect=10)

    @policy
    async def ask(prompt: str) -> dict[str, Any]:
        await asyncio.sleep(0)
        return answer(input_tokens=5)

    async def many() -> int:
        tasks = [ask("one two three four five six seven") for _ in range(40)]
        done = await asyncio.gather(*tasks, return_exceptions=True)
        return sum(isinstance(each, dict) for each in done)

    with ThreadPoolExecutor(4) as pool:
        passed = sum(pool.map(lambda _: asyncio.run(many()), range(4)))
    used, reserved = spent(policy)
    assert used == passed * 15 <= 750
    assert reserved == 0


def test_an_agents_calls_in_threads_share_its_request() -> None:
    """per="request" holds for all that one call does, in threads too."""
    policy = budget(requests=5, per="request")
    inner = guard(retry(budget=None))(answer)

    @policy
    def agent() -> int:
        with ThreadPoolExecutor(8) as pool:
            results = [pool.submit(carry(inner)) for _ in range(16)]
        return sum(each.exception() is None for each in results)

    assert agent() == 5


def test_a_dropped_budget_leaves_no_cycle() -> None:
    """A call leaves nothing that only the collector could free."""
    import gc
    import weakref

    class Answer(dict[str, Any]):
        pass

    policy = budget(tokens=1000)
    gc.disable()
    try:
        given = policy(lambda: Answer(answer()))()
        known = weakref.ref(given)
        del given
        assert known() is None
    finally:
        gc.enable()


def test_subjects_are_described() -> None:
    """The repr is as it was written, without a mapping's keys."""
    assert repr(budget(usd=5, per="minute")) == "budget(usd=5, per='minute')"
    assert "ann" not in repr(budget(usd={"ann": 5}, by="user"))


def test_it_keeps_the_contract_of_policies() -> None:
    """Every shape, cancelled at every await, threads and loops at once."""
    check_policy(lambda: budget(tokens=10**9, requests=10**6))
    check_policy(lambda: budget(usd=10**6, per="request"))


def test_the_refusal_crosses_processes() -> None:
    """With all that it says."""
    with pytest.raises(errors.BudgetExceeded) as caught:
        budget(requests=0, per="minute", name="n")(answer)()
    copy = pickle.loads(pickle.dumps(caught.value))
    told = ("budget", "unit", "used", "limit", "asked", "retry_after")
    assert [getattr(copy, each) for each in told] == [getattr(caught.value, each) for each in told]
    assert str(copy) == str(caught.value)


@pytest.mark.filterwarnings("ignore:budget cannot act")
def test_text_alone_is_estimated_and_said_to_be_blind() -> None:
    """No model call is seen in it: the policy does what it can, and the engine says so."""
    policy = budget(tokens=1000)
    with report() as told:
        policy(lambda question: "one two three")("four five six")
    assert any(isinstance(each, events.Blind) for call in told.calls for each in call.events)
    assert 6 <= policy.used <= 40
    assert policy.status()["tokens"].reserved == 0


def test_describe() -> None:
    """The limits, the window, and where the spend is kept."""
    shown = describe(budget(usd=5, per="minute", by="user")(answer))["policies"][0]
    assert shown["name"] == "budget"
    told = dict(shown["settings"]) if "settings" in shown else shown
    assert str(told["usd"]) == "5"
    assert told["state"] == "this process's memory"


def test_another_answers_the_first_call_of_what_hands_back_an_awaitable() -> None:
    """The budget is used up before the function was ever called."""

    async def backup(question: str) -> dict[str, Any]:
        return answer()

    async def ask(question: str) -> dict[str, Any]:
        return answer()

    policy = budget(requests=0, exceeded=backup)
    asked = policy(lambda question: ask(question))  # noqa: PLW0108
    assert asyncio.run(_awaited(asked("?")))["model"] == MODEL


async def _awaited(pending: Any) -> Any:
    return await pending


def test_an_async_callable_cannot_answer_for_a_sync_one() -> None:
    """It is refused where it is written."""

    async def backup() -> dict[str, Any]:
        return answer()

    with pytest.raises(TypeError, match="asynchronous and cannot serve answer"):
        budget(requests=0, exceeded=backup)(answer)
