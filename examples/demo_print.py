"""The demo's picture: a line of time for each side, and a table."""

from __future__ import annotations

import os
import statistics
import sys
from typing import TYPE_CHECKING

from demo_callers import CALLERS, PATIENCE
from demo_weather import FORECAST, SLICE, SLICES

from agentguard import events

if TYPE_CHECKING:
    from demo import Answer

INK = "?X!FR."
"""What a slice of time shows: the worst that happened in it, worst first."""

COLOURS = {".": 32, "R": 32, "F": 36, "!": 33, "X": 31, "?": 35}

LEGEND = """
    .  answered          R  answered, after another request     F  answered by the fallback
    X  error             !  error in mid-answer, and the application was told what had arrived
    ?  half an answer that looks like a whole one
"""

AFTERWARDS = """
On your own code: put a guard around your client. Nothing else changes.

    import agentguard as ag

    client = ag.guard(
        ag.cache(ttl="1h"), ag.budget(usd=0.05, per="request"),
        ag.fallback(another.chat.completions.create), ag.retry(), ag.breaker(), ag.timeout(30),
        ag.prompt_cache(),
    )(client)                   # or above a function, coroutine function or generator of yours

    with ag.report() as r, ag.usage() as u:
        ask("Why is the sky blue?")
    print(r)                    # what happened inside, call by call
    print(u)                    # tokens and dollars, by model, user or tenant
"""


def opening() -> None:
    questions, seconds = SLICES * len(CALLERS), SLICES * SLICE
    print(
        f"{questions} questions in {seconds:.0f} seconds through {', '.join(CALLERS)}, twice:\n"
        f"  bare     the SDKs as they come (they retry twice), timeout {PATIENCE:g} s, not 600\n"
        f"  guarded  the same with guarded clients: fallback, retry, breaker, timeout {PATIENCE:g} s\n",
        flush=True,
    )


def results(bare: list[Answer], guarded: list[Answer]) -> None:
    print(f"{'':9}{''.join(_label(spell.name, spell.slices) for spell in FORECAST)}")
    print(f"bare     {timeline(bare)}")
    print(f"guarded  {timeline(guarded)}")
    print(f"circuits {circuits(guarded)}    o opens, c closes")
    print(LEGEND)
    print(f"{'':42}{'bare':>10}{'guarded':>10}")
    for label, one, other in rows(bare, guarded):
        print(f"{label:42}{one:>10}{other:>10}")
    print("\nOne guarded call, from inside:\n")
    print(_indented(str(liveliest(guarded).report)), flush=True)


def closing() -> None:
    print(AFTERWARDS)


def ink(answer: Answer) -> str:
    """One character for what became of one question."""
    if answer.half:
        return "?"
    if answer.error is not None:
        return "!" if answer.told else "X"
    if answer.events(events.FellBack):
        return "F"
    return "R" if answer.requests > 1 else "."


def painted(line: str) -> str:
    """The line in colours, where a terminal shows it."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return line
    return "".join(f"\033[{COLOURS[each]}m{each}\033[0m" for each in line)


def timeline(answers: list[Answer]) -> str:
    worst = ["."] * SLICES
    for answer in answers:
        at = answer.question.slice
        worst[at] = min(worst[at], ink(answer), key=INK.index)
    return painted("".join(worst))


def circuits(answers: list[Answer]) -> str:
    line = [" "] * SLICES
    for answer in answers:
        if answer.events(events.CircuitClosed):
            line[answer.question.slice] = "c"
        if answer.events(events.CircuitOpened):
            line[answer.question.slice] = "o"
    return "".join(line)


def rows(*sides: list[Answer]) -> list[tuple[str, str, str]]:
    """The table: a label, and a figure for each side."""

    def row(label: str, *figures: object) -> tuple[str, str, str]:
        one, other = map(str, figures)
        return label, one, other

    return [
        row("answered whole", *(sum(a.whole for a in side) for side in sides)),
        row("  half of them within", *(quantile(side, 50) for side in sides)),
        row("  95 % of them within", *(quantile(side, 95) for side in sides)),
        row("half answers that look like whole ones", *(sum(a.half for a in s) for s in sides)),
        row("errors", *(sum(a.error is not None for a in side) for side in sides)),
        row(
            "  of these in mid-answer, told with the text", *(sum(a.told for a in s) for s in sides)
        ),
        row("requests to the provider", *(sum(a.requests for a in side) for side in sides)),
        row("answered by the fallback", "-", count(sides[1], events.FellBack)),
        row("circuits opened", "-", count(sides[1], events.CircuitOpened)),
        row("circuits closed again", "-", count(sides[1], events.CircuitClosed)),
    ]


def quantile(answers: list[Answer], percent: int) -> str:
    seconds = [answer.seconds for answer in answers if answer.whole]
    return f"{statistics.quantiles(seconds, n=100)[percent - 1]:.2f} s" if len(seconds) > 1 else "-"


def count(answers: list[Answer], kind: type[events.Event]) -> int:
    return sum(answer.events(kind) for answer in answers)


def liveliest(answers: list[Answer]) -> Answer:
    """An answer that took retries and the fallback too, if there is one."""
    return max(answers, key=lambda a: (a.whole, a.events(events.FellBack), a.requests))


def _label(name: str, width: int) -> str:
    return f"|{name}"[:width].ljust(width)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
