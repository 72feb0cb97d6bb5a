"""What a guard takes, refuses, and how it is put together."""

from __future__ import annotations

import asyncio
import warnings

import pytest

from agentguard import Policy, Reply, fallback, guard, observe, retry, timeout
from agentguard.engine.target import Target
from tests.engine.kit import SHAPES, STREAMS, Again, Through, Watch, callables, close, use


def ask(question: str = "") -> str:
    """A plain function."""
    return "a"


# --- putting guards together ------------------------------------------------------------------


def test_outermost_first():
    """guard(a, b) is a(b(call))."""
    log = []

    class Say(Policy):
        def __init__(self, word):
            self.word = word

        async def around(self, call, next):
            log.append(self.word)
            reply = await next(call)
            log.append(self.word.upper())
            return reply

    guard(Say("a"), Say("b"))(ask)()
    assert log == ["a", "b", "B", "A"]
    log.clear()
    Say("a")(Say("b")(ask))()
    assert log == ["a", "b", "B", "A"]


def test_with_and_without():
    """with_ replaces a policy of the same name or adds it innermost; without takes it away."""
    first, second = Watch(), Watch()
    base = guard(Through(), first)
    replaced = base.with_(second)
    assert replaced.policies[1] is second
    assert base.policies[1] is first
    again = Again()
    assert base.with_(again).policies[-1] is again
    assert base.without("watch").policies == base.policies[:1]
    with pytest.raises(ValueError, match="has no 'breaker'"):
        base.without("breaker")
    with pytest.raises(TypeError, match="at least one"):
        base.without("watch", "through")


def test_options_survive_with_and_without():
    """What the guard was told stays with what is derived from it."""
    base = guard(Through(), Watch(), strict=True, strict_streams=False, abandon_after=5)
    for derived in (base.with_(Again()), base.without("watch")):
        assert derived.strict
        assert derived.options.strict_streams is False
        assert derived.options.abandon_after == 5


def test_shown_as_it_is_written():
    """The repr of a guard is how it was written."""
    shown = repr(guard(retry(attempts=2), timeout(30)))
    assert shown == "guard(retry(attempts=2), timeout(30))"
    assert "key" not in repr(guard(fallback(lambda: "sk-test")))


def test_one_guard_for_many_callables():
    """One guard decorates many callables; its policies' state is theirs together."""
    watch = Watch()
    shared = guard(watch)
    for fn in (ask, lambda: "b"):
        shared(fn)()
    assert watch.kinds == ["completed", "completed"]


def test_unsafe_orders():
    """A known wrong order warns, in guards and in stacked decorators, and is refused if strict."""
    with pytest.warns(UserWarning, match="outermost first"):
        guard(retry(), fallback(ask))
    with pytest.raises(ValueError, match="outermost first"):
        guard(retry(), fallback(ask), strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        guard(fallback(ask), retry(), timeout(30), strict=True)
        inner = fallback(lambda question="": "b")(lambda question="": "c")
    with pytest.warns(UserWarning, match="outermost first"):
        retry(inner)


# --- refusals ---------------------------------------------------------------------------------


class Bot:
    """A class with all that is refused."""

    @property
    def answer(self):
        return "a"

    def ask(self):
        return "a"


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (classmethod(ask), "@classmethod on top"),
        (staticmethod(ask), "@staticmethod on top"),
        (Bot.__dict__["answer"], "@property"),
        (Bot, "is a class"),
        (Bot(), "a Bot is not"),
        ("ask", "str"),
        (None, "NoneType"),
        (3, "int"),
        ([ask], "list"),
        (asyncio.Lock(), "Lock"),
    ],
)
@pytest.mark.parametrize("policy", [retry, retry(), guard(retry()), Through(), timeout(30)])
def test_what_is_refused(policy, what, told):
    """What cannot be guarded is a TypeError at once, which says what to write."""
    with pytest.raises(TypeError) as caught:
        policy(what)
    if policy is not retry:
        assert told in str(caught.value)


def test_a_coroutine_object_is_refused():
    """The result of a call is not a callable."""
    pending = callables("a")["coroutine"]()
    with pytest.raises(TypeError, match="coroutine"):
        guard(Through())(pending)
    pending.close()


