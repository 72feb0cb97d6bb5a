"""What a guard adds to each chunk of a stream."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any

from openai.types.chat import ChatCompletionChunk

from agentguard import Call, Next, Policy, Reply, breaker, fallback, guard, retry, timeout
from benchmarks.common import Row, alone, calls, section, yardstick

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

ABOUT = (
    "What is left when the time of the bare stream is taken off that of the guarded one, for each of "
    "2,000 chunks that arrive at once. The chain is guard(fallback, retry, breaker), which has no "
    "steps. tenacity, stamina and pybreaker do not see a stream after it began, and LiteLLM's own "
    "stream costs some 300 us a chunk (see its section)."
)
CHUNKS = 2000
REPEATS = 30
MODELLED = [
    ChatCompletionChunk.model_validate(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m-1",
            "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
        }
    )
    for _ in range(CHUNKS)
]
PLAIN = ["word "] * CHUNKS


class Louder:
    """A step that changes the text."""

    def feed(self, text: str) -> str:
        """Change a piece."""
        return text.upper()

    def flush(self) -> str:
        """Nothing was held back."""
        return ""


class Stepping(Policy):
    """Puts the step on every answer."""

    async def around(self, call: Call, next: Next) -> Reply:
        """Change the answer's text."""
        reply = await next(call)
        reply.transform(Louder)
        return reply


def starts(
    chunks: list[Any],
) -> tuple[Callable[..., Iterator[Any]], Callable[..., AsyncIterator[Any]]]:
    """Make a generator function and an async one of `chunks`."""

    def sync(_: str) -> Iterator[Any]:
        yield from chunks

    async def asynchronous(_: str) -> AsyncIterator[Any]:
        for chunk in chunks:
            yield chunk

    return sync, asynchronous


def drain(start: Callable[[str], Any]) -> float:
    """Seconds that one stream takes to its end."""
    stream = start("question")
    started = perf_counter()
    for _ in stream:
        pass
    return perf_counter() - started


async def adrain(start: Callable[[str], Any]) -> float:
    """Seconds that one asynchronous stream takes to its end."""
    stream = start("question")
    started = perf_counter()
    async for _ in stream:
        pass
    return perf_counter() - started


def guards() -> dict[str, Any]:
    """Build the chains that are measured."""

    def sorry(question: str) -> str:
        return question

    chain = (fallback(sorry), retry(), breaker())
    return {
        "the chain": guard(*chain),
        "the chain and timeout(30)": guard(*chain, timeout(30)),
        "the chain and timeout(30, thread=False)": guard(*chain, timeout(30, thread=False)),
        "the chain and one step": guard(Stepping(), *chain),
    }


def costs(kind: str, what: str, chunks: list[Any]) -> list[Row]:
    """Measure all chains on one kind of stream."""
    sync, asynchronous = starts(chunks)
    fn: Any = sync if kind == "sync" else asynchronous
    cases = {"bare": fn} | {name: each(fn) for name, each in guards().items()}
    best = dict.fromkeys(cases, float("inf"))

    async def measure() -> None:
        for turn in range(REPEATS):
            for name in list(cases) if turn % 2 else reversed(cases):
                taken = drain(cases[name]) if kind == "sync" else await adrain(cases[name])
                best[name] = min(best[name], taken / CHUNKS)

    asyncio.run(measure())
    yard = calls({"yardstick": yardstick})["yardstick"]
    bare = best.pop("bare")
    return [
        alone(
            f"{kind}, {what}: {name}",
            taken - bare,
            yard,
            most_us=1 if name == "the chain" else None,
        )
        for name, taken in best.items()
    ]


def main() -> None:
    """Measure and print."""
    rows: list[Row] = []
    for kind in ("sync", "async"):
        rows += costs(kind, "text", PLAIN)
        rows += costs(kind, "ChatCompletionChunk", MODELLED)
    print(section(ABOUT, rows, "openai"))


if __name__ == "__main__":
    main()
