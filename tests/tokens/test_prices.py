from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider

import agentguard as ag
from agentguard.providers.usage import Usage, usage_of
from agentguard.tokens.prices import price

MILLION = 1_000_000
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def usd(amount: str) -> Decimal:
    """An amount of dollars."""
    return Decimal(amount)


OPENAI = "https://platform.openai.com/docs/pricing"
CLAUDE = "https://platform.claude.com/docs/en/about-claude/pricing"
GOOGLE = "https://ai.google.dev/gemini-api/docs/pricing"

# What the providers' price lists say for a million tokens: input, output, cached, written, for an hour.
LISTS = [
    (OPENAI, "gpt-4o", "2.50", "10", "1.25", None, None),
    (OPENAI, "gpt-4o-mini", "0.15", "0.60", "0.075", None, None),
    (OPENAI, "gpt-4.1", "2", "8", "0.50", None, None),
    (OPENAI, "gpt-5", "1.25", "10", "0.125", None, None),
    (OPENAI, "gpt-5-mini", "0.25", "2", "0.025", None, None),
    (OPENAI, "o3", "2", "8", "0.50", None, None),
    (CLAUDE, "claude-opus-4-5", "5", "25", "0.50", "6.25", "10"),
    (CLAUDE, "claude-opus-5", "5", "25", "0.50", "6.25", "10"),
    (CLAUDE, "claude-sonnet-4-5", "3", "15", "0.30", "3.75", "6"),
    (CLAUDE, "claude-haiku-4-5", "1", "5", "0.10", "1.25", "2"),
    (GOOGLE, "gemini-2.5-pro", "1.25", "10", "0.125", None, None),
    (GOOGLE, "gemini-2.5-flash", "0.30", "2.50", "0.03", None, None),
]


@pytest.mark.parametrize(("source", "model", "fresh", "out", "cached", "written", "hour"), LISTS)
def test_the_published_prices(
    source: str,
    model: str,
    fresh: str,
    out: str,
    cached: str,
    written: str | None,
    hour: str | None,
) -> None:
    """Each kind of token costs what the provider's price list says."""
    k = 100_000  # below every tier
    assert price(model, Usage(k), at=NOW) == usd(fresh) / 10
    assert price(model, Usage(0, k), at=NOW) == usd(out) / 10
    assert price(model, Usage(k, cached_tokens=k), at=NOW) == usd(cached) / 10
    assert price(model, Usage(k, cache_write_tokens=k), at=NOW) == usd(written or fresh) / 10
    stays = Usage(k, cache_write_tokens=k, cache_write_1h_tokens=k)
    assert price(model, stays, at=NOW) == usd(hour or written or fresh) / 10


def test_cached_tokens_are_part_of_the_input() -> None:
    """OpenAI's 600 cached of 1,000 tokens, and Anthropic's writes of both lifetimes, as billed."""
    openai = usage_of(
        {
            "prompt_tokens": 1000,
            "completion_tokens": 100,
            "prompt_tokens_details": {"cached_tokens": 600},
        }
    )
    assert openai is not None
    assert price("gpt-4o-mini-2024-07-18", openai, at=NOW) == usd("0.000165")
    claude = {
        "input_tokens": 100,
        "output_tokens": 500,
        "cache_creation_input_tokens": 2000,
        "cache_read_input_tokens": 3000,
    }
    plain = usage_of(claude)
    assert plain is not None
    assert price("claude-sonnet-4-5-20250929", plain, at=NOW) == usd("0.0162")
    split = {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 1500}
    stays = usage_of({**claude, "cache_creation": SimpleNamespace(**split)})
    assert stays == Usage(5100, 500, 3000, 2000, 0, 1500)
    assert price("claude-sonnet-4-5-20250929", stays, at=NOW) == usd("0.019575")
    langchain = usage_of(
        {
            "input_tokens": 5100,
            "output_tokens": 500,
            "input_token_details": {"cache_read": 3000, "cache_creation": 0, **split},
        }
    )
    assert langchain == stays


