"""What Anthropic's and OpenAI's servers keep of prompts, and what they refuse to keep.

Anthropic: an entry is written where a mark stands, and holds everything before it, in the order tools,
system, messages. A mark finds the entries of the last 20 positions, where a run of tool calls or of
their results is one. OpenAI: prompts of 1,024 tokens and more are kept without being asked, in steps
of 128, on one machine for each beginning and `prompt_cache_key`, which hands on what exceeds 15
requests a minute. As documented in October 2026:
https://platform.claude.com/docs/en/build-with-claude/prompt-caching
https://developers.openai.com/api/docs/guides/prompt-caching
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentguard.engine import clock
from agentguard.providers.cache_minimum import OPENAI_MINIMUM, cache_minimum
from agentguard.testing.provider.answer import prompt_words
from agentguard.testing.provider.prompt_blocks import FIVE_MINUTES, blocks_of, listed

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from agentguard.testing.provider.journal import Received

_LOOKBACK: Final = 20
_STEP: Final = 128
_ROUTED_BY: Final = 256
_A_MINUTE: Final = 15
_IDLE: Final = 300.0
_OLDEST: Final = 3600.0
_MOST: Final = 50_000
_RUNS: Final = frozenset({"tool_use", "tool_result"})


class Served(NamedTuple):
    """The input of one request, in tokens: `read` from the cache, `written` to it, `hour` of these."""

    input: int
    read: int
    written: int
    hour: int


class _Entry:
    __slots__ = ("born", "seconds", "until")

    def __init__(self, now: float, seconds: float) -> None:
        self.born = now
        self.seconds = seconds
        self.until = now + seconds


class PromptCaches:
    """The caches of one provider. Time is the library's clock, which a `FakeRuntime` moves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[Hashable, _Entry] = {}
        self._minutes: dict[Hashable, int] = {}

    def clear(self) -> None:
        """Forget every prompt."""
        with self._lock:
            self._entries.clear()
            self._minutes.clear()

    def serve(self, received: Received) -> Served | None:
        """Read and write what this request brings; None where no cache takes part."""
        with self._lock:
            now = clock.now().time()
            if len(self._entries) > _MOST:
                self._entries = {k: e for k, e in self._entries.items() if e.until > now}
                self._minutes.clear()
            if received.protocol == "anthropic":
                return self._marked(received, now)
            if received.protocol in {"openai.chat", "openai.responses"}:
                return self._automatic(received, now)
        return None

    def _marked(self, received: Received, now: float) -> Served | None:
        blocks = list(blocks_of(received.body))
        headers = received.headers
        account = headers.get("x-api-key") or headers.get("authorization")
        digest = hashlib.sha256(f"{account}\0{received.model}".encode())
        keys: list[str] = []
        ends: list[int] = []
        places: list[int] = []
        for index, block in enumerate(blocks):
            before = blocks[index - 1] if index else None
            digest.update(block.text.encode())
            keys.append(digest.hexdigest())
            ends.append(block.tokens + (ends[-1] if ends else 0))
            run = before is not None and before.kind == block.kind and block.kind in _RUNS
            places.append((places[-1] if places else 0) + (not run))
        least = cache_minimum(received.model)
        marks = [i for i, b in enumerate(blocks) if b.mark is not None and ends[i] >= least]
        if not marks:
            return None
        found = next(
            (
                index
                for mark in reversed(marks)
                for index in range(mark, -1, -1)
                if places[mark] - places[index] < _LOOKBACK and self._alive(keys[index], now)
            ),
            -1,
        )
        read = ends[found] if found >= 0 else 0
        if found >= 0:
            self._refresh(keys[found], now)
        written = {"5m": 0, "1h": 0}
        before_ = read
        for mark in marks:
            life = blocks[mark].seconds
            if mark > found:
                written["1h" if life > FIVE_MINUTES else "5m"] += ends[mark] - before_
                before_ = ends[mark]
            if not self._refresh(keys[mark], now):
                self._entries[keys[mark]] = _Entry(now, life)
        return Served(ends[-1], read, sum(written.values()), written["1h"])

    def _automatic(self, received: Received, now: float) -> Served | None:
        words = list(_openai_words(received.body))
        if len(words) < OPENAI_MINIMUM:
            return None
        account, key = received.headers.get("authorization"), received.body.get("prompt_cache_key")
        start = hashlib.sha256(" ".join(words[:_ROUTED_BY]).encode()).hexdigest()
        route = (account, received.model, start, key)
        minute = (*route, int(now // 60))
        count = self._minutes[minute] = self._minutes.get(minute, 0) + 1
        machine = (*route, (count - 1) // _A_MINUTE)
        digest, read = hashlib.sha256(), 0
        for end in range(_STEP, len(words) + 1, _STEP):
            digest.update(" ".join(words[end - _STEP : end]).encode() + b"\0")
            if end < OPENAI_MINIMUM:
                continue
            entry = (*machine, digest.hexdigest())
            if self._refresh(entry, now, _OLDEST):
                read = end
            else:
                self._entries[entry] = _Entry(now, _IDLE)
        return Served(len(words), read, 0, 0)

    def _alive(self, key: Hashable, now: float, oldest: float | None = None) -> bool:
        entry = self._entries.get(key)
        return (
            entry is not None
            and entry.until > now
            and (oldest is None or entry.born + oldest > now)
        )

    def _refresh(self, key: Hashable, now: float, oldest: float | None = None) -> bool:
        alive = self._alive(key, now, oldest)
        if alive:
            entry = self._entries[key]
            entry.until = now + entry.seconds
        return alive


def _openai_words(body: Mapping[str, Any]) -> Iterator[str]:
    yield from prompt_words(body.get("tools"))
    yield from prompt_words(body.get("instructions"))
    conversation = body.get("messages", body.get("input"))
    if isinstance(conversation, str):
        yield from prompt_words(conversation)
    for message in listed(conversation):
        said = str(message.get("role"))
        for word in prompt_words(message):
            yield said + word
            said = ""
