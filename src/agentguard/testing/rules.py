"""The rules of `check_policy` that one call at a time can show."""

from __future__ import annotations

import copy
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

from agentguard.engine.chain import Policy
from agentguard.errors import GuardError
from agentguard.testing.model import ScriptedModel
from agentguard.testing.subject import STREAMS, UNARY, Listening, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Reply
    from agentguard.testing.subject import Run

    Make = Callable[[], Policy]

__all__ = [
    "closes_streams_once",
    "has_a_name",
    "is_the_same_in_every_shape",
    "leaves_the_call_alone",
    "never_suspends",
    "passes_exceptions_on",
    "survives_its_listeners",
]


class _Interrupt(BaseException):
    """No failure, like KeyboardInterrupt."""


class _Scenario:
    """One thing that a model does, and how its answer is read."""

    def __init__(
        self, what: str, *script: Any, read: int | None = None, drop: bool = False
    ) -> None:
        self.what = what
        self.script = script
        self.read = read
        self.drop = drop

    def run(self, policy: Policy, shape: str, *, listener: Any = None) -> tuple[Run, ScriptedModel]:
        """Play it under `policy`."""
        model = ScriptedModel(*self.script, repeat_last=True)
        blocks = () if listener is None else (Listening(listener),)
        subject = Subject(shape, [policy], model, blocks)
        asked = {"stream": True} if shape in STREAMS else {}  # as SDKs are asked for a stream
        return subject.call("hi", read=self.read, drop=self.drop, **asked), model


_ANSWERS: Final = (
    _Scenario("an answer", "answer"),
    _Scenario("a failure and then an answer", ConnectionError("reset"), "answer"),
    _Scenario("nothing but failures", ConnectionError("reset")),
    _Scenario("an unknown failure", ValueError("unknown")),
)
_READ: Final = (
    _Scenario("a stream", ["a", "b", "c"]),
    _Scenario("a failure and then a stream", ConnectionError("reset"), ["a", "b"]),
    _Scenario("a stream that fails at once", [ConnectionError("reset")], ["a", "b"]),
    _Scenario("a stream that fails half-way", ["a", ConnectionError("reset"), "b"]),
    _Scenario("an empty stream", []),
)
_LEFT: Final = (
    _Scenario("a stream closed half-way", ["a", "b", "c"], read=1),
    _Scenario("a stream let go half-way", ["a", "b", "c"], read=1, drop=True),
)


