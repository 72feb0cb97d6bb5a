"""What a breaker does to calls of every shape, on virtual time."""

from __future__ import annotations

import asyncio
import gc
import pickle
import weakref
from datetime import UTC, datetime, timedelta

import pybreaker
import pytest

from agentguard import Policy, errors, events, guard, report
from agentguard.policies.breaker import breaker
from agentguard.policies.retry import retry
from agentguard.testing import FakeRuntime, ScriptedModel, Stall
from tests.shapes import Harness, every_shape, stream_shapes, unary_shapes

DOWN = ConnectionError("refused")


class HTTPError(Exception):
    """As an SDK's: a status and headers."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(f"status {status}")
        self.status_code = status
        self.response = type("Response", (), {"status_code": status, "headers": headers})()


@every_shape
def test_it_opens_after_fail_max_failures_and_refuses(harness: Harness) -> None:
    """The provider's own errors come out, then calls are refused without reaching it."""
    subject = harness.guard(breaker(fail_max=2), DOWN, DOWN, "never")
    with FakeRuntime():
        assert [subject.call().error for _ in range(2)] == [DOWN, DOWN]
        refused = subject.call()
    assert isinstance(refused.error, errors.CircuitOpen)
    assert isinstance(refused.error, pybreaker.CircuitBreakerError)
    assert refused.error.retry_after == 60
    assert refused.calls == []
    assert len(refused.heard(events.CircuitRejected)) == 1


@every_shape
def test_a_trial_closes_it_again(harness: Harness) -> None:
    """After reset_timeout one call passes; its success closes the circuit, and events say so."""
    policy = breaker(fail_max=1, reset_timeout=30)
    subject = harness.guard(policy, DOWN, "back", "again")
    with FakeRuntime() as time:
        assert subject.call().heard(events.CircuitOpened)[0].seconds == 30
        time.advance(29)
        assert isinstance(subject.call().error, errors.CircuitOpen)
        time.advance(1)
        trial = subject.call()
        assert trial.text == "back"
        assert subject.call().text == "again"
    kinds = [type(event) for event in trial.events if "Circuit" in type(event).__name__]
    assert kinds == [events.CircuitHalfOpened, events.CircuitClosed]
    assert list(policy.states().values()) == ["closed"]


@every_shape
def test_a_failed_trial_opens_it_for_longer_each_time(harness: Harness) -> None:
    """growth= multiplies the open time per opening in a row, and a success starts over."""
    subject = harness.guard(
        breaker(fail_max=1, reset_timeout=10, growth=3, max_reset_timeout=50),
        *[DOWN] * 4,
        "back",
        DOWN,
    )
    lengths = []
    with FakeRuntime() as time:
        for _ in range(4):
            lengths.append(subject.call().heard(events.CircuitOpened)[0].seconds)
            time.advance(lengths[-1])
        assert subject.call().text == "back"
        lengths.append(subject.call().heard(events.CircuitOpened)[0].seconds)
    assert lengths == [10, 30, 50, 50, 10]


@every_shape
def test_success_threshold_trials_close_it(harness: Harness) -> None:
    """As many trials as success_threshold must succeed in a row."""
    policy = breaker(fail_max=1, success_threshold=2)
    subject = harness.guard(policy, DOWN, "one", "two")
    with FakeRuntime() as time:
        subject.call()
        time.advance(60)
        subject.call()
        assert list(policy.states().values()) == ["half-open"]
        subject.call()
        assert list(policy.states().values()) == ["closed"]


