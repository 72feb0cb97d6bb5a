"""budget() with real SDK clients over real HTTP: figures, caps, streams, and what is sent."""

from __future__ import annotations

import asyncio
import multiprocessing
from decimal import Decimal
from typing import Any, Final

import pytest

from agentguard import budget, errors, events, fallback, guard, report, retry
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import (
    CHAT,
    CLAUDE,
    LEFT_TO_THE_COLLECTOR,
    RESPONSES,
    anthropic_client,
    async_openai_client,
    chat_openai,
    google_client,
    openai_client,
)

pytestmark = LEFT_TO_THE_COLLECTOR

FIGURES: Final = {"input": 10, "output": 20}


@pytest.fixture
def provider():
    """Run a provider of its own for one test."""
    with FakeProvider(answer="one two three four five six") as running:
        running.always(fault.ok(usage=FIGURES))
        yield running


def heard(told: report, kind: type[events.Event]) -> list[Any]:
    """The events of this kind."""
    return [each for call in told.calls for each in call.events if isinstance(each, kind)]


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_what_openai_tells_is_booked(provider, stream):
    """Tokens and money, of a stream too, whose usage is asked for."""
    policy = budget(usd=1, tokens=10_000)
    with openai_client(provider) as client:
        answer = guard(policy)(client).chat.completions.create(**CHAT, stream=stream)
        if stream:
            assert "".join(each.choices[0].delta.content or "" for each in answer)
    standing = policy.status()
    assert standing["tokens"][1:3] == (30, 0)
    assert standing["usd"].used == Decimal("0.0000135")  # 10 at 0.15, 20 at 0.60 a million


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_asynchronously(provider, stream):
    """An async client; calls at once do not exceed what there is."""
    policy = budget(tokens=300)

    async def use() -> int:
        async with async_openai_client(provider) as client:
            create = guard(policy)(client).chat.completions.create

            async def one() -> None:
                answer = await create(**CHAT, max_tokens=20, stream=stream)
                if stream:
                    async for _ in answer:
                        pass

            done = await asyncio.gather(*(one() for _ in range(20)), return_exceptions=True)
        assert {type(each) for each in done} <= {type(None), errors.BudgetExceeded}
        return done.count(None)

    passed = asyncio.run(use())
    standing = policy.status()["tokens"]
    assert standing.used == 30 * passed <= 300
    assert standing.reserved == 0
    assert passed


@pytest.mark.parametrize(
    ("request_", "name"),
    [(CHAT, "max_tokens"), (RESPONSES, "max_output_tokens")],
    ids=["chat", "responses"],
)
def test_openai_is_told_to_stop_where_the_budget_ends(provider, request_, name):
    """Less is left than the answer may need: the provider's own parameter is set, and one hears."""
    policy = budget(output_tokens=100)
    with openai_client(provider) as client, report() as told:
        safe = guard(policy)(client)
        create = safe.responses.create if "input" in request_ else safe.chat.completions.create
        create(**request_)
        create(**request_, **{name: 5000})
    assert provider.journal[0].body[name] == 100
    assert provider.journal[1].body[name] == 80
    assert [each.tokens for each in heard(told, events.Capped)] == [100, 80]


def test_anthropic_is_told_too(provider):
    """Its max_tokens is lowered; a smaller one of the caller's stays."""
    policy = budget(output_tokens=50)
    with anthropic_client(provider) as client:
        create = guard(policy)(client).messages.create
        create(**{**CLAUDE, "max_tokens": 25})
        create(**CLAUDE)
        with pytest.raises(errors.BudgetExceeded):
            create(
                **{
                    **CLAUDE,
                    "thinking": {"type": "enabled", "budget_tokens": 1024},
                    "max_tokens": 2000,
                }
            )
    assert [each.body["max_tokens"] for each in provider.journal] == [25, 30]


def test_google_is_told_too(provider):
    """In its configuration, of which the caller's own object stays as it is."""
    from google.genai import types

    policy = budget(output_tokens=60)
    config = types.GenerateContentConfig(max_output_tokens=500, temperature=0.5)
    with google_client(provider) as client:
        models = guard(policy)(client).models
        models.generate_content(model="gemini-2.5-pro", contents="hi")
        models.generate_content(model="gemini-2.5-pro", contents="hi", config=config)
        list(models.generate_content_stream(model="gemini-2.5-pro", contents="hi", config={}))
    sent = [each.body["generationConfig"] for each in provider.journal]
    assert [each["maxOutputTokens"] for each in sent] == [60, 40, 20]
    assert sent[1]["temperature"] == 0.5
    assert config.max_output_tokens == 500
    assert policy.status()["output_tokens"][1:3] == (60, 0)