def test_a_celery_task_is_refused():
    """A Celery task would run without its guard: the order to write is told."""
    celery = pytest.importorskip("celery")
    app = celery.Celery("tests", broker="memory://")

    @app.task
    def task():
        return "a"

    with pytest.raises(TypeError, match=r"under @app\.task"):
        guard(Through())(task)
    assert app.task(Through()(ask), name="asks")() == "a"


def test_parts_of_clients_are_refused():
    """A part of an SDK's client is refused, with what to guard: the client, or a method."""
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(api_key="sk-test", base_url="http://127.0.0.1:9")
    for part in (client.chat, client.chat.completions, client.with_raw_response):
        with pytest.raises(TypeError, match=r"`client = guard\(\.\.\.\)\(client\)`"):
            guard(Through())(part)
    with pytest.raises(TypeError, match=r"retry\(\.\.\.\)\(OpenAI\(\.\.\.\)\)"):
        retry(client)
    with pytest.raises(TypeError, match="no such call"):
        fallback(client)(ask)
    assert callable(guard(Through())(client.chat.completions.create))
    client.close()
    anthropic = pytest.importorskip("anthropic")
    other = anthropic.Anthropic(api_key="sk-test", base_url="http://127.0.0.1:9")
    with pytest.raises(TypeError, match=r"client\.messages\.create"):
        guard(Through())(other.messages)
    other.close()
    fake = pytest.importorskip("langchain_core.language_models.fake_chat_models")
    with pytest.raises(TypeError, match="no such call"):
        fallback(fake.FakeListChatModel(responses=["a"]))(ask)


def test_what_is_no_policy():
    """guard() says how policies are written."""
    with pytest.raises(TypeError, match="with parentheses"):
        guard(retry)
    with pytest.raises(TypeError, match="takes policies"):
        guard(ask)
    with pytest.raises(TypeError, match="takes policies"):
        guard(Through)
    with pytest.raises(TypeError, match="takes policies"):
        guard(3)
    with pytest.raises(TypeError, match=r"guard\(\*policies\)"):
        guard([retry()])
    with pytest.raises(TypeError, match="would guard nothing"), guard(retry()):
        pass
    with pytest.raises(TypeError, match="at least one"):
        guard()
    for wrong in (0, -1, float("nan"), "60"):
        with pytest.raises((TypeError, ValueError)):
            guard(Through(), abandon_after=wrong)


def test_a_policy_may_refuse_a_target():
    """A policy's `check` is asked when a callable is decorated, not when it is called."""

    class Picky(Policy):
        def check(self, target: Target) -> None:
            raise TypeError(target.shape)

    for shape, flag in {"function": "function", "asyncgen": "asyncgen"}.items():
        with pytest.raises(TypeError, match=flag):
            Picky()(callables("a")[shape])


# --- what a policy may do ---------------------------------------------------------------------


def test_waiting_for_something_foreign_in_a_sync_call():
    """A policy that awaits past `call.runtime` breaks in sync calls with an error that says so."""
    cleaned = []

    class Foreign(Policy):
        async def around(self, call, next):
            try:
                await asyncio.sleep(0)
            finally:
                cleaned.append(1)
            return await next(call)

    with pytest.raises(RuntimeError, match=r"call\.runtime"):
        Foreign()(ask)()
    assert cleaned == [1]


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_policy_that_returns_no_reply(shape):
    """A forgotten `await` or `return` is a TypeError that says so, not a strange answer."""

    class NoAwait(Policy):
        async def around(self, call, next):
            return next(call)

    class NoReturn(Policy):
        async def around(self, call, next):
            await next(call)

    for policy, told in ((NoAwait(), "coroutine"), (NoReturn(), "NoneType")):
        with pytest.raises(TypeError, match=told) as caught:
            await use(policy(callables("a")[shape]))
        assert "return await next(call)" in str(caught.value)


async def test_a_policy_may_change_the_call():
    """A policy may pass on another call than it was given."""

    class Louder(Policy):
        async def around(self, call, next):
            return await next(call.replace(args=tuple(map(str.upper, call.args))))

    for shape, fn in {
        "function": lambda q: q,
        "generator": lambda q: iter([q]),
    }.items():
        assert await use(Louder()(fn), "q") == ["Q"], shape


