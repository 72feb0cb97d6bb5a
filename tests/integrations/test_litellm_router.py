"""`litellm.Router` under guards; in LiteLLM's own environment, since it pins an older openai."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from agentguard import breaker, describe, errors, explain, fallback, guard, report, retry, timeout
from agentguard.testing import FakeProvider, fault
from tests.providers.sdk_targets import version
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, MESSAGES, arrived, text_of

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would ask the network at import
import litellm

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"
litellm.suppress_debug_info = True


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the deployments of one test point to."""
    with FakeProvider(answer=WHOLE) as running:
        yield running


def deployment(provider: FakeProvider, name: str, model: str, **params: Any) -> dict[str, Any]:
    """An entry of a Router's `model_list`."""
    base = {
        "openai": provider.openai_url,
        "anthropic": provider.anthropic_url,
        "gemini": f"{provider.google_url}/v1beta",
    }[model.partition("/")[0]]
    given = {"model": model, "api_base": base, "api_key": "test-key", **params}
    return {"model_name": name, "litellm_params": given}


def router_of(provider: FakeProvider, **options: Any) -> Any:
    """A Router that retries in every way it knows, which a guarded copy of it must not."""
    retries = {"num_retries": 2, "max_retries": 2}
    models = [
        deployment(provider, "small", "openai/gpt-4o-mini", **retries),
        deployment(provider, "big", "openai/gpt-4o", **retries),
        deployment(provider, "claude", "anthropic/claude-3-haiku-20240307"),
        deployment(provider, "gemini", "gemini/gemini-x"),
        deployment(provider, "vectors", "openai/text-embedding-3-small"),
    ]
    policy = litellm.RetryPolicy(InternalServerErrorRetries=2, TimeoutErrorRetries=2)
    given = {"disable_cooldowns": True, "retry_policy": policy, **options}
    return litellm.Router(model_list=models, num_retries=2, retry_after=0, **given)


def at_once(**options: Any) -> Any:
    """A `retry` that does not wait."""
    return retry(wait=lambda _: 0.0, **options)


class Way(NamedTuple):
    """One way to ask a Router: `completion` or `acompletion`, whole or streamed."""

    method: str
    streams: bool

    def __str__(self) -> str:
        return f"{self.method}-{'stream' if self.streams else 'whole'}"

    @property
    def asynchronous(self) -> bool:
        """Whether the answer is awaited."""
        return self.method == "acompletion"

    def start(self, router: Any, model: str = "small") -> Any:
        """Ask: the answer or the stream, to be awaited in an async way."""
        options = {"stream": True, "stream_options": {"include_usage": True}}
        ask = getattr(router, self.method)
        return ask(model=model, messages=MESSAGES, **(options if self.streams else {}))

    def ask(self, router: Any) -> str:
        """Ask and read: the text of the answer."""
        if self.asynchronous:
            return asyncio.run(self._ask(router))
        answer = self.start(router)
        return text_of(list(answer) if self.streams else answer)

    async def _ask(self, router: Any) -> str:
        answer = await self.start(router)
        return text_of([item async for item in answer] if self.streams else answer)


WAYS = [
    Way(method, streams) for method in ("completion", "acompletion") for streams in (False, True)
]
every_way = pytest.mark.parametrize("way", WAYS, ids=map(str, WAYS))
STREAMS = [way for way in WAYS if way.streams]
every_stream = pytest.mark.parametrize("way", STREAMS, ids=map(str, STREAMS))


@every_way
def test_a_failure_is_retried_and_reported(provider: FakeProvider, way: Way):
    """One retry is one more request: the Router's own retries are off, a deployment's too."""
    provider.script(fault.status(503))
    with report() as seen:
        assert way.ask(guard(at_once())(router_of(provider))) == WHOLE

    (call,) = seen.calls
    assert call.name == f"Router.{way.method}"
    assert [attempt.kind for attempt in call.attempts] == ["overloaded", None]
    assert call.attempts[1].model == "gpt-4o-mini"
    assert call.attempts[1].usage.output_tokens > 0
    assert len(provider.journal) == 2


