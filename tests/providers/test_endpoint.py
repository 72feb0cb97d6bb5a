from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from agentguard.providers.endpoint import Endpoint, endpoint
from agentguard.providers.failures import classify
from agentguard.testing.provider import FakeProvider, fault
from tests.providers import sdk_targets
from tests.providers.sdk_targets import GENERATION, QUESTION, let_go, version

OFFICIAL = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
}
SDKS = [name for name in ("openai", "anthropic") if version(name) >= 0]
LANGCHAIN = [name for name in ("openai", "anthropic") if version(f"langchain-{name}") >= 0]


def client(name: str, *, asynchronous: bool = False, **options: Any) -> Any:
    """Return a client of the openai or anthropic SDK."""
    if name == "openai":
        import openai

        make: Any = openai.AsyncOpenAI if asynchronous else openai.OpenAI
    else:
        import anthropic

        make = anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic
    return make(api_key="sk-test", **options)


def create(sdk: Any) -> Callable[..., Any]:
    """Return the method that calls the model."""
    return sdk.chat.completions.create if hasattr(sdk, "chat") else sdk.messages.create


def chat_model(name: str, **options: Any) -> Any:
    """Return LangChain's chat model for a provider."""
    if name == "openai":
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model="gpt-4o-mini", api_key="sk-test", **options)
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(model="claude-x", api_key="sk-test", **options)


def facts(seen: Endpoint) -> dict[str, object]:
    """Return what is known, leaving out what is not."""
    values = {name: getattr(seen, name) for name in Endpoint.__slots__}
    del values["meters"]  # a fact about one method, see test_who_takes_the_option_of_streams
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("name", SDKS)
def test_an_sdk_method_tells_where_it_goes(name: str, asynchronous: bool):
    """Provider, host, own retries and timeout are read from the client behind the method."""
    assert facts(endpoint(create(client(name, asynchronous=asynchronous)))) == {
        "provider": name,
        "base_url": OFFICIAL[name],
        "max_retries": 2,
        "timeout": 600.0,
        "takes_timeout": True,
        "official": True,
    }


@pytest.mark.parametrize("name", SDKS)
def test_a_client_s_own_settings_are_seen(name: str):
    """Also those of a client derived with with_options; a URL loses what may be a secret."""
    custom = client(
        name, base_url="http://user:secret@127.0.0.1:8080/v1/?key=secret", timeout=7, max_retries=5
    )
    seen = endpoint(create(custom))
    assert (seen.base_url, seen.timeout, seen.max_retries) == ("http://127.0.0.1:8080/v1", 7.0, 5)
    assert not seen.official
    assert "secret" not in repr(seen)
    assert endpoint(create(custom.with_options(max_retries=0))).max_retries == 0


@pytest.mark.parametrize("name", SDKS)
def test_every_method_of_an_sdk_is_recognised(name: str):
    """Helpers, other resources, and the wrappers for raw and streamed responses."""
    sdk = client(name)
    if name == "openai":
        resource = sdk.chat.completions
        others = [
            sdk.responses.create,
            sdk.responses.stream,
            sdk.embeddings.create,
            resource.stream,
        ]
    else:
        resource = sdk.messages
        others = [sdk.messages.stream, sdk.messages.count_tokens]
    others += [resource.with_raw_response.create, resource.with_streaming_response.create]
    for method in others:
        seen = endpoint(method)
        assert (seen.provider, seen.official, seen.takes_timeout) == (name, True, True)


@pytest.mark.parametrize("name", SDKS)
def test_a_partial_is_peeled_and_what_it_fixes_counts(name: str):
    """The outermost keyword wins, and a timeout that the caller has fixed is left alone."""
    inner = functools.partial(create(client(name)), model="small")
    assert endpoint(inner).model == "small"
    assert endpoint(inner).takes_timeout
    outer = functools.partial(inner, model="large", timeout=3)
    assert endpoint(outer).model == "large"
    assert not endpoint(outer).takes_timeout
    assert endpoint(outer).official


@pytest.mark.parametrize("name", SDKS)
def test_nothing_is_passed_through_a_wrapper_of_the_user_s_own(name: str):
    """It tells where the calls go, but may change arguments and answers."""
    method = create(client(name))

    @functools.wraps(method)
    def wrapper(**kwargs: Any) -> Any:
        return method(**kwargs)

    seen = endpoint(wrapper)
    assert (seen.provider, seen.base_url, seen.max_retries) == (name, OFFICIAL[name], 2)
    assert not seen.takes_timeout
    assert not seen.official