@pytest.mark.parametrize("headers", [{"retry-after": "7"}, {"retry-after-ms": "7000"}])
def test_retry_after_sets_the_open_time(headers) -> None:
    """The provider's own figure takes the place of reset_timeout."""
    subject = Harness("sync").guard(breaker(fail_max=2), DOWN, HTTPError(429, **headers), "back")
    with FakeRuntime() as time:
        subject.call()
        assert subject.call().heard(events.CircuitOpened)[0].seconds == 7
        time.advance(6.5)
        assert subject.call().error.retry_after == 0.5
        time.advance(0.5)
        assert subject.call().text == "back"


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (HTTPError(429), True),
        (HTTPError(503), True),
        (HTTPError(500), True),
        (HTTPError(408), True),
        (TimeoutError(), True),
        (DOWN, True),
        (errors.StreamTruncated("cut"), True),
        (errors.ProviderError("billing", kind="quota_exhausted"), True),
        (RuntimeError("who knows"), True),
        (HTTPError(401), False),
        (HTTPError(400), False),
        (HTTPError(422), False),
        (errors.ProviderError("too long", kind="context_length"), False),
        (errors.ProviderError("filtered", kind="content_filter"), False),
        (errors.CircuitOpen("an inner one"), False),
        (pybreaker.CircuitBreakerError("an inner one"), False),
        (errors.Overloaded("full"), False),
        (errors.BudgetExceeded("spent"), False),
        (errors.InputRejected("no"), False),
        (errors.OutputRejected("no"), False),
        (asyncio.CancelledError(), False),
        (KeyboardInterrupt(), False),
        (SystemExit(), False),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_failures_count_by_kind(error, counts) -> None:
    """The provider's failures open a circuit; requests at fault, refusals and exits do not."""
    policy = breaker(fail_max=1)
    run = Harness("sync").run(policy, error)
    assert run.error is error
    assert list(policy.states().values()) == ["open" if counts else "closed"]


@every_shape
def test_neutral_outcomes_neither_reset_nor_count(harness: Harness) -> None:
    """A bad request between two failures does not interrupt their row, as in no other breaker."""
    policy = breaker(fail_max=2)
    subject = harness.guard(policy, DOWN, HTTPError(400), DOWN)
    for _ in range(3):
        subject.call()
    assert list(policy.states().values()) == ["open"]


def test_a_neutral_trial_gives_its_permit_back() -> None:
    """A bad request at half-open neither closes the circuit nor keeps the next trial out."""
    policy = breaker(fail_max=1)
    subject = Harness("sync").guard(policy, DOWN, HTTPError(400), "back")
    with FakeRuntime() as time:
        subject.call()
        time.advance(60)
        subject.call()
        assert list(policy.states().values()) == ["half-open"]
        assert subject.call().text == "back"


@pytest.mark.parametrize(
    "exclude", [[OSError], [lambda error: "refused" in str(error)], OSError, (OSError, KeyError)]
)
def test_what_is_excluded_is_neutral(exclude) -> None:
    """Types and predicates as pybreaker's, but neither failure nor success."""
    policy = breaker(fail_max=1, exclude=exclude)
    Harness("sync").run(policy, DOWN)
    assert list(policy.states().values()) == ["closed"]


def test_a_predicate_that_raises_excludes_nothing(caplog) -> None:
    """Its error is logged, the provider's comes out, and the failure counts."""
    policy = breaker(fail_max=1, exclude=[lambda error: error.no_such_attribute])
    assert Harness("sync").run(policy, DOWN).error is DOWN
    assert list(policy.states().values()) == ["open"]
    assert "a predicate of breaker(exclude=)" in caplog.text


@stream_shapes
def test_a_stream_is_judged_at_its_end(harness: Harness) -> None:
    """A stream that fails after its first items is a failure, and only then."""
    policy = breaker(fail_max=1)
    run = harness.run(policy, ["one", "two", DOWN])
    assert run.items == ["one", "two"]
    assert run.error is DOWN
    assert list(policy.states().values()) == ["open"]


@stream_shapes
@pytest.mark.parametrize("drop", [False, True], ids=["closed", "dropped"])
def test_a_reader_that_stops_early_is_neutral(harness: Harness, drop) -> None:
    """In pybreaker a `break` is a failure: here it is nothing, and a trial's permit is free."""
    policy = breaker(fail_max=1)
    subject = harness.guard(policy, ["a", "b", "c"], DOWN, ["a", "b"], "back")
    with FakeRuntime() as time:
        subject.call(read=1, drop=drop)
        assert list(policy.states().values()) == ["closed"]
        subject.call()
        time.advance(60)
        subject.call(read=1, drop=drop)
        assert list(policy.states().values()) == ["half-open"]
        assert subject.call().text == "back"
    assert list(policy.states().values()) == ["closed"]


@pytest.mark.parametrize("shape", ["generator", "returns_stream"])
def test_calls_begun_before_a_transition_do_not_vote(shape) -> None:
    """A stream that outlives an outage neither reopens a closed circuit nor closes an open one."""
    policy = breaker(fail_max=1)
    model = ScriptedModel(["late", "fails", DOWN], ["late", "succeeds"], DOWN, "back", "fine")
    ask = policy(model.shape(shape))
    with FakeRuntime() as time:
        fails, succeeds = iter(ask()), iter(ask())
        assert [next(fails), next(succeeds)] == ["late", "late"]
        with pytest.raises(ConnectionError):
            list(ask())
        assert list(succeeds) == ["succeeds"]
        assert list(policy.states().values()) == ["open"]
        time.advance(60)
        assert "".join(ask()) == "back"
        with pytest.raises(ConnectionError):
            list(fails)
    assert list(policy.states().values()) == ["closed"]


