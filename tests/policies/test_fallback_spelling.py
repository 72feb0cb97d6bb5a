from __future__ import annotations

import functools
from typing import Any

import pytest

from agentguard import describe, fallback, guard, retry
from agentguard.policies.fallback import Fallback


def ask(question: str) -> str:
    """Answer, as a model would."""
    return "42"


def backup(question: str) -> str:
    """Answer in its place."""
    return "43"


async def aask(question: str) -> str:
    """Answer asynchronously."""
    return "42"


@pytest.mark.parametrize("keyword", Fallback.spellings)
def test_a_foreign_keyword_is_told_its_spelling_here(keyword: str) -> None:
    """Keywords of LiteLLM, LangChain and pydantic-ai fail where they are written."""
    with pytest.raises(TypeError) as told:
        fallback(backup, **{keyword: ["x"]})
    assert f"fallback() has no {keyword}=" in str(told.value)
    assert Fallback.spellings[keyword] in str(told.value)


@pytest.mark.parametrize(
    ("targets", "settings", "says"),
    [
        ((), {}, "somewhere to fall back to"),
        (("gpt-4o-mini",), {}, "model='gpt-4o-mini'"),
        ((42,), {}, "int is not"),
        ((ValueError,), {}, "is a class"),
        ((classmethod(backup),), {}, "classmethod"),
        ((backup,), {"on": "rate_limit"}, "rate_limited"),
        ((backup,), {"on": KeyboardInterrupt}, "Exception types"),
        ((backup,), {"when": "empty"}, "when"),
        ((backup,), {"when": aask}, "not async"),
        ((backup,), {"on": aask}, "not async"),
        ((backup,), {"hold": True}, "hold"),
        ((), {"model": ()}, "somewhere to fall back to"),
        ((), {"model": 5}, "model"),
        ((), {"model": ("m", 5)}, "model"),
    ],
)
def test_a_wrong_value_is_refused_where_it_is_written(
    targets: tuple[Any, ...], settings: dict[str, Any], says: str
) -> None:
    """The message says what to write."""
    with pytest.raises((TypeError, ValueError), match=says):
        fallback(*targets, **settings)


def test_a_bare_decorator_is_refused() -> None:
    """`@fallback` alone would take the function for its target."""
    with pytest.raises(TypeError):

        @fallback
        def bare(question: str) -> str:
            return question

        bare("?")


def test_an_async_target_of_a_sync_function_is_refused_when_decorated() -> None:
    """It could only fail when the primary does, which is the worst moment."""
    with pytest.raises(TypeError, match="aask is asynchronous and cannot serve ask"):
        fallback(aask)(ask)


def test_an_async_target_of_a_lambda_is_allowed() -> None:
    """A lambda may return an awaitable: only its answer tells."""
    assert fallback(aask)(lambda question: "42")("?") == "42"


def takes_none(question: str) -> str:
    """No `model` here."""
    return question


def test_model_needs_a_parameter_to_replace() -> None:
    """`model=` on a function without one is refused when decorated."""
    with pytest.raises(TypeError, match="takes_none takes no `model`"):
        fallback(model="gpt-4o-mini")(takes_none)


def test_model_is_replaced_through_any_keyword() -> None:
    """`**kwargs` may take it."""

    def any_keyword(**kwargs: Any) -> str:
        if "mini" not in kwargs["model"]:
            raise ConnectionError
        return str(kwargs["model"])

    assert fallback(model="gpt-4o-mini")(any_keyword)(model="gpt-4o") == "gpt-4o-mini"


def fail_unless(model: str) -> str:
    """Answer for a mini model only."""
    if model != "mini":
        raise ConnectionError(model)
    return model


def positional(model: str, question: str) -> str:
    """Take the model first."""
    return fail_unless(model) + question


def defaulted(question: str, model: str = "big") -> str:
    """Take a model if given."""
    return fail_unless(model) + question


def keyword_only(question: str, *, model: str) -> str:
    """Take it by name."""
    return fail_unless(model) + question


def after_any(*questions: str, model: str = "big") -> str:
    """Take it by name behind any number of arguments."""
    return fail_unless(model) + "".join(questions)


class Client:
    """Has a method that takes a model."""

    def ask(self, question: str, model: str = "big") -> str:
        """Answer for a mini model only."""
        return fail_unless(model) + question

    guarded = fallback(model="mini")(ask)


@pytest.mark.parametrize(
    ("fn", "args", "kwargs"),
    [
        (positional, ("big", "?"), {}),
        (positional, (), {"model": "big", "question": "?"}),
        (defaulted, ("?",), {}),
        (defaulted, ("?", "big"), {}),
        (defaulted, ("?",), {"model": "big"}),
        (keyword_only, ("?",), {"model": "big"}),
        (after_any, ("?", "!", "."), {}),
        (functools.partial(defaulted, model="big"), ("?",), {}),
        (functools.partial(positional, "big"), ("?",), {}),
        (Client().ask, ("?", "big"), {}),
    ],
)
def test_model_replaces_however_it_was_passed(fn: Any, args: Any, kwargs: Any) -> None:
    """By position, by name, by default, in a partial, in a method."""
    if isinstance(fn, functools.partial) and fn.args:
        with pytest.raises(TypeError, match="no `model`"):  # the partial hides it
            fallback(model="mini")(fn)
        return
    answer = fallback(model="mini")(fn)(*args, **kwargs)
    assert answer == "mini" + "?!."[: 3 if fn is after_any else 1]


def test_model_in_a_guarded_method() -> None:
    """`self` is among the arguments, and stays."""
    assert Client().guarded("?", "big") == "mini?"
    assert Client().guarded("?") == "mini?"


def test_several_models_are_tried_in_order() -> None:
    """A sequence of names is a chain."""
    seen: list[str] = []

    def watch(question: str, model: str = "big") -> str:
        seen.append(model)
        return fail_unless(model) + question

    assert fallback(model=["medium", "mini"])(watch)("?") == "mini?"
    assert seen == ["big", "medium", "mini"]


def test_the_callers_arguments_are_left_alone() -> None:
    """Replacing the model makes another dict: the caller's own stays."""
    kwargs = {"question": "?", "model": "big"}
    fallback(model="mini")(defaulted)(**kwargs)
    assert kwargs == {"question": "?", "model": "big"}


def test_requests_are_counted_past_the_inner_chain() -> None:
    """A target is one request, not `attempts`."""
    chain = guard(fallback(backup, backup), fallback(model="mini"), retry(attempts=3))
    assert describe(chain)["requests"] == 6


def test_describe_names_the_targets() -> None:
    """As data for a test."""
    (policy,) = describe(fallback(backup, model="mini", on="auth")(defaulted))["policies"]
    assert policy["targets"] == "backup, model=mini"
    assert policy["on"] == "auth"


def test_repr_is_what_was_written() -> None:
    """A guard prints as its source."""
    assert repr(fallback(backup, on="auth")) == "fallback(backup, on='auth')"