if version("langsmith") >= 0 and GENERATION != "litellm":

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_a_tracer_s_wrapper_hands_everything_on():
        """LangSmith replaces the method on the client, and passes all keywords."""
        from langsmith.wrappers import wrap_openai

        seen = endpoint(wrap_openai(client("openai")).chat.completions.create)
        assert (seen.provider, seen.official, seen.takes_timeout) == ("openai", True, True)


if version("openai") >= 0:

    def test_azure_is_not_the_vendor_s_own_host():
        """The SDK is the same, the host is not."""
        import openai

        azure = openai.AzureOpenAI(
            api_key="test-key", azure_endpoint="https://x.openai.azure.com", api_version="1"
        )
        seen = endpoint(azure.chat.completions.create)
        assert seen.provider == "openai"
        assert seen.base_url == "https://x.openai.azure.com/openai"
        assert not seen.official


if version("google-genai") >= 0:

    @pytest.mark.parametrize("shape", ["models", "aio", "chat"])
    def test_google_genai_is_recognised(shape: str):
        """It makes one attempt by default, and takes no timeout= in seconds."""
        from google import genai

        sdk = genai.Client(api_key="test-key")
        method = {
            "models": sdk.models.generate_content,
            "aio": sdk.aio.models.generate_content_stream,
            "chat": sdk.chats.create(model="gemini-x").send_message,
        }[shape]
        seen = endpoint(method)
        assert (seen.provider, seen.base_url) == ("google", OFFICIAL["google"])
        assert (seen.max_retries, seen.takes_timeout, seen.official) == (0, False, True)
        assert seen.model == ("gemini-x" if shape == "chat" else None)

    @pytest.mark.parametrize(("attempts", "retries"), [(3, 2), (1, 0), (None, 4)])
    def test_google_genai_s_retry_options_are_seen(attempts: int | None, retries: int):
        """Attempts are one more than retries, five when not given; a timeout is in milliseconds."""
        from google import genai

        options = genai.types.HttpOptions(
            timeout=300, retry_options=genai.types.HttpRetryOptions(attempts=attempts)
        )
        sdk = genai.Client(api_key="test-key", http_options=options)
        seen = endpoint(sdk.models.generate_content)
        assert (seen.max_retries, seen.timeout) == (retries, 0.3)


if LANGCHAIN:

    @pytest.mark.parametrize("method", ["invoke", "ainvoke", "stream", "astream"])
    @pytest.mark.parametrize("name", LANGCHAIN)
    def test_a_langchain_model_s_method_tells_its_model(name: str, method: str):
        """The bound chat model knows its model, host and retries: two, also when it says None."""
        seen = endpoint(getattr(chat_model(name), method))
        assert (seen.provider, seen.base_url) == (name, OFFICIAL[name])
        assert seen.model == {"openai": "gpt-4o-mini", "anthropic": "claude-x"}[name]
        assert (seen.max_retries, seen.takes_timeout, seen.official) == (2, True, True)

    @pytest.mark.parametrize("name", LANGCHAIN)
    def test_the_model_inside_a_langchain_chain_is_found(name: str):
        """A chain hands keywords to its first step only, so no timeout may be passed to it."""
        from langchain_core.runnables import RunnableLambda

        model = chat_model(name, max_retries=4)
        chain = RunnableLambda(str) | model
        for runnable in (chain, model.with_fallbacks([model]), RunnableLambda(str) | chain):
            seen = endpoint(runnable.invoke)
            assert (seen.provider, seen.max_retries, seen.takes_timeout) == (name, 4, False)
        assert endpoint(model.bind(temperature=0).invoke).takes_timeout
        assert not endpoint(model.bind(timeout=3).invoke).takes_timeout
        assert not endpoint(model.batch).takes_timeout
        assert endpoint(RunnableLambda(str).invoke).provider is None

    @pytest.mark.parametrize("name", LANGCHAIN)
    def test_no_timeout_becomes_part_of_a_langchain_cache_key(name: str):
        """LangChain's cache keys hold every keyword: with a new timeout each time nothing would hit."""
        from langchain_core.caches import InMemoryCache
        from langchain_core.globals import set_llm_cache

        assert not endpoint(chat_model(name, cache=InMemoryCache()).invoke).takes_timeout
        set_llm_cache(InMemoryCache())
        try:
            assert not endpoint(chat_model(name).invoke).takes_timeout
        finally:
            set_llm_cache(None)


if GENERATION == "litellm":

    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_litellm_s_functions_and_router_are_recognised(monkeypatch: pytest.MonkeyPatch):
        """Where a function goes is decided by each call's model: nothing else is claimed."""
        monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        import litellm

        expected = {"provider": "litellm", "takes_timeout": True, "official": False}
        assert facts(endpoint(litellm.completion)) == expected
        assert facts(endpoint(litellm.acompletion)) == expected
        router = object.__new__(litellm.Router)  # its constructor leaves an event loop open
        router.num_retries = 3
        seen = endpoint(router.completion)
        assert (seen.provider, seen.max_retries) == ("litellm", 3)


