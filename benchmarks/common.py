"""Paired measuring: every figure stands beside its peer's, taken in the same process and minute.

A machine is never quiet and never the same twice, so absolute figures mean little. Cases are run in
turn, A B C C B A, many times over: drift hits all alike, and the least time of each is the one with
the least disturbance in it. The garbage collector stays on, as it is in a program.
"""

from __future__ import annotations

import asyncio
import gc
import platform
from importlib import metadata
from itertools import repeat
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from agentguard import Call, Next, Policy, Reply
from benchmarks.results import table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

REPEATS = 120
SAMPLE_SECONDS = 0.002  # short: some of many are not interrupted, even on a busy machine
REFERENCE_NS = 844.3
"""What `yardstick` takes on the machine for which targets in microseconds were set."""

Figures = dict[str, float]
"""Seconds by case."""


class Noop(Policy):
    """Does nothing: what it costs is the engine."""

    async def around(self, call: Call, next: Next) -> Reply:
        """Pass on."""
        return await next(call)


def ask(question: str) -> str:
    """Stand for a call of a model, without the model."""
    return question


async def aask(question: str) -> str:
    """Do the same asynchronously."""
    return question


async def _leaf() -> None:
    return None


def _around(inner: Callable[[], Awaitable[None]]) -> Callable[[], Coroutine[Any, Any, None]]:
    async def layer() -> None:
        await inner()

    return layer


_layers: Callable[[], Coroutine[Any, Any, None]] = _leaf
for _ in range(10):
    _layers = _around(_layers)


def yardstick(_: object) -> None:
    """Drive ten nested coroutines by hand: what the engine does all the time, without it."""
    coro = _layers()
    try:
        coro.send(None)
    except StopIteration:
        return


def _in_turn(cases: dict[str, Any], repeats: int) -> list[str]:
    names = list(cases)
    return [*names, *reversed(names)] * (repeats // 2 + 1)


def _take(fn: Callable[[Any], object], number: int) -> float:
    started = perf_counter()
    for _ in repeat(None, number):
        fn("question")
    return perf_counter() - started


def calls(cases: dict[str, Callable[[Any], object]], repeats: int = REPEATS) -> Figures:
    """Measure the least seconds that one call of each case takes."""
    numbers = {name: _number(_take(fn, 20) / 20) for name, fn in cases.items()}
    best = dict.fromkeys(cases, float("inf"))
    for name in _in_turn(cases, repeats):
        best[name] = min(best[name], _take(cases[name], numbers[name]) / numbers[name])
    return best


async def _atake(fn: Callable[[Any], Awaitable[object]], number: int) -> float:
    started = perf_counter()
    for _ in repeat(None, number):
        await fn("question")
    return perf_counter() - started


def acalls(cases: dict[str, Callable[[Any], Awaitable[object]]], repeats: int = REPEATS) -> Figures:
    """Measure the same for calls that are awaited, in one event loop."""

    async def measure() -> Figures:
        numbers = {name: _number(await _atake(fn, 20) / 20) for name, fn in cases.items()}
        best = dict.fromkeys(cases, float("inf"))
        for name in _in_turn(cases, repeats):
            taken = await _atake(cases[name], numbers[name])
            best[name] = min(best[name], taken / numbers[name])
        return best

    return asyncio.run(measure())


def _number(seconds: float) -> int:
    return max(3, int(SAMPLE_SECONDS / seconds))


def garbage(fn: Callable[[Any], object], number: int = 10_000) -> int:
    """Count the objects that only the cyclic collector can free after `number` calls."""
    fn("question")
    gc.collect()
    gc.disable()
    try:
        for _ in repeat(None, number):
            fn("question")
        return gc.collect()
    finally:
        gc.enable()


def agarbage(fn: Callable[[Any], Awaitable[object]], number: int = 10_000) -> int:
    """Count the same for calls that are awaited."""

    async def count() -> int:
        await fn("question")
        gc.collect()
        gc.disable()
        try:
            for _ in repeat(None, number):
                await fn("question")
            return gc.collect()
        finally:
            gc.enable()

    return asyncio.run(count())


class Row(NamedTuple):
    """One line of a table, as it is printed."""

    case: str
    ours: str
    peer: str = ""
    ratio: str = ""
    target: str = ""
    reached: str = ""


def us(seconds: float) -> str:
    """Write microseconds."""
    return f"{seconds * 1e6:.3g} us" if seconds < 1e-3 else f"{seconds * 1e6:.0f} us"


def against(
    case: str,
    ours: float,
    peer: float,
    *,
    most: float | None = None,
    least: float | None = None,
    show: Callable[[float], str] = us,
) -> Row:
    """Compare with a peer: the ratio may be at `most`, or must be at `least`, what is given."""
    ratio = ours / peer
    target = reached = ""
    if most is not None:
        target, reached = f"<= {_fraction(most)}", _yes(ratio <= most)
    if least is not None:
        target, reached = f">= {least:g}", _yes(ratio >= least)
    return Row(case, show(ours), show(peer), _fraction(ratio), target, reached)


def alone(case: str, seconds: float, yard: float, *, most_us: float | None = None) -> Row:
    """Show a cost by itself, in this machine's microseconds and the reference machine's."""
    reference = seconds * REFERENCE_NS * 1e-9 / yard
    ours = f"{us(seconds)} ({us(reference)} on the reference)"
    if most_us is None:
        return Row(case, ours)
    return Row(
        case,
        ours,
        target=f"<= {most_us:g} us on the reference",
        reached=_yes(reference * 1e6 <= most_us),
    )


def none_left(case: str, ours: int, peer: int | None = None) -> Row:
    """Compare counts of which ours must be nothing."""
    return Row(case, str(ours), "" if peer is None else str(peer), "", "0", _yes(ours == 0))


def _yes(reached: object) -> str:
    return "yes" if reached else "**no**"


def _fraction(ratio: float) -> str:
    return f"1/{1 / ratio:.0f}" if ratio < 0.05 else f"{ratio:.2f}"


def versions(*packages: str) -> str:
    """Say what was measured: the interpreter, agentguard and these distributions."""
    names = ["agentguard-decorators", *packages]
    parts = [f"CPython {platform.python_version()}"]
    parts += [f"{name} {metadata.version(name)}" for name in names]
    return ", ".join(parts)


def section(
    about: str, rows: list[Row], *packages: str, ours: str = "agentguard", peer: str = "peer"
) -> str:
    """Lay out the answer to one question."""
    header = ["case", ours, peer, "ratio", "target", "reached"]
    return f"{about}\n\n{versions(*packages)}.\n\n{table(header, [list(row) for row in rows])}\n"
