"""`describe` and `explain` tell what stands around a callable."""

from __future__ import annotations

import pytest

from agentguard import describe, explain, fallback, guard, retry, timeout
from tests.engine.kit import Through, callables


def backup(question: str) -> str:
    """Another target."""
    return "b"


@guard(fallback(backup), retry(attempts=3), timeout(30))
def ask(question: str) -> str:
    """A guarded function."""
    return question


def test_the_chain_as_data():
    """Policies outermost first with their settings, and what one call can become."""
    facts = describe(ask)
    assert facts["name"] == "ask"
    assert facts["shape"] == "function"
    assert [policy["name"] for policy in facts["policies"]] == ["fallback", "retry", "timeout"]
    assert facts["policies"][1]["attempts"] == 3
    assert facts["requests"] == 4
    assert facts["warnings"] == []
    assert facts["provider"] is None
    assert facts["blind"]


def test_the_chain_as_text():
    """The same in words, one policy a line."""
    text = explain(ask)
    lines = text.splitlines()
    assert lines[0] == "ask (function), guarded by, outermost first:"
    assert [line.split(":")[0].strip() for line in lines[1:4]] == ["fallback", "retry", "timeout"]
    assert "at most 4 attempts" in text
    assert "on top" in text  # what a client inside repeats is not to be seen
    assert "record(" in text


@pytest.mark.parametrize("shape", ["generator", "asyncgen", "coroutine", "partial", "method"])
def test_every_shape(shape):
    """Each shape is named as it is."""
    facts = describe(retry(callables("a")[shape]))
    expected = shape if shape in {"generator", "asyncgen", "coroutine"} else "function"
    assert facts["shape"] == expected


def test_methods_and_guards():
    """A guarded method is explained by its bound method too; a guard by itself."""

    class Bot:
        @retry(attempts=2)
        def ask(self):
            return "a"

        @retry(attempts=2)
        def stream(self):
            yield "a"

    for fn in (Bot.ask, Bot().ask, Bot.stream, Bot().stream):
        assert describe(fn)["requests"] == 2
    facts = describe(guard(retry(attempts=2)))
    assert facts["requests"] == 2
    assert "name" not in facts
    assert explain(guard(retry())).startswith("guard of")


def test_warnings_are_told():
    """An unsafe order and a client's own retries are among the warnings."""
    with pytest.warns(UserWarning, match="outermost first"):
        wrong = guard(retry(), fallback(backup))(lambda question: "a")
    assert any("outermost first" in each for each in describe(wrong)["warnings"])
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(api_key="sk-test", base_url="http://127.0.0.1:9", max_retries=2)
    facts = describe(retry(attempts=3)(client.chat.completions.create))
    assert facts["provider"] == "openai"
    assert facts["requests"] == 9
    assert any("max_retries=0" in each for each in facts["warnings"])
    assert "sk-test" not in explain(retry(client.chat.completions.create))
    client.close()


def test_what_is_not_guarded():
    """A TypeError names it and says what to do; a copy of our attribute is no guard."""
    with pytest.raises(TypeError, match="backup is not guarded"):
        explain(backup)

    def other():
        return "a"

    other.__dict__.update(ask.__dict__)
    with pytest.raises(TypeError, match="not guarded"):
        describe(other)
    with pytest.raises(TypeError, match="not guarded"):
        describe(3)


def test_a_policy_of_ones_own():
    """A policy that explains nothing is named, and does not multiply requests."""
    facts = describe(Through()(lambda: "a"))
    assert facts["policies"] == [{"name": "through"}]
    assert facts["requests"] == 1
    assert "through" in explain(Through()(lambda: "a"))