def test_langchain_is_told_too(provider):
    """A chat model's own bound counts, and is lowered where less is left."""
    policy = budget(output_tokens=45)
    with chat_openai(provider) as model:
        guard(policy)(model).invoke("hi")
        guard(policy)(model.model_copy(update={"max_tokens": 33})).invoke("hi")
    sent = [each.body for each in provider.journal]
    bounds = [each.get("max_completion_tokens") or each["max_tokens"] for each in sent]
    assert bounds == [45, 25]
    assert policy.status()["output_tokens"][1:3] == (40, 0)


def test_embeddings_have_no_output(provider):
    """Nothing is set aside for an answer that has no tokens."""
    policy = budget(tokens=20, requests=5)
    with openai_client(provider) as client:
        guard(policy)(client).embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    assert provider.journal[0].body.keys() == {"model", "input", "encoding_format"}
    assert policy.status()["tokens"][1:3] == (10, 0)


def test_a_stream_inside_an_agent_is_cut(provider):
    """The request's budget holds for what is streamed inside it, and the client's stream is closed."""
    provider.always(fault.ok(text="one two three " * 100, usage={"input": 10, "output": 301}))
    with openai_client(provider) as client:
        ask = guard(retry(budget=None))(client).chat.completions.create

        @budget(output_tokens=60, per="request")
        def agent():
            for chunk in ask(**CHAT, stream=True):
                yield chunk.choices[0].delta.content or ""

        pieces = agent()
        got = ""
        with pytest.raises(errors.BudgetExceeded, match="it was cut"):
            for piece in pieces:
                got += piece
    assert 20 <= len(got.split()) <= 75


def test_max_output_is_sent(provider):
    """It bounds every answer whose caller has not bounded it further."""
    policy = budget(tokens=10_000, max_output=64)
    with openai_client(provider) as client:
        create = guard(policy)(client).chat.completions.create
        create(**CHAT)
        create(**CHAT, max_tokens=7)
        create(**CHAT, max_completion_tokens=700)
    sent = [each.body for each in provider.journal]
    assert [each.get("max_tokens") or each["max_completion_tokens"] for each in sent] == [64, 7, 64]


def test_several_answers_share_what_is_left(provider):
    """n=2 is twice the bound that is sent."""
    policy = budget(output_tokens=100)
    with openai_client(provider) as client:
        guard(policy)(client).chat.completions.create(**CHAT, n=2)
    assert provider.journal[0].body["max_tokens"] == 50


def test_a_cheaper_model_when_the_money_is_used_up(provider):
    """Fallback inside the budget turns to what still fits."""
    policy = budget(usd=0.0001)
    with openai_client(provider) as client:
        safe = guard(policy, fallback(model="gpt-4o-mini", on="budget_exceeded"))(client)
        long = [{"role": "user", "content": "many words " * 40}]
        safe.chat.completions.create(model="gpt-4-32k", messages=long)
    assert [each.body["model"] for each in provider.journal] == ["gpt-4o-mini"]


@pytest.mark.parametrize("asks", ["openai", "anthropic"])
def test_a_stream_is_cut(provider, asks):
    """Where the provider does not stop by itself, the stream is cut and closed."""
    provider.always(fault.ok(text="one two three " * 200, usage={"input": 10, "output": 601}))
    policy = budget(output_tokens=100)
    if asks == "openai":
        with openai_client(provider) as client:
            stream = guard(policy)(client).chat.completions.create(**CHAT, stream=True)
            with pytest.raises(errors.BudgetExceeded) as caught:
                list(stream)
    else:
        with anthropic_client(provider) as client:
            create = guard(policy)(client).messages.create
            stream = create(**{**CLAUDE, "max_tokens": 100}, stream=True)
            with pytest.raises(errors.BudgetExceeded) as caught:
                list(stream)
    kept = errors.partial(caught.value)
    assert kept is not None
    assert kept.text.startswith("one two three ")
    assert "one two" not in str(caught.value)
    assert policy.status()["output_tokens"].reserved == 0
    assert policy.status()["output_tokens"].used > 0


def _spend(path: str, url: str, done: Any) -> None:
    import openai

    policy = budget(requests=50, name="race", store=f"sqlite:///{path}")
    client = openai.OpenAI(base_url=url, api_key="sk-test", max_retries=0)
    create = guard(policy)(client).chat.completions.create
    passed = 0
    for _ in range(60):
        try:
            create(**CHAT)
        except errors.BudgetExceeded:
            break
        passed += 1
    done.put(passed)


@pytest.mark.long
def test_two_processes_race_to_the_last_unit(provider, tmp_path):
    """Over one SQLite file, exactly as many requests arrive as were allowed."""
    context = multiprocessing.get_context("spawn")
    done = context.Queue()
    path = str(tmp_path / "budgets.db")
    racers = [
        context.Process(target=_spend, args=(f"/{path.lstrip('/')}", provider.openai_url, done))
        for _ in range(2)
    ]
    for each in racers:
        each.start()
    passed = [done.get(timeout=60) for _ in racers]
    for each in racers:
        each.join(60)
    assert sum(passed) == len(provider.journal) == 50
