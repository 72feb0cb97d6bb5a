"""ScriptedModel: one script, every shape."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from typing import Any
from unittest.mock import MagicMock

import pytest

from agentguard.testing import (
    SHAPES,
    Cut,
    FakeRuntime,
    ScriptedModel,
    ScriptEnded,
    Stall,
)
from agentguard.testing.subject import ASYNC, STREAMS, UNARY


def read(model: ScriptedModel, shape: str, *args: Any, **kwargs: Any) -> list[Any]:
    """Call an unguarded shape and return what came."""
    fn = model.shape(shape)
    if shape not in ASYNC:
        answer = fn(*args, **kwargs)
        return list(answer) if shape in STREAMS else [answer]

    async def consume() -> list[Any]:
        answer = fn(*args, **kwargs)
        if inspect.isawaitable(answer):
            answer = await answer
        return [item async for item in answer] if shape in STREAMS else [answer]

    return asyncio.run(consume())


@pytest.mark.parametrize("shape", SHAPES)
def test_entries_are_taken_call_by_call(shape: str) -> None:
    """An answer, an exception, a class of one and a stream come in order, in every shape."""
    error = ConnectionError("reset")
    model = ScriptedModel("hello", error, ValueError, ["a", "b"])
    assert read(model, shape, "q", n=1) == ["hello"]
    with pytest.raises(ConnectionError) as caught:
        read(model, shape)
    assert caught.value is error
    with pytest.raises(ValueError):
        read(model, shape)
    assert "".join(read(model, shape)) == "ab"
    assert model.calls[0][:2] == (("q",), {"n": 1})
    assert len(model.calls) == 4


@pytest.mark.parametrize("shape", SHAPES)
def test_a_script_that_ends_says_so(shape: str) -> None:
    """A call too many is no Exception that a guard could handle, unless the last entry repeats."""
    model = ScriptedModel("only")
    read(model, shape)
    with pytest.raises(ScriptEnded, match="called 2 times and its script has 1"):
        read(model, shape)
    again = ScriptedModel("first", "last", repeat_last=True)
    assert [read(again, shape) for _ in range(4)] == [["first"], *[["last"]] * 3]
    assert not issubclass(ScriptEnded, Exception)


def test_a_script_needs_an_entry() -> None:
    """An empty script is a mistake that shows at once."""
    with pytest.raises(TypeError, match="at least one entry"):
        ScriptedModel()


def test_an_unknown_shape_is_refused() -> None:
    """The error lists the shapes there are."""
    with pytest.raises(ValueError, match="returns_async_stream"):
        ScriptedModel("x").shape("stream")


@pytest.mark.parametrize("shape", SHAPES)
def test_the_flags_are_those_of_the_shape(shape: str) -> None:
    """Each shape is, for inspect, the kind of function that it stands for."""
    fn = ScriptedModel("x").shape(shape)
    assert inspect.iscoroutinefunction(fn) == (shape in {"coroutine", "returns_async_stream"})
    assert inspect.isgeneratorfunction(fn) == (shape == "generator")
    assert inspect.isasyncgenfunction(fn) == (shape == "asyncgen")


def test_a_name_is_for_reports() -> None:
    """Each shape carries the model's name, and two models are two functions."""
    one, two = ScriptedModel("x", name="primary"), ScriptedModel("x", name="backup")
    assert one.sync.__name__ == "primary"
    assert one.sync is one.sync
    assert one.sync is not two.sync
    assert repr(one) == "<scripted primary: 0 calls of 1 scripted>"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_function_makes_the_entry(shape: str) -> None:
    """Functions, lambdas and partials get the call's arguments; what they return is the entry."""

    def raises(question: str) -> ConnectionError:
        return ConnectionError(question)

    model = ScriptedModel(lambda q: f"to {q}", functools.partial(str.replace, "abc", "b"), raises)
    assert read(model, shape, "you") == ["to you"]
    assert read(model, shape, "x") == ["axc"]
    with pytest.raises(ConnectionError, match="why"):
        read(model, shape, "why")


@pytest.mark.parametrize("shape", [shape for shape in ASYNC if shape != "hands_async_stream"])
def test_a_coroutine_function_makes_the_entry_of_an_asynchronous_shape(shape: str) -> None:
    """It is awaited."""

    async def answer(question: str) -> str:
        await asyncio.sleep(0)
        return f"to {question}"

    assert read(ScriptedModel(answer), shape, "you") == ["to you"]


def test_a_callable_object_is_an_answer() -> None:
    """Mocks can be called, and stand for an SDK's answer: they are not taken for functions."""
    answer = MagicMock()
    assert ScriptedModel(answer).sync() is answer
    assert not answer.called


@pytest.mark.parametrize("shape", SHAPES)
def test_stalls_take_virtual_time(shape: str) -> None:
    """A stall waits on the clock in use, and is none of the waits that `slept` lists."""
    with FakeRuntime() as time:
        read(ScriptedModel([Stall(2), "a", Stall(3), "b"]), shape)
        assert time.now == 5
        assert time.slept == []


@pytest.mark.parametrize("shape", STREAMS)
def test_a_stream_s_end_is_counted(shape: str) -> None:
    """A stream that ends, fails or is cut has ended; nothing is left open."""
    model = ScriptedModel(["a"], ["a", ConnectionError("reset")], ["a", Cut(), "b"])
    assert read(model, shape) == ["a"]
    with pytest.raises(ConnectionError):
        read(model, shape)
    assert read(model, shape) == ["a"]
    assert (model.opened, model.ended, model.closed) == (3, 3, 0)


def test_every_close_of_an_open_stream_is_counted() -> None:
    """Closing twice counts twice, closing what has ended does not."""
    model = ScriptedModel(["a", "b"], repeat_last=True)
    stream = model.returns_stream()
    next(stream)
    stream.close()
    stream.close()
    assert (model.opened, model.ended, model.closed) == (1, 0, 2)
    with model.returns_stream() as ended:
        assert list(ended) == ["a", "b"]
    assert (model.opened, model.ended, model.closed) == (2, 1, 2)
    assert list(stream) == []


def test_a_generator_closes_once_however_it_is_left() -> None:
    """close, throw and a cancellation each count as one."""
    model = ScriptedModel(["a", Stall(1), "b"], repeat_last=True)
    left = model.generator()
    next(left)
    left.close()
    thrown = model.generator()
    next(thrown)
    with pytest.raises(KeyError):
        thrown.throw(KeyError("x"))

    async def cancelled() -> None:
        stream = model.asyncgen()
        await anext(stream)
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with FakeRuntime():
        asyncio.run(cancelled())
    assert (model.opened, model.ended, model.closed) == (3, 0, 3)


@pytest.mark.parametrize("shape", UNARY)
def test_a_list_that_is_no_text_stays_a_list(shape: str) -> None:
    """Text items are joined in a unary shape, other items come as a list; both after failures."""
    model = ScriptedModel([1, 2], [], ["a", ConnectionError("reset")])
    assert read(model, shape) == [[1, 2]]
    assert read(model, shape) == [""]
    with pytest.raises(ConnectionError):
        read(model, shape)


def test_threads_share_one_script() -> None:
    """Each entry goes to one call only."""
    model = ScriptedModel(*range(800))
    got: list[int] = []
    threads = [
        threading.Thread(target=lambda: got.extend(model.sync() for _ in range(100)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(got) == list(range(800))
    assert len(model.calls) == 800
