"""Retries inside retries: attempts must not multiply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tenacity import wait_fixed

from agentguard import events, guard, report, retry
from agentguard.testing import FakeRuntime, ScriptedModel
from tests.policies.failures import make, notes

SOON = wait_fixed(1)


class Nest:
    """A guarded function around another guarded function, in one of three colours."""

    def __init__(self, colour: str) -> None:
        self.colour = colour

    def __repr__(self) -> str:
        return self.colour

    def call(self, outer: Any, inner: Any, model: ScriptedModel, swallow: bool = False) -> Any:
        """Call `outer(inner(model))`; what it raises comes out."""
        with FakeRuntime():
            if self.colour == "sync":
                return self._sync(outer, inner, model)()
            if self.colour == "async":
                return asyncio.run(self._async(outer, inner, model)())
            return list(self._stream(outer, inner, model)())

    def _sync(self, outer: Any, inner: Any, model: ScriptedModel) -> Callable[[], Any]:
        asks = inner(model.sync)

        def nest() -> Any:
            return asks("?")

        return outer(nest)  # type: ignore[no-any-return]

    def _async(self, outer: Any, inner: Any, model: ScriptedModel) -> Callable[[], Any]:
        asks = inner(model.coroutine)

        async def nest() -> Any:
            return await asks("?")

        return outer(nest)  # type: ignore[no-any-return]

    def _stream(self, outer: Any, inner: Any, model: ScriptedModel) -> Callable[[], Any]:
        asks = inner(model.generator)

        def nest() -> Any:
            yield from asks("?")

        return outer(nest)  # type: ignore[no-any-return]


colours = pytest.mark.parametrize("nest", [Nest("sync"), Nest("async"), Nest("stream")], ids=repr)


@colours
def test_attempts_of_nested_retries_do_not_multiply(nest: Nest) -> None:
    """The outer one passes on what the inner gave up on: 3 requests, not 9."""
    error = make("server")
    model = ScriptedModel(error, repeat_last=True)
    with pytest.raises(Exception, match="500") as told:
        nest.call(retry(wait=SOON), retry(wait=SOON), model)
    assert told.value is error
    assert len(model.calls) == 3
    (note,) = notes(error)
    assert 'nested="multiply"' in note


@colours
def test_multiply_opts_in(nest: Nest) -> None:
    """`nested="multiply"` on the outer one makes 3 times 3."""
    model = ScriptedModel(make("server"), repeat_last=True)
    with pytest.raises(Exception, match="500"):
        nest.call(retry(wait=SOON, nested="multiply"), retry(wait=SOON), model)
    assert len(model.calls) == 9


@colours
def test_multiply_on_the_inner_one_changes_nothing(nest: Nest) -> None:
    """It is the outer one that would multiply."""
    model = ScriptedModel(make("server"), repeat_last=True)
    with pytest.raises(Exception, match="500"):
        nest.call(retry(wait=SOON), retry(wait=SOON, nested="multiply"), model)
    assert len(model.calls) == 3


@colours
def test_the_outer_retries_what_the_inner_never_tried(nest: Nest) -> None:
    """A failure outside the inner one's `on=` is the outer one's business."""
    model = ScriptedModel(ValueError("odd"), "answer")
    got = nest.call(retry(on=ValueError, wait=SOON), retry(), model)
    assert "".join(got) == "answer"


@colours
def test_an_inner_success_after_a_retry_is_a_success(nest: Nest) -> None:
    """Nothing of the inner failures reaches the outer one."""
    model = ScriptedModel(make("server"), "answer")
    assert "".join(nest.call(retry(wait=SOON), retry(wait=SOON), model)) == "answer"
    assert len(model.calls) == 2


@colours
def test_a_stale_exception_is_retried_afresh_in_a_later_call(nest: Nest) -> None:
    """One instance that was given up on is a new failure when it is raised in another call."""
    error = make("server")
    for _ in range(3):
        model = ScriptedModel(error, repeat_last=True)
        with pytest.raises(Exception, match="500"):
            nest.call(retry(wait=SOON), retry(wait=SOON), model)
        assert len(model.calls) == 3
        assert len(notes(error)) == 1


def test_a_stale_exception_within_one_call_is_retried_afresh() -> None:
    """Given up on in one inner call and swallowed, it is a new failure in the next inner call."""
    error = make("server")
    first, second = ScriptedModel(error, repeat_last=True), ScriptedModel(error, "answer")
    ask_first, ask_second = retry(wait=SOON)(first.sync), retry(wait=SOON)(second.sync)

    @retry(wait=SOON)
    def both() -> str:
        try:
            ask_first("?")
        except Exception:
            return str(ask_second("?"))
        return "never"

    with FakeRuntime():
        assert both() == "answer"
    assert (len(first.calls), len(second.calls)) == (3, 2)


def test_two_retries_in_one_chain_do_not_multiply() -> None:
    """Stacked decorators are one chain, and the rule is the same."""
    model = ScriptedModel(make("server"), repeat_last=True)
    stacked = retry(attempts=3, wait=SOON)(retry(attempts=2, wait=SOON)(model.sync))
    with FakeRuntime(), pytest.raises(Exception, match="500"):
        stacked("?")
    assert len(model.calls) == 2


def test_an_inner_call_is_a_child_in_the_report() -> None:
    """The waterfall shows the inner attempts under the outer one's."""
    model = ScriptedModel(make("server"), "answer")
    asks = retry(wait=SOON)(model.sync)

    @guard(retry(wait=SOON))
    def nest() -> Any:
        return asks("?")

    with FakeRuntime(), report() as r:
        nest()
    (outer,) = r.calls
    (inner,) = outer.children
    assert (len(outer.attempts), len(inner.attempts)) == (1, 2)
    assert [type(each) for each in inner.events].count(events.Retried) == 1


def test_an_outer_retry_of_another_failure_still_counts() -> None:
    """The outer one retries its own failures, each time with the inner one's full attempts."""
    model = ScriptedModel(make("server"), "bad", make("server"), "good")
    asks = retry(wait=SOON)(model.sync)

    @retry(on=ValueError, wait=SOON)
    def nest() -> Any:
        answer = asks("?")
        if answer == "bad":
            raise ValueError(answer)
        return answer

    with FakeRuntime():
        assert nest() == "good"
    assert len(model.calls) == 4


def test_a_retry_of_a_client_inside_is_seen_as_one_attempt() -> None:
    """What another library retries inside is not ours to count, nor a reason to give up."""
    import tenacity

    model = ScriptedModel(make("server"), make("server"), "answer")
    theirs = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(2), sleep=lambda seconds: None, reraise=True
    )
    with FakeRuntime():
        assert retry(wait=SOON)(lambda: theirs(model.sync))() == "answer"
    assert len(model.calls) == 3
