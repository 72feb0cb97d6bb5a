"""LiteLLM's functions and its Router under `cache`; in LiteLLM's own environment."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pydantic
import pytest

from agentguard import cache, guard, report, usage
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, MESSAGES, text_of

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would ask the network at import
import litellm

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"
litellm.suppress_debug_info = True


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the calls of one test go to."""
    with FakeProvider(answer=WHOLE) as running:
        yield running


@pytest.fixture(autouse=True, scope="module")
def _collect() -> Iterator[None]:
    """Collect what LiteLLM forgets to close while the warnings about it are still filtered."""
    yield
    gc.collect()


def place(provider: FakeProvider, model: str) -> dict[str, Any]:
    """Where a model of this route is asked."""
    base = {
        "openai": provider.openai_url,
        "anthropic": provider.anthropic_url,
        "gemini": f"{provider.google_url}/v1beta",
    }[model.partition("/")[0]]
    return {"model": model, "api_base": base, "api_key": "sk-test", "max_retries": 0}


class Way(NamedTuple):
    """One way to ask.

    Attributes:
        holder: "function", or "router".
        model: with its route.
        is_async: through `acompletion`.
        streams: the answer is read in chunks.
    """

    holder: str
    model: str
    is_async: bool
    streams: bool

    def __str__(self) -> str:
        words = ("async" if self.is_async else "sync", "stream" if self.streams else "whole")
        return "-".join((self.holder, self.model.partition("/")[0], *words))

    def opened(self, provider: FakeProvider, guards: Any) -> Callable[..., Any]:
        """What is guarded: a function that takes the messages."""
        name = "acompletion" if self.is_async else "completion"
        known = place(provider, self.model)
        if self.holder == "function":
            ask = guards(getattr(litellm, name))
            return lambda **more: ask(**{"messages": MESSAGES, **known, **more})
        entry = {"model_name": "small", "litellm_params": known, "model_info": {"id": "1"}}
        router = guards(litellm.Router([entry], disable_cooldowns=True))
        ask = getattr(router, name)
        return lambda **more: ask(**{"messages": MESSAGES, "model": "small", **more})

    def answers(self, ask: Callable[..., Any], times: int, **more: Any) -> list[Any]:
        """Ask some times: each time the answer, of a stream its chunks."""
        if self.streams:
            more |= {"stream": True, "stream_options": {"include_usage": True}}

        async def one() -> Any:
            answer = await ask(**more)
            return [item async for item in answer] if self.streams else answer

        async def there() -> list[Any]:
            return [await one() for _ in range(times)]

        if self.is_async:
            return asyncio.run(there())
        return [list(ask(**more)) if self.streams else ask(**more) for _ in range(times)]


MODELS = ("openai/gpt-4o-mini", "anthropic/claude-3-haiku-20240307", "gemini/gemini-2.5-flash")
WAYS = [
    Way(holder, model, is_async, streams)
    for holder in ("function", "router")
    for model in MODELS
    for is_async in (False, True)
    for streams in (False, True)
]
OPENAI = [way for way in WAYS if way.model == MODELS[0]]
every_way = pytest.mark.parametrize("way", WAYS, ids=map(str, WAYS))


def plain(answer: Any) -> Any:
    """All that an answer or its chunks say."""
    if isinstance(answer, list):
        return [plain(each) for each in answer]
    return type(answer), answer.model_dump()


@every_way
def test_asked_three_times_it_is_one_request(provider: FakeProvider, way: Way) -> None:
    """The answers are equal, their figures too."""
    ask = way.opened(provider, guard(cache()))
    with report() as seen, usage() as used:
        first, second, third = way.answers(ask, 3)

    assert len(provider.journal) == 1
    assert [len(call.attempts) for call in seen.calls] == [1, 0, 0]
    assert (used.attempts, used.hits, used.output_tokens) == (1, 2, 6)
    assert text_of(third) == WHOLE
    assert plain(first) == plain(second) == plain(third)
    assert len({call.model for call in seen.calls}) == 1


@pytest.mark.parametrize("way", OPENAI, ids=map(str, OPENAI))
def test_a_file_serves_another_process(provider: FakeProvider, way: Way, tmp_path: Path) -> None:
    """As after a restart: another guard, another Router."""
    found = []
    for _ in range(2):
        safe = guard(cache(store=f"sqlite:///{tmp_path}/answers.db", name="n"))
        found += way.answers(way.opened(provider, safe), 1)
    assert plain(found[0]) == plain(found[1])
    assert len(provider.journal) == 1
    assert b"sk-test" not in (tmp_path / "answers.db").read_bytes()


TOOL = {"name": "f", "parameters": {"type": "object", "properties": {}}}


class Sky(pydantic.BaseModel):
    """How it looks."""

    look: str


@pytest.mark.parametrize("way", OPENAI, ids=map(str, OPENAI))
def test_whatever_changes_the_answer_is_part_of_the_key(provider: FakeProvider, way: Way) -> None:
    """Each of them makes another request, and asked again none; what is the caller's makes none."""
    ask = way.opened(provider, guard(cache()))
    changes: list[dict[str, Any]] = [
        {},
        {"temperature": 0.5},
        {"messages": [{"role": "system", "content": "Be kind."}, *MESSAGES]},
        {"functions": [TOOL]},  # `tools` of LiteLLM needs one more package
        {"response_format": Sky},
        {"seed": 3},
    ]
    for number, change in enumerate(changes, 1):
        beside = {"metadata": {"request": number}, "timeout": 20 + number, "api_key": "sk-other"}
        if way.holder == "router":
            del beside["api_key"]
        way.answers(ask, 1, **change)
        way.answers(ask, 1, **change, **beside)
        assert len(provider.journal) == number


@pytest.mark.parametrize("way", OPENAI, ids=map(str, OPENAI))
def test_tool_calls_come_back(provider: FakeProvider, way: Way) -> None:
    """With their ids and arguments."""
    provider.always(fault.ok(tools=[("weather", {"city": "Rome"})]))
    ask = way.opened(provider, guard(cache()))
    first, second, third = map(plain, way.answers(ask, 3))
    assert first == second == third
    assert "Rome" in str(third)
    assert len(provider.journal) == 1


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("holder", ["function", "router"])
def test_embeddings_are_kept_one_by_one(
    provider: FakeProvider, holder: str, *, is_async: bool
) -> None:
    """Only the missing texts are sent; order and vectors are those of the texts."""
    known = place(provider, "openai/text-embedding-3-small")
    name, safe = "aembedding" if is_async else "embedding", guard(cache())
    if holder == "function":
        ask = safe(getattr(litellm, name))
    else:
        entry = {"model_name": "v", "litellm_params": known, "model_info": {"id": "1"}}
        ask = getattr(safe(litellm.Router([entry])), name)
        known = {"model": "v"}

    async def embed(*texts: str) -> list[list[float]]:
        found = ask(input=[*texts], **known)
        found = await found if is_async else found
        assert [each["index"] for each in found.data] == [*range(len(texts))]
        return [each["embedding"] for each in found.data]

    async def use() -> None:
        one, two = await embed("a", "b")
        three, again = await embed("c", "a")
        assert again == one
        assert await embed("b", "c", "a", "b") == [two, three, one, two]

    if is_async:
        asyncio.run(use())
    else:
        with pytest.raises(StopIteration):
            use().send(None)
    assert [each.body["input"] for each in provider.journal] == [["a", "b"], ["c"]]