def method_calls() -> Iterator[Any]:
    """Yield a call with `timeout=` for each method that is said to take it."""
    if "openai" in SDKS:

        def openai_chat(provider: FakeProvider, timeout: float) -> object:
            with sdk_targets.openai_client(provider, 30) as sdk:
                method = sdk.chat.completions.create
                assert endpoint(method).takes_timeout
                return method(model="m", messages=QUESTION, timeout=timeout)

        yield pytest.param(openai_chat, id="openai")
    if "anthropic" in SDKS:

        def anthropic_messages(provider: FakeProvider, timeout: float) -> object:
            with sdk_targets.anthropic_client(provider, 30) as sdk:
                method = sdk.messages.create
                assert endpoint(method).takes_timeout
                return method(model="m", max_tokens=9, messages=QUESTION, timeout=timeout)

        yield pytest.param(anthropic_messages, id="anthropic")
    for name in LANGCHAIN:
        for shape in ("invoke", "stream"):

            def langchain(
                provider: FakeProvider, timeout: float, name: str = name, shape: str = shape
            ) -> object:
                make = {"openai": sdk_targets.chat_openai, "anthropic": sdk_targets.chat_anthropic}
                method = getattr(make[name](provider, 30), shape)
                assert endpoint(method).takes_timeout
                answer = method("hi", timeout=timeout)
                return list(answer) if shape == "stream" else answer

            yield pytest.param(langchain, id=f"langchain-{name}-{shape}")
    if GENERATION == "litellm":

        def litellm(provider: FakeProvider, timeout: float) -> object:
            return sdk_targets.litellm_call("openai/m", stream=False)(provider, timeout)

        yield pytest.param(litellm, id="litellm")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("call", list(method_calls()))
def test_what_takes_a_timeout_obeys_it(call: Callable[[FakeProvider, float], object]):
    """A silent provider ends the call after the seconds that were passed for this one call."""
    with FakeProvider() as provider:
        provider.script(fault.stall(20))
        with pytest.raises(Exception) as caught:
            call(provider, 0.3)
    assert classify(caught.value).kind == "timeout"
    del caught
    let_go()


def test_other_generated_sdks_are_recognised_by_their_shape():
    """Groq, Together and others come from the same generator, with the same classes."""
    resource = type("SyncAPIResource", (), {"__module__": "groq._resource"})
    completions = type("Completions", (resource,), {"__module__": "groq.resources"})()
    completions._client = SimpleNamespace(
        base_url="https://api.groq.com", max_retries=1, timeout=None
    )

    def method(self: object, *, model: str, timeout: float | None = None) -> None:
        """Stand for `create`."""

    seen = endpoint(method.__get__(completions))
    assert (seen.provider, seen.base_url, seen.max_retries) == ("groq", "https://api.groq.com", 1)
    assert (seen.timeout, seen.takes_timeout) == (None, True)


class Cursed:
    """A callable that raises from every attribute."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __call__(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    "fn",
    [
        len,
        lambda: None,
        print,
        "".join,
        [].append,
        int,
        mock.Mock(),
        mock.MagicMock(),
        mock.AsyncMock(),
        mock.MagicMock().create,
        pytest.param(Cursed(), id="cursed"),
        None,
        functools.partial(len),
    ],
)
def test_of_anything_else_nothing_is_claimed(fn: object):
    """A user's function, a builtin, a mock: not recognised, never an error."""
    assert facts(endpoint(fn)) == {"takes_timeout": False, "official": False}
    assert repr(endpoint(fn)) == "Endpoint()"


def test_wrappers_in_a_circle_end():
    """A function that claims to wrap itself is not followed for ever."""

    def fn() -> None:
        """Do nothing."""

    fn.__wrapped__ = fn
    assert repr(endpoint(fn)) == "Endpoint()"


def test_who_takes_the_option_of_streams():
    """`stream_options` is known to chat completions of the openai SDK, bare or in a partial."""
    sdk = client("openai", asynchronous=False)
    assert endpoint(sdk.chat.completions.create).meters
    assert endpoint(functools.partial(sdk.chat.completions.create, stream=True)).meters
    assert not endpoint(sdk.chat.completions.with_raw_response.create).meters
    assert not endpoint(client("anthropic", asynchronous=False).messages.create).meters

    @functools.wraps(sdk.chat.completions.create)
    def mine(**options):
        return sdk.chat.completions.create(**options)

    assert not endpoint(mine).meters