def has_a_name(policy: Policy) -> None:
    """It has a name and a repr."""
    if not policy.name or not isinstance(policy.name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        _broken(policy, "has no name: `name` is what guard.without(name) and reports call it")
    shown = repr(policy)
    if not shown or f" at {hex(id(policy))[:4]}" in shown:
        raise AssertionError(
            f"the policy {policy.name} has no repr of its own, and guards are printed: write "
            "__repr__, or leave Policy's"
        )


def never_suspends(make: Make) -> None:
    """A sync call is driven by one `send(None)`: whatever waits goes through `call.runtime`."""
    for shape in ("sync", "generator", "returns_stream"):
        for scenario in _READ if shape in STREAMS else _ANSWERS:
            policy = make()
            run, _ = scenario.run(policy, shape)
            if suspended(run.error):
                _broken(
                    policy,
                    f"suspends in a sync call ({shape}, {scenario.what}): wait through "
                    "call.runtime (sleep, blocking), and await nothing else but next(call)",
                )


def suspended(error: BaseException | None) -> bool:
    """Whether the driver of sync calls complained, or asyncio, which has no loop in one."""
    if error is None or isinstance(error, GuardError):
        return False
    if isinstance(error, RuntimeError) and "awaited something of its own" in str(error):
        return True
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and str(place.tb_frame.f_globals.get("__name__")).startswith("asyncio")


def is_the_same_in_every_shape(make: Make) -> None:
    """Results, waits and events do not depend on the shape of the callable."""
    for shapes, scenarios in ((UNARY, _ANSWERS), (STREAMS, (*_READ, *_LEFT))):
        for scenario in scenarios:
            first = None
            for shape in shapes:
                policy = make()
                seen = _seen(scenario.run(policy, shape)[0])
                if first is None:
                    first = seen
                elif seen != first:
                    _broken(
                        policy,
                        f"depends on the shape of the callable. After {scenario.what}\n"
                        f"  {shapes[0]}: {_differing(first, seen)}\n"
                        f"  {shape}: {_differing(seen, first)}",
                    )


def _seen(run: Run) -> dict[str, object]:
    error = None if run.error is None else (type(run.error), str(run.error))
    return {
        "items": run.items,
        "error": error,
        "calls of the model": [(call.args, call.at) for call in run.calls],
        "waits": run.slept,
        "outcome": run.outcome,
        "events": [type(event).__name__ for event in run.events],
        "attempts": run.attempts,
        "time taken": run.now,
    }


def _differing(mine: dict[str, object], other: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in mine.items() if value != other[key]}


def passes_exceptions_on(make: Make) -> None:
    """What the model raises comes out as the same object."""
    for error in (ConnectionError("reset"), ValueError("unknown"), KeyError("key"), _Interrupt()):
        for shape in ("sync", "coroutine", "generator", "returns_async_stream"):
            policy = make()
            run, _ = _Scenario("", error).run(policy, shape)
            if run.error is error:
                continue
            if isinstance(error, _Interrupt):
                _broken(
                    policy,
                    f"swallows a BaseException ({shape}): what is no Exception (an exit, a "
                    "cancellation) passes through every policy",
                )
            if run.error is not None and not isinstance(run.error, GuardError):
                _broken(
                    policy,
                    f"raises a {type(run.error).__name__} in place of the model's own "
                    f"{type(error).__name__} ({shape}): pass it on as it is, or refuse with a "
                    "GuardError",
                )


class _Before(Policy):
    """Outermost: looks whether the call that it passes on is changed."""

    name = "before"

    def __init__(self) -> None:
        self.changed: list[str] = []

    async def around(self, call: Call, next: Next) -> Reply:
        slots = {slot: getattr(call, slot) for slot in type(call).__slots__}
        inside = copy.deepcopy((call.args, call.kwargs))
        try:
            return await next(call)
        finally:
            self.changed += [s for s, value in slots.items() if getattr(call, s) is not value]
            if (call.args, call.kwargs) != inside:
                self.changed.append("arguments")


def leaves_the_call_alone(make: Make) -> None:
    """A call is never changed, since what stands further out goes on to use it."""
    for scenario in _ANSWERS:
        for shape in ("sync", "coroutine"):
            policy, before = make(), _Before()
            model = ScriptedModel(*scenario.script, repeat_last=True)
            Subject(shape, [before, policy], model).call(
                [1, 2], messages=[{"role": "user", "content": "hi"}], temperature=0
            )
            if before.changed:
                _broken(
                    policy,
                    f"changes the call that it is given ({', '.join(sorted(set(before.changed)))}; "
                    f"{shape}, {scenario.what}): make another with call.replace(...)",
                )


def closes_streams_once(make: Make) -> None:
    """No stream stays open, and none is closed twice."""
    for scenario in (*_READ, *_LEFT):
        for shape in STREAMS:
            policy = make()
            run, model = scenario.run(policy, shape)
            closed_once(policy, model, f"{shape}, {scenario.what}")
            if len(run.outcomes) != 1:
                _broken(
                    policy,
                    f"leaves {len(run.outcomes)} outcomes of one stream ({shape}, "
                    f"{scenario.what}): watch it with `return await observe(next(call), hook)` and "
                    "leave its source to the engine",
                )


def closed_once(policy: Policy, model: ScriptedModel, where: str) -> None:
    """Every stream of `model` has ended or was closed, once."""
    ended = model.ended + model.closed
    if ended < model.opened:
        _broken(
            policy,
            f"leaves {model.opened - ended} of {model.opened} streams open ({where}): await "
            "reply.discard() for each reply that is not returned",
        )
    if ended > model.opened:
        _broken(
            policy,
            f"closes a stream more than once ({where}): leave it to reply.discard() and the engine",
        )


def survives_its_listeners(make: Make) -> None:
    """A listener that raises changes nothing."""

    def listener(_: object) -> None:
        raise ValueError("a listener of the contract")

    for scenario, shape in ((s, h) for s in _ANSWERS for h in ("sync", "coroutine")):
        policy = make()
        expected = _seen(scenario.run(make(), shape)[0])
        with _unlogged():
            seen = _seen(scenario.run(policy, shape, listener=listener)[0])
        if seen != expected:
            _broken(
                policy,
                f"does not survive a listener that raises ({shape}, {scenario.what}): "
                f"{_differing(seen, expected)}. Emit events with call.emit(...)",
            )


@contextmanager
def _unlogged() -> Generator[None, None, None]:
    """The engine logs what listeners raise; here it is on purpose."""
    logger = logging.getLogger("agentguard")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _broken(policy: Policy, what: str) -> NoReturn:
    raise AssertionError(f"the policy {policy!r} {what}")