@every_way
def test_another_model_group_answers(provider: FakeProvider, way: Way):
    """`fallback(model=...)` names another group of the Router."""
    provider.script(fault.status(503))
    assert way.ask(guard(fallback(model="big"))(router_of(provider))) == WHOLE

    assert [sent.body["model"] for sent in provider.journal] == ["gpt-4o-mini", "gpt-4o"]


@every_way
def test_another_function_answers(provider: FakeProvider, way: Way):
    """A fallback function gets the keywords of the call."""
    provider.always(fault.status(503))
    with FakeProvider(answer="from the backup") as other:
        backup = router_of(other)
        target = getattr(backup, way.method)
        assert way.ask(guard(fallback(target))(router_of(provider))) == "from the backup"

    assert (len(provider.journal), len(other.journal)) == (1, 1)


@every_way
def test_an_open_circuit_asks_nobody(provider: FakeProvider, way: Way):
    """The circuit is the Router's, whatever deployments it has."""
    provider.always(fault.status(503))
    router = guard(breaker(fail_max=1))(router_of(provider))
    with pytest.raises(litellm.ServiceUnavailableError):
        way.ask(router)
    with pytest.raises(errors.CircuitOpen):
        way.ask(router)

    assert len(provider.journal) == 1


@every_way
def test_a_silent_provider_is_left(provider: FakeProvider, way: Way):
    """The bound passes, and nothing is asked again behind it."""
    provider.always(fault.stall(2.0))
    with pytest.raises(errors.Timeout):
        way.ask(guard(timeout(1.0))(router_of(provider)))

    assert provider.settle()
    assert len(provider.journal) == 1


@every_stream
def test_what_was_read_is_not_repeated(provider: FakeProvider, way: Way):
    """A stream that breaks after its first words fails, with what had arrived."""
    provider.script(fault.drop(after=2))
    with pytest.raises(Exception, match=r".") as caught:
        way.ask(guard(at_once())(router_of(provider)))

    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "one two"
    assert len(provider.journal) == 1


@every_stream
@pytest.mark.parametrize("leave", ["close", "forget"])
def test_a_stream_that_is_left_is_closed(provider: FakeProvider, way: Way, leave: str):
    """Closed or let go of: the provider sees it, and the report has the call."""
    provider.script(fault.stall(30.0, after=1))
    router = guard(at_once())(router_of(provider))

    async def first() -> None:
        stream = await way.start(router)
        await anext(stream)
        if leave == "close":
            await stream.aclose()
        del stream
        while not await asyncio.to_thread(provider.settle, 0.05):
            gc.collect()

    with report() as seen:
        if way.asynchronous:
            asyncio.run(first())
        else:
            stream = way.start(router)
            next(stream)
            if leave == "close":
                stream.close()
                assert provider.settle()
            del stream
            while not provider.settle(0.05):
                gc.collect()

    assert provider.journal[0].client_disconnected
    assert [call.kind for call in seen.calls] == [None]


@pytest.mark.parametrize("way", [way for way in WAYS if way.asynchronous], ids=str)
async def test_cancelling_retries_nothing(provider: FakeProvider, way: Way):
    """A cancelled task takes its request along."""
    provider.always(fault.stall(30.0, after=1) if way.streams else fault.stall(30.0))
    router = guard(at_once())(router_of(provider))

    async def ask() -> None:
        answer = await way.start(router)
        if way.streams:
            async for _ in answer:
                pass

    task = asyncio.create_task(ask())
    await asyncio.to_thread(arrived, provider)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while not await asyncio.to_thread(provider.settle, 0.05):
        gc.collect()

    assert len(provider.journal) == 1
    assert provider.journal[0].client_disconnected