@stream_shapes
def test_the_first_token_is_the_slow_call_clock(harness: Harness) -> None:
    """A stream that begins fast is not slow however long it goes on; one that begins late is."""
    settings = {"slow_call": 5, "window": 10, "minimum_calls": 2}
    for entry, state in (
        (["fast", Stall(50), "end"], "closed"),
        ([Stall(6), "slow", "end"], "open"),
    ):
        policy = breaker(**settings)
        subject = harness.guard(policy, entry, repeat_last=True)
        for _ in range(2):
            assert subject.call().error is None
        assert list(policy.states().values()) == [state]


@unary_shapes
def test_a_slow_answer_is_slow_as_a_whole(harness: Harness) -> None:
    """Of a unary call the whole duration is the clock; a slow trial opens the circuit again."""
    policy = breaker(slow_call=5, minimum_calls=2)
    subject = harness.guard(policy, [Stall(5), "slow"], repeat_last=True)
    with FakeRuntime() as time:
        subject.call()
        subject.call()
        assert list(policy.states().values()) == ["open"]
        time.advance(60)
        assert subject.call().text == "slow"
    assert list(policy.states().values()) == ["open"]


@pytest.mark.parametrize("window", [10, "60s", timedelta(seconds=60)])
def test_a_failure_rate_opens_it_where_no_row_would(window) -> None:
    """Every other call failing is no row of failures, but a rate of a half."""
    policy = breaker(failure_rate=0.5, window=window, minimum_calls=6)
    subject = Harness("sync").guard(policy, *["ok", DOWN] * 3)
    states = []
    for _ in range(6):
        subject.call()
        states += policy.states().values()
    assert states == ["closed"] * 5 + ["open"]


def test_with_a_rate_a_row_of_failures_alone_does_not_open_it() -> None:
    """fail_max has no default beside a rate, but may be passed."""
    for given, state in (({}, "closed"), ({"fail_max": 5}, "open")):
        policy = breaker(failure_rate=0.9, minimum_calls=50, **given)
        subject = Harness("sync").guard(policy, DOWN, repeat_last=True)
        for _ in range(9):
            subject.call()
        assert list(policy.states().values()) == [state]


def test_an_old_failure_leaves_a_time_window() -> None:
    """Failures of ten minutes ago do not open a circuit today."""
    policy = breaker(failure_rate=0.5, window="60s", minimum_calls=2)
    subject = Harness("sync").guard(policy, DOWN, "ok", "ok", DOWN)
    with FakeRuntime() as time:
        for _ in range(4):
            subject.call()
            time.advance(600)
    assert list(policy.states().values()) == ["closed"]


@every_shape
def test_modes_by_hand(harness: Harness) -> None:
    """force_open refuses, disable and observe_only let pass, resume leaves it to the circuit."""
    policy = breaker(fail_max=2)
    subject = harness.guard(policy, "ok", DOWN, DOWN, DOWN, DOWN, "ok")
    assert subject.call().text == "ok"
    policy.force_open()
    forced = subject.call()
    assert isinstance(forced.error, errors.CircuitOpen)
    assert forced.error.retry_after is None
    policy.disable()
    assert [subject.call().error for _ in range(2)] == [DOWN, DOWN]
    policy.observe_only()
    runs = [subject.call() for _ in range(3)]
    assert [run.error for run in runs] == [DOWN, DOWN, None]
    assert len(runs[1].heard(events.CircuitOpened)) == 1
    assert len(runs[2].heard(events.CircuitRejected)) == 1
    policy.resume()
    assert isinstance(subject.call().error, errors.CircuitOpen)


