"""A breaker must neither lock itself in nor stand there doing nothing unnoticed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentguard import breaker, errors
from agentguard.testing import FakeRuntime


def test_a_function_that_calls_itself_passes_its_own_trial() -> None:
    """The calls inside a trial belong to it: refused, the circuit could never close again."""
    policy, down = breaker(fail_max=1, reset_timeout=10), True

    @policy
    def agent(steps: int) -> int:
        if down:
            raise ConnectionError("down")
        return 0 if steps == 0 else 1 + agent(steps - 1)

    with FakeRuntime() as time:
        with pytest.raises(ConnectionError):
            agent(2)
        time.advance(11)
        down = False
        assert agent(2) == 2
        assert policy.states() == {agent.__qualname__.rpartition(".")[2]: "closed"}


def test_a_nested_call_of_the_same_circuit_passes_its_trial_in_async_code_too() -> None:
    """Two functions on one circuit, one calling the other in a task of its own."""
    policy, down = breaker(fail_max=1, reset_timeout=10, key=lambda call: "one"), True

    @policy
    async def ask() -> str:
        if down:
            raise ConnectionError("down")
        return "42"

    @policy
    async def agent() -> str:
        return await asyncio.ensure_future(ask())

    async def main() -> None:
        nonlocal down
        with FakeRuntime() as time:
            with pytest.raises(ConnectionError):
                await agent()
            time.advance(11)
            down = False
            assert await agent() == "42"
            assert policy.states() == {"one": "closed"}

    asyncio.run(main())


def test_others_are_still_refused_while_a_trial_runs() -> None:
    """Only what the trial itself calls passes with it."""
    policy, inside = breaker(fail_max=1, reset_timeout=10), False

    @policy
    def ask() -> str:
        if not inside:
            raise ConnectionError("down")
        refused: list[Any] = []

        def other() -> None:
            try:
                ask()
            except errors.CircuitOpen as error:
                refused.append(error)

        import contextvars
        import threading

        thread = threading.Thread(target=contextvars.Context().run, args=(other,))
        thread.start()
        thread.join()
        return f"refused {len(refused)}"

    with FakeRuntime() as time:
        with pytest.raises(ConnectionError):
            ask()
        time.advance(11)
        inside = True
        assert ask() == "refused 1"


@pytest.mark.parametrize("wrong", [object(), "redis://localhost"], ids=["object", "url"])
def test_what_is_no_storage_is_refused_when_it_is_passed(wrong: Any) -> None:
    """A Redis client in place of a storage would switch the breaker off without a word."""
    with pytest.raises(TypeError, match="CircuitRedisStorage"):
        breaker(state_storage=wrong)


def test_a_storage_that_is_lost_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """With nobody listening to events, an outage of the storage would be silent."""

    def unreachable(name: str) -> Any:
        raise ConnectionError("no route")

    @breaker(state_storage=unreachable)
    def ask() -> str:
        return "42"

    assert [ask(), ask()] == ["42", "42"]
    assert [record.name for record in caplog.records] == ["agentguard"]
    assert "storage" in caplog.text