def test_a_batch_and_a_service_tier_have_their_own_prices() -> None:
    """Half price in a batch; flex and priority as listed; the usual tiers cost what none costs."""
    usage = Usage(MILLION // 10, MILLION // 10)
    standard = price("gpt-5.6-sol", usage, at=NOW)
    assert standard == usd("2.40")
    assert price("gpt-5.6-sol", usage, batch=True, at=NOW) == usd("1.20")
    assert price("gpt-5.6-sol", usage, service_tier="flex", at=NOW) == usd("1.20")
    assert price("gpt-5.6-sol", usage, service_tier="priority", at=NOW) == usd("4.80")
    for usual in ("auto", "default", "standard", "on_demand"):
        assert price("gpt-5.6-sol", usage, service_tier=usual, at=NOW) == standard
    assert price("claude-sonnet-4-5", usage, service_tier="standard", at=NOW) == usd("1.80")
    assert price("claude-sonnet-4-5", usage, batch=True, at=NOW) == usd("0.90")


def test_a_class_without_a_price_is_unknown() -> None:
    """A tier that the model does not have, or a typing mistake, has no price, not the standard one."""
    assert price("gpt-4o-mini", Usage(10), service_tier="prioritty", at=NOW) is None
    assert price("claude-sonnet-4-5", Usage(10), service_tier="flex", at=NOW) is None


def test_long_prompts_cost_more() -> None:
    """Beyond 200,000 input tokens all of them, and the answer, cost Google's higher price."""
    assert price("gemini-2.5-pro", Usage(200_000, 1000), at=NOW) == usd("0.26")
    assert price("gemini-2.5-pro", Usage(300_000, 1000), at=NOW) == usd("0.765")
    cached = Usage(300_000, 0, cached_tokens=300_000)
    assert price("gemini-2.5-pro", cached, at=NOW) == usd("0.075")


def test_prices_change_with_time() -> None:
    """A call is priced as of the day it was made."""
    before = datetime(2026, 8, 20, tzinfo=UTC)
    assert price("gpt-5.6-sol", Usage(100_000), at=before) == usd("0.5")
    assert price("gpt-5.6-sol", Usage(100_000), at=NOW) == usd("0.4")
    assert price("gpt-5.6-sol", Usage(100_000), at=before) == usd("0.5")


NAMES = [
    ("gpt-4o-mini", "GPT-4O-mini"),
    ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("gpt-4o-mini", "openai/gpt-4o-mini"),
    ("gpt-4o-mini", "openrouter/openai/gpt-4o-mini"),
    ("gpt-4o-mini", "azure/gpt-4o-mini-2024-07-18"),
    ("gpt-5.2", "gpt-5.2-2025-12-11"),
    ("gpt-5.2", "openai/gpt-5.2-20251211"),
    ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5-20250929"),
    ("claude-sonnet-4-5", "claude-sonnet-4-5@20250929"),
    ("claude-sonnet-4-5", "vertex_ai/claude-sonnet-4-5@20250929"),
    (
        "claude-sonnet-4-5",
        "projects/p/locations/us/publishers/anthropic/models/claude-sonnet-4-5@20250929",
    ),
    ("claude-sonnet-4-5", "global.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    (
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    (
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    ("amazon.nova-lite-v1:0", "us.amazon.nova-lite-v1:0"),
    ("gemini-2.5-pro", "models/gemini-2.5-pro"),
    ("gemini-2.5-pro", "gemini/gemini-2.5-pro-preview-03-25"),
    ("gemini-2.5-pro", "publishers/google/models/gemini-2.5-pro"),
    ("gemini-2.0-flash", "gemini-2.0-flash-001"),
    ("ft:gpt-4o-mini-2024-07-18", "ft:gpt-4o-mini-2024-07-18:acme:support:9aB"),
]


@pytest.mark.parametrize(("model", "name"), NAMES)
def test_a_model_is_found_by_all_its_names(model: str, name: str) -> None:
    """Dates, gateways, regions, paths and owners do not hide a model."""
    usage = Usage(100_000, 1000, 50_000)
    wanted = price(model, usage, at=NOW)
    assert wanted is not None
    assert price(name, usage, at=NOW) == wanted


def test_a_region_and_a_fine_tune_cost_more() -> None:
    """A regional Bedrock profile and a fine-tune have the prices of their own."""
    usage = Usage(100_000)
    assert price("us.anthropic.claude-sonnet-4-5-20250929-v1:0", usage, at=NOW) == usd("0.33")
    assert price("ft:gpt-4o-mini-2024-07-18:a:b:c", usage, at=NOW) == usd("0.03")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "my-model",
        "solar-pro",
        "gpt-4o-foo",
        "gpt-99",
        "claude-opus-4-10",  # a pattern for Opus 4.1 fits it
        "claude-sonnet-4-5-turbo",
        "my-gemini-2.5-pro",
        "gemini-1.5-flash-8b",  # cheaper than gemini-1.5-flash, which is part of its name
        "llama-3.1-8b-instant",  # the host decides
        "mycorp/gpt-4o",
        "groq/gpt-4o-mini",
        "azure/my-deployment",
        "ft:gpt-4o-something:acme",
        "whisper-1",  # by the minute
    ],
)
def test_an_unknown_model_has_no_price(name: str) -> None:
    """What no table names is None: neither zero nor the price of a model with a similar name."""
    assert price(name, Usage(1000, 1000), at=NOW) is None


def test_the_host_decides() -> None:
    """Who served a model is told by provider or address, and has prices of its own."""
    usage = Usage(MILLION, MILLION)
    groq = price("llama-3.1-8b-instant", usage, "groq", at=NOW)
    assert groq == usd("0.13")
    assert price("groq/llama-3.1-8b-instant", usage, "litellm", at=NOW) == groq
    url = "https://api.groq.com/openai/v1"
    assert price("llama-3.1-8b-instant", usage, "openai", base_url=url, at=NOW) == groq
    assert price("gpt-4o-mini", usage, "groq", at=NOW) is None
    for gateway in ("openai", "anthropic", "litellm", "langchain", None):
        assert price("gpt-4o-mini", usage, gateway, at=NOW) == usd("0.75")
        own = price("gpt-4o-mini", usage, gateway, base_url="http://127.0.0.1:8000/v1", at=NOW)
        assert own == usd("0.75")
    assert price("gpt-4o-mini", usage, "somebody", at=NOW) is None


def test_tokens_of_a_kind_without_a_price_are_unknown() -> None:
    """An embedding model has no price for an answer."""
    assert price("text-embedding-3-small", Usage(MILLION), at=NOW) == usd("0.02")
    assert price("text-embedding-3-small", Usage(10, 10), at=NOW) is None


def test_nothing_costs_nothing() -> None:
    """A call without tokens costs zero where the model has a price, and is unknown elsewhere."""
    assert price("gpt-4o-mini", Usage(), at=NOW) == 0
    assert price("my-model", Usage(), at=NOW) is None


def test_figures_that_contradict_each_other_do_not_raise() -> None:
    """More cached tokens than input are billed as they are told, and never as less than nothing."""
    assert price("gpt-4o-mini", Usage(0, 0, 1000), at=NOW) == usd("0.000075")


def test_prices_of_one_s_own() -> None:
    """A price that was added counts under every spelling, over the tables, until it is removed."""
    ag.prices.add("My-Model", input=0.1, output="0.3", cached=Decimal("0.01"), cache_write=0.2)
    usage = Usage(4 * MILLION, MILLION, MILLION, 2 * MILLION, 0, MILLION)
    for name in ("my-model", "openai/My-Model", "models/my-model"):
        assert price(name, usage, "whoever") == usd("0.81")
    ag.prices.add("gpt-4o-mini", input=0, output=0)
    assert price("gpt-4o-mini", usage) == 0
    ag.prices.remove("gpt-4o-mini")
    ag.prices.remove("gpt-4o-mini")
    assert price("gpt-4o-mini", Usage(MILLION), at=NOW) == usd("0.15")
    ag.prices.forget()
    assert price("my-model", usage) is None


def test_the_defaults_of_one_s_own_prices() -> None:
    """Cached and written tokens cost what the others cost, an hour what a write does."""
    ag.prices.add("mine", input=1, output=2)
    assert price("mine", Usage(MILLION, 0, 1000, 1000, 0, 500)) == 1
    ag.prices.add("mine", input=1, output=2, cache_write=3, cache_write_1h=5)
    assert price("mine", Usage(MILLION, 0, 0, MILLION, 0, MILLION)) == 5
    ag.prices.forget()


@pytest.mark.parametrize("amount", [-1, "free", float("nan"), float("inf"), "", None])
def test_a_price_that_is_none_is_refused(amount: float | str) -> None:
    """The error says what a price is."""
    with pytest.raises(ValueError, match="US dollars for a million tokens"):
        ag.prices.add("mine", input=amount, output=1)
    assert price("mine", Usage(1)) is None


def in_tables() -> list[tuple[Provider, ModelInfo]]:
    """Every model of genai-prices that is paid by the token, by the name that finds it."""
    return [
        (provider, model)
        for provider in get_snapshot().providers
        for model in provider.models
        if model.get_prices(NOW).input_mtok is not None and provider.find_model(model.id) is model
    ]


@pytest.mark.parametrize(
    "usage",
    [
        Usage(1000, 100),
        Usage(150_000, 2000, 50_000, 40_000, 0, 10_000),
        Usage(300_000, 2000, 50_000, 40_000, 500, 10_000),
    ],
    ids=["plain", "cached", "long"],
)
@pytest.mark.parametrize("batch", [False, True], ids=["standard", "batch"])
def test_every_model_agrees_with_genai_prices(usage: Usage, batch: bool) -> None:
    """All models of the tables cost what genai-prices itself calculates, or are unknown."""
    theirs = TheirUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
    )
    context = {"processing": "batch"} if batch else None
    agreed = unknown = 0
    for provider, model in in_tables():
        ours = price(model.id, usage, provider.id, batch=batch, at=NOW)
        if ours is None:
            unknown += 1
            continue
        wanted = model.calc_price(
            theirs, provider, genai_request_timestamp=NOW, price_context=context
        )
        assert ours == wanted.total_price, (provider.id, model.id)
        agreed += 1
    assert agreed > (80 if batch else 1500)
    assert batch or unknown < agreed / 20


