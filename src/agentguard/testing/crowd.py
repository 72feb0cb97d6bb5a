"""The rules of `check_policy` about many calls at once, and about calls that are cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine.guard import guard
from agentguard.errors import GuardError
from agentguard.testing.cancel import cancel_everywhere
from agentguard.testing.clock import FakeRuntime, StandStill
from agentguard.testing.model import ScriptedModel
from agentguard.testing.rules import closed_once, suspended
from agentguard.testing.stream import Stall

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from agentguard.engine.chain import Policy

    Make = Callable[[], Policy]

__all__ = ["passes_cancellation_on", "serves_tasks_at_once", "serves_threads_at_once"]

_CROWD: Final = 32
_ROUNDS: Final = 4  # calls of each thread and task
_MEETING: Final = 0.3  # real seconds: spent only on a policy that lets in one call at a time
_JOIN: Final = 20.0  # real seconds for all threads to end


def passes_cancellation_on(make: Make) -> None:
    """A cancellation at any await comes out, and what the call had taken is given back."""
    scripts: tuple[tuple[Any, ...], ...] = (
        ([Stall(1), "a", Stall(1), "b"],),
        (ConnectionError("reset"), ConnectionError("reset"), [Stall(1), "a"]),
    )
    for shape in ("coroutine", "asyncgen", "returns_async_stream"):
        for script in scripts:
            asyncio.run(_cancelled(make, shape, script))


async def _cancelled(make: Make, shape: str, script: tuple[Any, ...]) -> None:
    policy = make()
    models: list[ScriptedModel] = []
    with FakeRuntime() as fake:

        def once() -> Coroutine[Any, Any, None]:
            models.append(ScriptedModel(*script, repeat_last=True))
            return _read(guard(policy)(models[-1].shape(shape)))

        def check() -> None:
            closed_once(policy, models[-1], f"{shape}, cancelled at await number {len(models)}")

        try:
            await cancel_everywhere(_tolerant(once), check)
        except AssertionError as error:
            raise AssertionError(
                f"the policy {policy!r} does not pass cancellation on ({shape}): {error}"
            ) from error
        fake.advance(3600)
        after, fresh = await _several(policy, shape), await _several(make(), shape)
    if after != fresh:
        raise AssertionError(
            f"the policy {policy!r} does not give back what a cancelled call had taken ({shape}): "
            f"afterwards 8 calls at once give {after}, and {fresh} with a fresh policy. Release in "
            "`observe(next(call), hook)`, which hears of cancelled calls too"
        )


def _tolerant(
    make: Callable[[], Coroutine[Any, Any, None]],
) -> Callable[[], Coroutine[Any, Any, None]]:
    """The call's own failures are not what is checked here."""

    async def run() -> None:
        with contextlib.suppress(Exception):  # a cancellation is no Exception
            await make()

    return run


async def _read(fn: Callable[..., Any]) -> None:
    answer: Any = fn("hi")
    if hasattr(answer, "__await__"):
        answer = await answer
    if hasattr(answer, "__anext__"):
        try:
            async for _ in answer:
                pass
        finally:
            await answer.aclose()


async def _several(policy: Policy, shape: str) -> list[str]:
    """How 8 calls at once end."""
    model = ScriptedModel([Stall(1), "a"], repeat_last=True)
    fn = guard(policy)(model.shape(shape))
    ends = await asyncio.gather(*(_read(fn) for _ in range(8)), return_exceptions=True)
    return sorted("an answer" if end is None else type(end).__name__ for end in ends)


def serves_threads_at_once(make: Make) -> None:
    """32 threads call at once, and each gets its own answer."""
    policy, expected = make(), _alone(make)
    fn = guard(policy)(_echoing(_Meeting()).sync)
    got: dict[int, object] = {}
    began = threading.Barrier(_CROWD)

    def work(first: int) -> None:
        began.wait()
        for number in range(first, first + _ROUNDS):
            try:
                got[number] = fn(number)
            except BaseException as error:
                got[number] = error

    threads = [
        threading.Thread(target=work, args=(each * _ROUNDS,), daemon=True) for each in range(_CROWD)
    ]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # lets threads change places within a few lines
    try:
        with FakeRuntime():
            for thread in threads:
                thread.start()
            end = time.monotonic() + _JOIN
            for thread in threads:
                thread.join(max(0.0, end - time.monotonic()))
    finally:
        sys.setswitchinterval(interval)
    _compare(policy, got, expected, f"{_CROWD} threads")


def serves_tasks_at_once(make: Make) -> None:
    """32 tasks call at once, and each gets its own answer."""
    policy, expected = make(), _alone(make)
    fn = guard(policy)(_echoing().coroutine)
    got: dict[int, object] = {}

    async def work(first: int) -> None:
        for number in range(first, first + _ROUNDS):
            try:
                got[number] = await fn(number)
            except (Exception, StandStill) as error:
                got[number] = error

    async def crowd() -> None:
        await asyncio.gather(*(work(each * _ROUNDS) for each in range(_CROWD)))

    with FakeRuntime():
        asyncio.run(crowd())
    _compare(policy, got, expected, f"{_CROWD} tasks")


class _Meeting:
    """Holds the first call inside the model until a second one is there, or cannot get there."""

    def __init__(self) -> None:
        self._first = threading.Lock()
        self._second = threading.Event()

    def __call__(self) -> None:
        if self._first.acquire(blocking=False):
            self._second.wait(_MEETING)
        else:
            self._second.set()


def _echoing(meet: Callable[[], None] | None = None) -> ScriptedModel:
    """Answers each call with its own number, after a moment that lets others in."""

    def echo(number: int) -> list[object]:
        if meet is not None:
            meet()
        return [Stall(0.01), f"answer {number}"]

    return ScriptedModel(echo, repeat_last=True)


def _alone(make: Make) -> list[object]:
    """What each call gets from a policy of its own."""
    answers: list[object] = []
    with FakeRuntime():
        for number in range(_CROWD * _ROUNDS):
            try:
                answers.append(guard(make())(_echoing().sync)(number))
            except Exception as error:
                answers.append(error)
    return answers


def _compare(policy: Policy, got: dict[int, object], expected: Sequence[object], who: str) -> None:
    for number, wanted in enumerate(expected):
        mine = got.get(number, "nothing: the call hangs")
        if isinstance(mine, BaseException) and suspended(mine):
            raise AssertionError(
                f"the policy {policy!r} suspends in a sync call when {who} call at once: a lock of "
                "asyncio works until it is contended. Hold a threading.Lock for a few lines instead"
            )
        if mine == wanted or isinstance(
            mine, GuardError
        ):  # refusing under load is a policy's right
            continue
        if type(mine) is type(wanted) and isinstance(mine, Exception):
            continue
        raise AssertionError(
            f"the policy {policy!r} mixes up calls when {who} call at once: call {number} got "
            f"{mine!r} in place of {wanted!r}. Keep what belongs to one call in variables of "
            "`around`, not on the policy"
        )