def test_a_call_is_never_changed():
    """`replace` makes another call; the policies outside keep theirs."""
    seen = []

    class Keep(Policy):
        async def around(self, call, next):
            before = (call.args, call.number)
            reply = await next(call)
            seen.append((call.args, call.number) == before)
            return reply

    class Change(Policy):
        async def around(self, call, next):
            return await next(call.replace(args=("x",), number=7))

    assert guard(Keep(), Change())(lambda q: q)("q") == "x"
    assert seen == [True]


@pytest.mark.parametrize("shape", SHAPES)
async def test_attempt_hooks(shape):
    """`on_attempt` sees every attempt before it is made, and how it ended, waiting if it likes."""
    log = []

    class Hooked(Policy):
        async def around(self, call, next):
            async def hook(attempt):
                await call.runtime.sleep(1e-6)
                log.append("begins")
                attempt.on_end(lambda outcome: log.append(outcome.kind))

            return await next(call.on_attempt(hook))

    await use(guard(Hooked(), Again(even_good=True))(callables("a")[shape]))
    ends = "abandoned" if shape in STREAMS else "completed"
    assert log == ["begins", ends, "begins", "completed"]


def test_attempt_hooks_see_nested_and_bypassing_attempts():
    """Attempts of fallback targets and of guarded calls made inside are seen too."""
    seen = []

    class Hooked(Policy):
        async def around(self, call, next):
            return await next(call.on_attempt(lambda a: seen.append(a.call.target.name)))

    inner = Through()(callables("a")["function"])

    def backup():
        return inner()

    def fails():
        raise ConnectionError

    assert guard(Hooked(), fallback(backup))(fails)() == "a"
    assert seen == ["fails", "backup", "function"]
    seen.clear()
    inner()
    assert seen == []


def test_an_attempt_hook_that_raises_refuses():
    """What an attempt hook raises refuses the attempt: the target is not reached."""
    reached, ended = [], []

    class Refuses(Policy):
        async def around(self, call, next):
            def first(attempt):
                attempt.on_end(lambda outcome: ended.append(outcome.kind))

            def refuse(attempt):
                raise PermissionError

            return await next(call.on_attempt(first).on_attempt(refuse))

    with pytest.raises(PermissionError):
        Refuses()(lambda: reached.append(1))()
    assert reached == []
    assert ended == ["failed"]


@pytest.mark.parametrize("shape", SHAPES)
async def test_running_another_target(shape):
    """`call.run` invokes another target past the chain inside, and gives what the caller expects."""
    inner = Watch()

    class Other(Policy):
        async def around(self, call, next):
            return await call.run(Target(lambda *_: "other"), number=1)

    answer = await use(guard(Other(), inner)(callables("a")[shape]))
    assert answer == ["other"]
    assert inner.kinds == []


async def test_an_async_target_cannot_serve_a_sync_call():
    """Met only at run time, it is a TypeError that says so, and no coroutine is left unawaited."""
    backup = callables("b")["coroutine"]

    class Other(Policy):
        async def around(self, call, next):
            return await call.run(Target(lambda: backup()))  # noqa: PLW0108

    with pytest.raises(TypeError, match="asynchronous"):
        Other()(ask)()


@pytest.mark.parametrize("shape", ["generator", "asyncgen"])
async def test_observe_hears_of_what_the_policy_inside_raises(shape):
    """`observe` is told of an exception that comes out of next before any attempt too."""
    watch = Watch()

    class Raises(Policy):
        async def around(self, call, next):
            raise KeyError

    with pytest.raises(KeyError):
        await use(guard(watch, Raises())(callables("a")[shape]))
    assert watch.kinds == ["failed"]
    assert watch.outcomes[0].attempt is None
    assert watch.outcomes[0].usage is None


async def test_an_outcome_knows_its_attempt():
    """Model, first token and partial text of the outcome are those of its attempt."""
    outcomes = []

    class Look(Policy):
        async def around(self, call, next) -> Reply:
            return await observe(next(call), outcomes.append)

    answer = {"model": "m-1", "choices": [{"message": {"content": "42"}}]}
    Look()(lambda: answer)()
    stream = Look()(callables("swordfish", "c")["generator"])()
    next(stream)
    await close(stream)
    assert outcomes[0].model == "m-1"
    assert outcomes[0].first_token >= 0
    assert outcomes[0].partial is None
    assert outcomes[1].partial.text == "swordfish"
    assert "swordfish" not in repr(outcomes[1]) + repr(outcomes[1].partial)