def test_pricing_loads_its_tables_at_first_use_and_fetches_nothing() -> None:
    """The package's import leaves genai_prices alone; the first price loads it, without a network."""
    code = """
import socket, sys
import agentguard as ag
from agentguard.providers.usage import Usage
assert "genai_prices" not in sys.modules and "tiktoken" not in sys.modules

def refuse(*args, **kwargs):
    raise AssertionError("the network was used")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
ag.prices.add("mine", input=1, output=1)
assert ag.prices.price("mine", Usage(1_000_000)) == 1
assert "genai_prices" not in sys.modules
assert ag.prices.price("gpt-4o-mini", Usage(1_000_000)) is not None
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100
    )
    assert run.returncode == 0, run.stderr


def test_the_memory_of_prices_is_bounded() -> None:
    """Ever new names, which an attacker may send, do not fill the memory."""
    for number in range(1100):
        price(f"x/{number}", Usage(1))
    assert len(ag.prices._known) <= ag.prices._MOST


def test_the_usage_of_an_sdk_is_read_first() -> None:
    """Anthropic's input tokens leave cached ones out: its figures must not pass for ours."""
    told = {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 10}
    with pytest.raises(TypeError, match=r"usage_of\(answer.usage\)"):
        price("claude-sonnet-4-5", told)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    read = usage_of(told)
    assert read is not None
    assert price("claude-sonnet-4-5", read) == price(
        "claude-sonnet-4-5", Usage(15, 2, cached_tokens=10)
    )
