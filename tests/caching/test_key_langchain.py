"""The keys of requests through LangChain, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from agentguard import guard
from agentguard.testing import FakeProvider
from tests.caching.asking import Noting


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the clients of one test talk to."""
    with FakeProvider(answer="fine") as running:
        yield running


def test_langchain_s_requests_have_keys(provider: FakeProvider) -> None:
    """The model's parameters, bound tools and messages without the ids that LangChain gives."""
    noted = Noting()

    def model(**changes: Any) -> Any:
        known = {"model": "m", "temperature": 0.1, "api_key": "k", "base_url": provider.openai_url}
        return noted(ChatOpenAI(**known | changes))

    def tool(city: str) -> str:
        """Tell the weather."""
        return city

    same = noted.key(model().invoke, "hello")
    assert noted.maker.around(noted.call)[1] == "hello"  # type: ignore[index]
    assert noted.key(model(api_key="l", timeout=4, max_retries=1).invoke, "hello") == same
    assert noted.key(model().invoke, [HumanMessage("hello", id="run-1")]) == same
    assert noted.key(model().invoke, "hello", config={"tags": ["a"], "run_name": "b"}) == same
    keys = {
        noted.key(model(temperature=0.2).invoke, "hello"),
        noted.key(model(model="n").invoke, "hello"),
        noted.key(model(extra_body={"a": 1}).invoke, "hello"),
        noted.key(model().bind(stop=["a"]).invoke, "hello"),
        noted.key(model().bind_tools([tool]).invoke, "hello"),
        noted.key(model().invoke, "hallo"),
    }
    assert len(keys | {same}) == 7


def test_a_chain_of_langchain_s_has_a_key(provider: FakeProvider) -> None:
    """Prompt, model and parser count."""
    noted = Noting()

    def key(template: str, temperature: float) -> str:
        model = ChatOpenAI(
            model="m", temperature=temperature, api_key="k", base_url=provider.openai_url
        )
        chain = ChatPromptTemplate.from_messages([("user", template)]) | model | StrOutputParser()
        return noted.key(guard(noted)(chain).invoke, {"q": "hello"})

    assert key("{q}", 0.1) == key("{q}", 0.1)
    assert len({key("{q}", 0.1), key("{q}!", 0.1), key("{q}", 0.2)}) == 3
