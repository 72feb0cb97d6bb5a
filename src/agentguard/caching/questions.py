"""Questions that a cache has answered, to be found again in other words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentguard.caching.key import Keys
    from agentguard.caching.semantic.semantic import Semantic
    from agentguard.engine.call import Call
    from agentguard.engine.runtime import Runtime
    from agentguard.stores.entries import Entries, Entry

__all__ = ["Question", "Questions"]

_AGAIN: Final = 60.0
"""Seconds after which what other processes have added to a group is read again."""

_MOST: Final = 10_000  # groups of which it is known when they were read


class Question(NamedTuple):
    """What was asked last in a request.

    Attributes:
        group: a digest of all else, who asks included: only questions of one group are compared.
        text: the question.
        vector: its meaning.
    """

    group: str
    text: str
    vector: Any

    def __repr__(self) -> str:
        return f"<question of {len(self.text)} characters>"


class Questions:
    """The questions of one cache: in memory, and beside the answers where those are shared.

    Args:
        semantic: what compares them.
        keys: what tells a question from the rest of its request.
        entries: where the answers are kept.
        label: the cache's name.
    """

    def __init__(self, semantic: Semantic, keys: Keys, entries: Entries, label: str) -> None:
        self.semantic = semantic
        self._keys = keys
        self._entries = entries
        self._space = f"{label}/questions"
        self._read: dict[str, float] = {}

    async def of(self, call: Call) -> Question | None:
        """The question of a call; None where there is none that could be compared."""
        found = self._keys.around(call)
        if found is None or not self.semantic.takes(found[1]):
            return None
        group, text = found
        vector = await self.semantic.vector(text, call.runtime)
        return Question(f"{self.semantic.encoder} {group}", text, vector)

    async def like(self, question: Question, runtime: Runtime) -> list[str]:
        """The keys of answers to the same question, the likeliest first."""
        group = question.group
        now = runtime.time()
        if self._entries.remote and not 0.0 <= now - self._read.get(group, -_AGAIN) < _AGAIN:
            found = await self._done(runtime, self._entries.scan, self._space, group, now)
            if len(self._read) >= _MOST:
                self._read.clear()
            self._read[group] = now
            for key, entry in found:
                self._learn(group, key, entry.value)
        near = self.semantic.nearest(group, question.text, question.vector)
        return [match.key for match in near]

    async def add(self, question: Question, key: str, answer: Entry, runtime: Runtime) -> None:
        """Keep the question of an answer, as long as the answer is kept."""
        self.semantic.add(question.group, key, question.text, question.vector)
        if self._entries.remote:
            packed = self.semantic.pack(question.text, question.vector)
            entry = answer._replace(value=packed, tags=(question.group,))
            await self._done(runtime, self._entries.put, self._space, key, entry, runtime.time())

    def forget(self, key: str) -> None:
        """Its answer is gone."""
        self.semantic.forget(key)

    def clear(self) -> None:
        """Let go of all questions."""
        self.semantic.clear()
        self._entries.clear(self._space)
        self._read.clear()

    def _learn(self, group: str, key: str, packed: bytes) -> None:
        try:
            text, vector = self.semantic.unpack(packed)
        except ValueError:
            return
        self.semantic.add(group, key, text, vector)

    async def _done(self, runtime: Runtime, fn: Callable[..., Any], *args: Any) -> Any:
        return await runtime.blocking(fn, *args) if runtime.is_async else fn(*args)