GEMINI = [{"role": "user", "parts": [{"text": "hi"}]}]
OTHERS: dict[str, dict[str, Any]] = {
    "chat.completions.create": {"model": "small", "messages": MESSAGES},
    "anthropic_messages": {"model": "claude", "messages": MESSAGES, "max_tokens": 9},
    "aanthropic_messages": {"model": "claude", "messages": MESSAGES, "max_tokens": 9},
}
PROXY: dict[str, dict[str, Any]] = {
    "responses": {"model": "small", "input": "hi"},
    "aresponses": {"model": "small", "input": "hi"},
    "responses stream": {"model": "small", "input": "hi", "stream": True},
    "aresponses stream": {"model": "small", "input": "hi", "stream": True},
    "generate_content": {"model": "gemini", "contents": GEMINI},
    "agenerate_content": {"model": "gemini", "contents": GEMINI},
    "generate_content_stream": {"model": "gemini", "contents": GEMINI},
    "agenerate_content_stream": {"model": "gemini", "contents": GEMINI},
}
"""What LiteLLM does only with `litellm[proxy]` installed, though it is no proxy's."""
if version("litellm-proxy-extras") >= 0:
    OTHERS |= PROXY


@pytest.mark.parametrize("name", OTHERS)
async def test_every_call_of_a_model_is_guarded(provider: FakeProvider, name: str):
    """Methods, the functions that a Router makes for itself, and its `chat.completions`."""
    provider.script(fault.status(503))
    call: Any = guard(at_once())(router_of(provider))
    for part in name.partition(" ")[0].split("."):
        call = getattr(call, part)

    with report() as seen:
        answer = await asyncio.to_thread(call, **OTHERS[name])
        if inspect.isawaitable(answer):
            answer = await answer
        if hasattr(answer, "__anext__"):
            assert [item async for item in answer]
        elif hasattr(answer, "__next__"):
            assert list(answer)

    assert [attempt.kind for attempt in seen.calls[0].attempts] == ["overloaded", None]
    assert len(provider.journal) == 2


@pytest.mark.parametrize("name", ["embedding", "aembedding"])
async def test_known_limit_embeddings_are_retried_by_the_client_below(
    provider: FakeProvider, name: str
):
    """LiteLLM turns max_retries=0 into 2 for OpenAI's embeddings: an attempt is up to 3 requests."""
    provider.always(fault.status(503))
    router = guard(at_once(attempts=1))(router_of(provider))
    with report() as seen, pytest.raises(Exception, match=r"."):
        answer = getattr(router, name)(model="vectors", input=["hi"])
        if inspect.isawaitable(answer):
            await answer

    assert [attempt.kind for attempt in seen.calls[0].attempts] == ["overloaded"]
    assert len(provider.journal) == 3


def test_each_call_of_a_batch_is_guarded(provider: FakeProvider):
    """What the Router does with several calls goes through the guarded one."""
    provider.script(fault.status(503))
    router = guard(at_once())(router_of(provider))
    with report() as seen:
        answers = asyncio.run(router.abatch_completion(models=["small", "big"], messages=MESSAGES))

    assert [text_of(answer) for answer in answers] == [WHOLE, WHOLE]
    assert [call.name for call in seen.calls] == ["Router.acompletion"] * 2
    assert len(provider.journal) == 3


def test_its_own_fallbacks_stay_inside_an_attempt(provider: FakeProvider):
    """The Router goes on to its next group by itself; the guard sees one attempt."""
    provider.script(fault.status(503))
    router = router_of(provider, fallbacks=[{"small": ["big"]}])
    with report() as seen:
        answer = guard(at_once())(router).completion(model="small", messages=MESSAGES)

    assert text_of(answer) == WHOLE
    assert [sent.body["model"] for sent in provider.journal] == ["gpt-4o-mini", "gpt-4o"]
    assert len(seen.calls[0].attempts) == 1


