"""What users hand over by mistake, and what providers quote back, never reaches a text of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Self

import pytest

from agentguard import Policy, RetryBudget, breaker, deadline, guard, observe, retry, timeout

SECRET = "sk-test-of-somebody"


class Settings:
    """An object whose repr shows a key, as those of settings and clients may."""

    def __repr__(self) -> str:
        return f"Settings(api_key={SECRET!r})"


SETTINGS: Any = Settings()


WRONG: dict[str, Callable[[], object]] = {
    "timeout": lambda: timeout(SETTINGS),
    "total": lambda: timeout(total=SETTINGS),
    "attempts": lambda: retry(attempts=SETTINGS),
    "hold": lambda: retry(hold=SETTINGS),
    "within": lambda: retry(within=SETTINGS),
    "window": lambda: breaker(window=SETTINGS),
    "failure_rate": lambda: breaker(failure_rate=SETTINGS),
    "on_store_failure": lambda: breaker(on_store_failure=SETTINGS),
    "deadline": lambda: deadline(SETTINGS),
    "capacity": lambda: RetryBudget(SETTINGS),
    "abandon_after": lambda: guard(retry(), abandon_after=SETTINGS),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_argument_is_told_by_its_type(wrong: Callable[[], object]) -> None:
    """The message names the setting and the type of what was given, never its repr."""
    with pytest.raises((TypeError, ValueError)) as told:
        wrong()
    assert SECRET not in str(told.value)
    assert "Settings" in str(told.value)


class Items:
    """A stream that cannot be closed, and says so in words that quote the prompt."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        return "x"

    def close(self) -> None:
        raise ConnectionError(f"cannot close the answer to {SECRET!r}")


def test_a_logged_failure_keeps_its_text_to_itself(caplog: pytest.LogCaptureFixture) -> None:
    """The log has where it failed and with which type, but not the exception's own words."""

    @retry
    def ask(prompt: str) -> Items:
        return Items()

    stream: Any = ask(SECRET)
    next(stream)
    stream.close()
    (record,) = caplog.records
    shown = logging.Formatter().format(record)
    assert "closing a stream failed (ConnectionError)" in shown
    assert "in close" in shown  # the frames are there
    assert SECRET not in shown


def test_a_failing_hook_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """A hook of the user's may raise with the answer in its message, or from an error with it."""

    class Watch(Policy):
        async def around(self, call: Any, next: Any) -> Any:
            return await observe(next(call), self.ended)

        def ended(self, outcome: Any) -> None:
            try:
                raise KeyError(SECRET)
            except KeyError as error:
                raise ValueError(f"cannot file {SECRET!r}") from error

    assert Watch()(lambda prompt: "42")(SECRET) == "42"
    (record,) = caplog.records
    shown = logging.Formatter().format(record)
    assert "ValueError" in shown
    assert SECRET not in shown