def test_the_first_call_after_a_move_by_hand_tells_of_it_once() -> None:
    """Metrics and alerts learn that a circuit was closed by hand, and not that it was closed before."""
    policy = breaker(fail_max=1)
    model = ScriptedModel(ConnectionError("down"), "answer", repeat_last=True)
    with FakeRuntime(), report() as told:
        ask = policy(model.sync)
        with pytest.raises(ConnectionError):
            ask()
        policy.close()
        ask()
        ask()
        policy.close()
        ask()
        policy.open()
        with pytest.raises(errors.CircuitOpen):
            ask()
    moved = [
        type(event).__name__
        for call in told.calls
        for event in call.events
        if type(event).__name__.startswith("Circuit")
    ]
    assert moved == ["CircuitOpened", "CircuitClosed", "CircuitOpened", "CircuitRejected"]


def test_open_and_close_by_hand() -> None:
    """open() lets trials through after its time as any opening does; close() forgets failures."""
    policy = breaker(fail_max=2)
    subject = Harness("sync").guard(policy, "ok", "back", DOWN, DOWN)
    with FakeRuntime() as time:
        subject.call()
        policy.open(5)
        assert subject.call().error.retry_after == 5
        time.advance(5)
        assert subject.call().text == "back"
        subject.call()
        policy.close()
        subject.call()
        assert list(policy.states().values()) == ["closed"]


def test_one_circuit_a_function() -> None:
    """One breaker on two functions keeps them apart where no provider is visible."""
    policy = breaker(fail_max=1)
    ill = policy(ScriptedModel(DOWN, name="ill").sync)
    well = policy(ScriptedModel("ok", name="well").sync)
    with pytest.raises(ConnectionError):
        ill("?")
    assert well("?") == "ok"
    assert policy.states() == {"ill": "open", "well": "closed"}


def test_of_two_circuits_of_one_name_the_open_one_is_shown() -> None:
    """A health check must not miss it."""
    policy = breaker(fail_max=1)
    well, ill = (policy(ScriptedModel(entry, name="ask").sync) for entry in ("ok", DOWN))
    with pytest.raises(ConnectionError):
        ill("?")
    assert well("?") == "ok"
    assert policy.states() == {"ask": "open"}


def test_one_circuit_a_key() -> None:
    """key= splits and joins circuits as the user says."""
    policy = breaker(fail_max=1, key=lambda call: call.kwargs["region"])
    model = ScriptedModel(DOWN, "ok", name="ask")
    ask = policy(model.sync)
    with pytest.raises(ConnectionError):
        ask("?", region="eu")
    assert ask("?", region="us") == "ok"
    with pytest.raises(errors.CircuitOpen, match="'eu'"):
        ask("?", region="eu")


def test_an_unhashable_key_is_refused() -> None:
    """The message says whose fault it is."""
    ask = breaker(key=lambda call: call.args[0])(lambda prompt: "ok")
    with pytest.raises(
        TypeError, match=r"breaker\(key=\) must return something hashable, not list"
    ):
        ask([1])


def test_the_number_of_circuits_is_bounded_and_open_ones_are_kept() -> None:
    """Beyond max_circuits a quiet circuit is forgotten, which loses nothing."""
    policy = breaker(fail_max=1, max_circuits=3, key=lambda call: call.args[0])
    model = ScriptedModel(DOWN, "ok", repeat_last=True)
    ask = policy(model.sync)
    with pytest.raises(ConnectionError):
        ask(0)
    for key in range(1, 50):
        ask(key)
    assert len(policy.states()) == 3
    assert policy.states()["0"] == "open"


def test_the_circuits_of_a_provider_are_kept_by_model() -> None:
    """Two functions of one SDK client share the circuit of a model; another model has its own."""
    import openai

    client = openai.OpenAI(api_key="test-key", base_url="http://127.0.0.1:9/v1", max_retries=0)
    policy = breaker(fail_max=1)
    one, two = (policy(client.chat.completions.create) for _ in range(2))
    with pytest.raises(openai.APIConnectionError):
        one(model="a", messages=[])
    with pytest.raises(errors.CircuitOpen):
        two(model="a", messages=[])
    with pytest.raises(openai.APIConnectionError):
        two(model="b", messages=[])
    assert policy.states() == {
        "openai a at 127.0.0.1": "open",
        "openai b at 127.0.0.1": "open",
    }


def test_a_circuit_keeps_no_object_alive_that_was_called() -> None:
    """A copy of a client made for one request goes with it, and its key too."""

    class AsyncClient:
        def ask(self) -> str:
            return "ok"

    policy = breaker()
    known = []
    for _ in range(5):
        client = AsyncClient()
        known.append(weakref.ref(client))
        policy(client.ask)()
    del client
    gc.collect()
    assert [each() for each in known] == [None] * 5
    assert len(policy.states()) == 1


