"""What searching for personal data costs, beside peers; how long it holds on; that it is linear.

Runs in `.venvs/pii`. Each detector has a process of its own, since google-re2 must be there for
one and not for the other; they are asked in turn, so that drift hits all alike.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import threading
import time
from math import log2
from typing import TYPE_CHECKING, Any

from benchmarks.pii import inputs
from benchmarks.results import table

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

MEGABYTE = 1_000_000
ROUNDS = 15


def finder(name: str) -> Callable[[str], object]:
    """Set a detector up in this process."""
    from benchmarks.pii import peers

    peers.quiet()
    if name == "datafog":
        return peers.datafog()
    if name == "presidio":
        return peers.presidio()
    if name == "re":
        sys.modules["re2"] = None  # type: ignore[assignment]
    from agentguard import detect

    return detect.find


def serve(name: str, pipe: Connection) -> None:
    """Search each text that comes, and send back the seconds."""
    find = finder(name)
    find("warm up with jane@example.com and 010-1234-5678")
    while (text := pipe.recv()) is not None:
        started = time.perf_counter()
        find(text)
        pipe.send(time.perf_counter() - started)


class Contestant:
    """A detector in a process of its own."""

    def __init__(self, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(name, other), daemon=True)
        self.process.start()

    def seconds(self, text: str) -> float:
        """Return what one search takes."""
        self.pipe.send(text)
        return self.pipe.recv()

    def end(self) -> None:
        """Let the process end."""
        self.pipe.send(None)
        self.process.join()


def throughput() -> str:
    """Search a megabyte of chat with each; Presidio, which is slow, a tenth of it."""
    names = ["re", "re2", "datafog", "presidio"]
    contestants = {name: Contestant(name) for name in names}
    rows: list[list[str]] = []
    for every in (inputs.EVERY, 10 * inputs.EVERY):
        text, part = inputs.chat(MEGABYTE, every), inputs.chat(MEGABYTE // 10, every)
        rates = dict.fromkeys(names, 0.0)
        for turn in range(ROUNDS):
            for name in names if turn % 2 else reversed(names):
                given = part if name == "presidio" else text
                if name != "presidio" or turn < 2:
                    seconds = contestants[name].seconds(given)
                    rates[name] = max(rates[name], len(given.encode()) / seconds / MEGABYTE)
        rows += _compared(f"a value in one line of {every}", rates)
    for each in contestants.values():
        each.end()
    return table(["1 MB of chat", "agentguard", "peer", "ratio", "target", "reached"], rows)


def _compared(text: str, rates: dict[str, float]) -> list[list[str]]:
    rows: list[list[str]] = []
    for name, ours, peer, least in (
        ("re alone, beside datafog (rust)", "re", "datafog", 1.3),
        ("google-re2, beside datafog (rust)", "re2", "datafog", 4),
        ("re alone, beside Presidio's patterns", "re", "presidio", 20),
    ):
        ratio = rates[ours] / rates[peer]
        reached = "yes" if ratio >= least else "**no**"
        shown = [f"{rates[ours]:.2f} MB/s", f"{rates[peer]:.2f} MB/s", f"{ratio:.2f}"]
        rows.append([f"{text}: {name}", *shown, f">= {least:g}", reached])
    return rows


def held(work: Callable[[], object]) -> float:
    """Return the longest time that another thread had to wait for the interpreter."""
    longest = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal longest
        while not done.is_set():
            before = time.perf_counter()
            time.sleep(0.0005)
            longest = max(longest, time.perf_counter() - before - 0.0005)

    watcher = threading.Thread(target=watch)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # what is left is what cannot be interrupted
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
        sys.setswitchinterval(usual)
    return longest


def lag(work: Callable[[], Any]) -> float:
    """Return the longest time that an event loop did not come round while a coroutine worked."""

    async def measure() -> float:
        longest = 0.0

        async def tick() -> None:
            nonlocal longest
            while True:
                before = time.perf_counter()
                await asyncio.sleep(0.0005)
                longest = max(longest, time.perf_counter() - before - 0.0005)

        ticker = asyncio.create_task(tick())
        await asyncio.sleep(0.02)
        await work()
        ticker.cancel()
        return longest

    return asyncio.run(measure())


def holding() -> str:
    """Search and mask four megabytes beside another thread and on an event loop."""
    import agentguard as ag

    text = inputs.chat(4 * MEGABYTE)

    @ag.guard(ag.mask_pii())
    async def ask(prompt: str) -> str:
        return prompt[:2]

    def idle() -> None:
        time.sleep(0.5)

    async def aidle() -> None:
        await asyncio.sleep(0.5)

    cases: dict[str, Callable[[], float]] = {
        "another thread waits for a search": lambda: held(lambda: ag.detect.find(text)),
        "another thread waits, nothing running": lambda: held(idle),
        "an event loop waits for a guarded call": lambda: lag(lambda: ask(text)),
        "an event loop waits, nothing running": lambda: lag(aidle),
    }
    rows = [[name, _least(case)] for name, case in cases.items()]
    return table(["4 MB of chat", "longest of a run, the least of five runs"], rows)


def _least(measure: Callable[[], float]) -> str:
    return f"{min(measure() for _ in range(5)) * 1e3:.1f} ms"


def linear() -> str:
    """Double every adversarial input: twice the text may take twice the time."""
    from agentguard import detect

    half, whole = inputs.adversarial(MEGABYTE // 2), inputs.adversarial(MEGABYTE)
    rows: list[list[str]] = []
    for name, text in whole.items():
        least, most = _in_turn(detect.find, half[name], text)
        # As fast as this, what differs is noise.
        verdict = "yes" if log2(most / least) < 1.4 or most < 0.05 else "**no**"
        rows.append([f"`{name}`", f"{most * 1e3:.0f} ms", f"{most / least:.2f}", verdict])
    rows.sort(key=lambda row: -float(row[1].split()[0]))
    return table(["1,000,000 characters of", "time", "beside 500,000", "linear"], rows)


def _in_turn(find: Callable[[str], object], half: str, whole: str) -> tuple[float, float]:
    """Return the least seconds of each, taken in turn for two seconds and twice at least."""
    least = most = float("inf")
    spent = 0.0
    turn = 0
    while spent < 2.0 or turn < 2:
        least, most = min(least, _seconds(find, half)), min(most, (took := _seconds(find, whole)))
        spent, turn = spent + took, turn + 1
    return least, most


def _seconds(find: Callable[[str], object], text: str) -> float:
    started = time.perf_counter()
    find(text)
    return time.perf_counter() - started


PROMPT = " ".join(inputs.ENGLISH[:8]) + " " + " ".join(inputs.ENGLISH[:4])
KOREAN = " ".join(inputs.KOREAN)


def call() -> str:
    """Guard a call with and without the mask, on prompts of about 200 tokens."""
    import agentguard as ag
    from benchmarks.common import Noop, ask, calls, us

    hits = "call 010-2345-6789 or write to jane@example.com, card 4242 4242 4242 4242. "
    bare = ag.guard(Noop())(ask)
    guarded = ag.guard(ag.mask_pii())(ask)
    rows: list[list[str]] = []
    prompts = {"English, nothing to mask": PROMPT, "Korean, nothing to mask": KOREAN}
    prompts["English, three values, restored in the answer"] = hits + PROMPT
    for name, prompt in prompts.items():
        took = calls(
            {"bare": lambda _, p=prompt: bare(p), "masked": lambda _, p=prompt: guarded(p)}, 30
        )
        tokens = ag.count_tokens(prompt, "gpt-4o")
        rows.append([name, str(tokens), us(took["masked"] - took["bare"])])
    return table(["prompt", "tokens", "mask_pii adds"], rows)


def main() -> None:
    """Measure and print."""
    from benchmarks.common import versions

    print(
        "A megabyte of chat, English and Korean, with few values; all types on. Each detector in "
        "a process of its own, asked in turn, its best of fifteen (Presidio: of two, on a tenth of the text).\n"
    )
    packages = ("datafog", "datafog-core", "presidio-analyzer", "google-re2")
    print(f"{versions(*packages)}.\n")
    for part in (throughput, holding, linear, call):
        print(part(), flush=True)
        print(flush=True)


if __name__ == "__main__":
    main()
