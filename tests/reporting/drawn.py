"""Reports of made-up calls on a made-up clock: the same ones every time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import agentguard as ag
from agentguard.testing import FakeRuntime


def chunk(model: str, text: str = "", tokens: tuple[int, int] | None = None) -> dict[str, Any]:
    """One chunk of a stream, or the one at its end that tells what was used."""
    usage = tokens and {
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "total_tokens": sum(tokens),
    }
    choices = [] if usage else [{"index": 0, "delta": {"content": text}}]
    return {
        "object": "chat.completion.chunk",
        "model": model,
        "choices": choices,
        **({"usage": usage} if usage else {}),
    }


def busy(tag: str = "search") -> ag.report:
    """A nested call, retries, a fallback, a cache, masks, a stream that is left, a failure."""
    with FakeRuntime() as time:
        failing = [False, True, True, True]

        def chat(question: str) -> Iterator[dict[str, Any]]:
            if failing and failing.pop(0):
                time.advance(0.12)
                raise ConnectionError
            time.advance(0.35)
            for n in range(40):
                yield chunk("gpt-4o", "word ")
                time.advance(0.02 if n % 7 else 0.06)
            yield chunk("gpt-4o", tokens=(412, 80))

        def backup(question: str) -> Iterator[dict[str, Any]]:
            time.advance(0.2)
            for _ in range(30):
                yield chunk("gpt-4o-mini", "word ")
                time.advance(0.015)
            yield chunk("gpt-4o-mini", tokens=(412, 80))

        ask = ag.guard(
            ag.mask_pii(),
            ag.fallback(backup),
            ag.retry(attempts=3, wait=lambda _: 0.25, budget=None),
        )(chat)

        @ag.cache(name="found")
        def find(question: str) -> str:
            time.advance(0.08)
            return "swordfish"

        @ag.retry
        def 상담원(question: str) -> str:  # noqa: N802, PLC2401  names are not all English
            find(question)
            list(ask(f"{question} bob@example.com"))
            find(question)
            list(ask(question))
            return "swordfish"

        @ag.retry(attempts=2, wait=lambda _: 0.2, budget=None)
        def lookup() -> str:
            raise ConnectionError("swordfish")

        with ag.report() as r, ag.context(user="ann@example.com", feature=tag):
            상담원("open sesame")
            time.advance(1)
            list(ask("open sesame"))
            left = ask("open sesame")
            next(left)
            left.close()
            try:
                lookup()
            except ConnectionError:
                time.advance(0.1)
    return r


def many(calls: int, chunks: int) -> ag.report:
    """So many calls, each a stream of so many chunks."""
    with FakeRuntime() as time:

        @ag.retry
        def ask(question: str) -> Iterator[dict[str, Any]]:
            time.advance(0.3)
            for n in range(chunks - 1):
                yield chunk("gpt-4o", str(n))
                time.advance(0.01)
            yield chunk("gpt-4o", tokens=(10, chunks))

        with ag.report() as r:
            for _ in range(calls):
                list(ask("open sesame"))
    return r