def test_guards_derived_from_one_share_its_state() -> None:
    """State belongs to the policy object, whatever `.with_` and `.without` make of the guard."""
    policy = breaker(fail_max=1)
    model = ScriptedModel(DOWN)
    base = guard(retry(attempts=1), policy)
    with pytest.raises(ConnectionError):
        base(model.sync)("?")
    with pytest.raises(errors.CircuitOpen):
        base.without("retry")(model.sync)("?")


def test_the_rejection_pickles_and_says_what_to_do() -> None:
    """It keeps its class, its message, its figures; it holds no prompt."""
    policy = breaker(fail_max=1)
    ask = policy(ScriptedModel(DOWN, name="ask").sync)
    with FakeRuntime():
        with pytest.raises(ConnectionError):
            ask("secret prompt")
        with pytest.raises(errors.CircuitOpen) as caught:
            ask("secret prompt")
    error = caught.value
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.retry_after, again.circuit) == (str(error), 60, "ask")
    assert (again.kind, again.http_status) == ("circuit_open", 503)
    for word in ("'ask'", "1 failures in a row, the last connection", "60.0 s", "fallback("):
        assert word in str(error)
    assert "secret" not in str(error)
    assert f"{type(error).__module__}.{type(error).__qualname__}" == "agentguard.errors.CircuitOpen"


def test_a_nested_open_circuit_does_not_open_the_outer_one() -> None:
    """The inner circuit's refusal says nothing about the outer one's provider."""
    inner_policy, outer_policy = breaker(fail_max=1), breaker(fail_max=1)
    inner = inner_policy(ScriptedModel(DOWN, name="inner").sync)
    with pytest.raises(ConnectionError):
        inner("?")
    outer = outer_policy(lambda: inner("?"))
    for _ in range(3):
        with pytest.raises(errors.CircuitOpen, match="inner"):
            outer()
    assert list(outer_policy.states().values()) == ["closed"]


def test_a_deadline_that_is_over_does_not_count_against_the_provider() -> None:
    """With no time left the provider is not asked, so its circuit learns nothing."""
    from agentguard import deadline

    policy = breaker(fail_max=1)
    ask = policy(ScriptedModel("ok").sync)
    with FakeRuntime() as time:
        with deadline(5):
            time.advance(6)
            with pytest.raises(errors.DeadlineExceeded):
                ask("?")
        assert ask("?") == "ok"


def test_opened_at_is_written_as_pybreaker_reads_it() -> None:
    """opened_at + reset_timeout is when trials begin, whatever set the open time."""
    cb = pybreaker.CircuitBreaker(fail_max=1, reset_timeout=60)
    ask = breaker(cb)(ScriptedModel(HTTPError(429, **{"retry-after": "10"})).sync)
    with FakeRuntime(start=datetime(2030, 1, 1, tzinfo=UTC)):
        with pytest.raises(HTTPError):
            ask("?")
        trial_at = cb._state_storage.opened_at + timedelta(seconds=cb.reset_timeout)
    assert trial_at == datetime(2030, 1, 1, 0, 0, 10, tzinfo=UTC)


def test_no_listener_no_event() -> None:
    """With nobody listening no event is built; with a report around, it has them."""
    policy = breaker(fail_max=1)
    ask = policy(ScriptedModel(DOWN).sync)
    with pytest.raises(ConnectionError), report() as seen:
        ask("?")
    assert [e for e in seen.calls[0].events if isinstance(e, events.CircuitOpened)]


def test_explain_names_the_settings_and_where_the_state_lives() -> None:
    """As data, for `describe`."""
    shown = dict(breaker(fail_max=3, growth=2).explain())
    assert shown["fail_max"] == 3
    assert shown["growth"] == 2
    assert shown["mode"] == "automatic"
    assert shown["state"] == "this process's memory"
    rated = dict(breaker(slow_call=2, window="1m").explain())
    assert (rated["fail_max"], rated["slow_call_rate"], rated["window"]) == (None, 1.0, "1m")


def test_a_policy_outside_sees_the_refusal_as_a_failure() -> None:
    """A refusal is an ordinary exception to the chain around."""

    class Mute(Policy):
        async def around(self, call, next):
            with pytest.raises(errors.CircuitOpen):
                await next(call)
            raise LookupError

    policy = breaker().force_open()
    with pytest.raises(LookupError):
        guard(Mute(), policy)(lambda: "x")()