def test_its_cooldowns_are_shared_with_the_original(provider: FakeProvider):
    """A deployment that failed in the copy is not asked by the original either."""
    provider.script(fault.status(401))
    bad = deployment(provider, "both", "openai/gpt-4o-mini")
    router = router_of(provider, disable_cooldowns=False, cooldown_time=600)
    router.set_model_list([bad, deployment(provider, "both", "openai/gpt-4o")])
    with pytest.raises(litellm.AuthenticationError):
        guard(at_once())(router).completion(model="both", messages=MESSAGES)
    (failed,) = (sent.body["model"] for sent in provider.journal)
    for _ in range(8):
        router.completion(model="both", messages=MESSAGES)

    assert failed not in [sent.body["model"] for sent in provider.journal[1:]]


def test_the_original_is_left_as_it_is(provider: FakeProvider):
    """It retries by itself as before, and no call of it is guarded."""
    router = router_of(provider)
    before = {name: id(value) for name, value in vars(router).items()}
    copy = guard(at_once())(router)
    copy.chat.completions.create(model="small", messages=MESSAGES, temperature=0)
    asked = len(provider.journal)
    provider.script(fault.status(503))
    with report() as seen:
        assert text_of(router.completion(model="small", messages=MESSAGES)) == WHOLE
        assert text_of(router.chat.completions.create(model="small", messages=MESSAGES)) == WHOLE

    assert len(provider.journal) == asked + 3
    assert "temperature" not in provider.journal[-1].body
    assert not seen.calls
    assert {name: id(value) for name, value in vars(router).items()} == before
    assert type(router) is litellm.Router
    assert isinstance(copy, litellm.Router)


def test_retries_can_be_asked_for_in_one_call(provider: FakeProvider):
    """`num_retries=` in a call is the caller's word."""
    provider.script(fault.status(503))
    router = guard(at_once(attempts=1))(router_of(provider, retry_policy=None))
    answer = router.completion(model="small", messages=MESSAGES, num_retries=1)

    assert text_of(answer) == WHOLE


def test_guarding_twice_joins_the_policies(provider: FakeProvider):
    """The second guard's policies come around the first's, in methods and attributes."""
    twice = guard(fallback(model="big"))(guard(at_once(attempts=2))(router_of(provider)))

    for each in (twice, twice.completion, twice.aresponses):
        assert [policy["name"] for policy in describe(each)["policies"]] == ["fallback", "retry"]
    assert describe(twice.aresponses)["name"] == "Router.aresponses"


def test_threads_and_a_loop_share_one_router(provider: FakeProvider):
    """Eight threads and as many tasks ask one guarded Router at once."""
    provider.schedule(lambda number, _: fault.status(503) if number <= 4 else None)
    router = guard(at_once(attempts=6), breaker(fail_max=100))(router_of(provider))

    async def tasks() -> list[str]:
        asked = (router.acompletion(model="small", messages=MESSAGES) for _ in range(8))
        return [text_of(answer) for answer in await asyncio.gather(*asked)]

    def ask(_: int) -> str:
        return text_of(router.completion(model="small", messages=MESSAGES))

    with ThreadPoolExecutor(9) as pool:
        loop = pool.submit(asyncio.run, tasks())
        assert [*pool.map(ask, range(8)), *loop.result()] == [WHOLE] * 16

    assert len(provider.journal) == 20


def test_explain_says_what_is_off_and_what_stays(provider: FakeProvider):
    """The retries that are off, and what works inside each attempt."""
    copy = guard(at_once(attempts=2))(router_of(provider))

    told = explain(copy)
    assert describe(copy)["provider"] == "litellm"
    assert "at most 2 requests" in told
    assert "own retries (num_retries, retry policies) are off" in told
    assert "fallbacks and cooldowns between deployments work inside each attempt" in told


def test_known_limit_a_new_model_list_of_the_original_is_not_the_copys(provider: FakeProvider):
    """The copy has the deployments that there were when it was made."""
    router = router_of(provider)
    copy = guard(at_once())(router)
    router.set_model_list([deployment(provider, "new", "openai/gpt-4o-mini")])

    assert text_of(router.completion(model="new", messages=MESSAGES)) == WHOLE
    with pytest.raises(litellm.BadRequestError):
        copy.completion(model="new", messages=MESSAGES)
