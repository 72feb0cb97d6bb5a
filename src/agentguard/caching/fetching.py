"""A call that a cache makes: for its caller, for all who wait for it, and to be kept."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from agentguard import events
from agentguard.caching.answers import About
from agentguard.caching.flight import ALONE
from agentguard.caching.sharing import concerns_all
from agentguard.caching.tee import Tee
from agentguard.caching.worth import worth
from agentguard.engine.call import Attempt
from agentguard.engine.reply import Reply
from agentguard.stores.entries import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.caching.flight import Flight
    from agentguard.caching.questions import Question
    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Source
    from agentguard.policies.cache import Cache

__all__ = ["AS_CALLED", "HANDED", "SYNC", "Fetching", "about"]

AS_CALLED: Final = b"."
SYNC: Final = b"s"
HANDED: Final = b"h"
"""First byte of an entry. The caller gets the answer as his callable's flags say; or an async one a
sync iterator, because the function returned one; or a sync one something to await."""


class Fetching:
    """One call made for a key.

    Args:
        cache: whose settings and state it uses.
        call: the call.
        next: the chain inside the cache.
        key: of the request.
        question: what was asked, to be found again in other words; None where it is not.
        flight: who waits for it; None where nobody can.
    """

    __slots__ = ("_began", "_cache", "_call", "_era", "_flight", "_key", "_next", "_question")

    def __init__(
        self,
        cache: Cache,
        call: Call,
        next: Next,
        key: str,
        question: Question | None,
        flight: Flight | None,
    ) -> None:
        self._cache = cache
        self._era = cache.flights.era
        self._call = call
        self._next = next
        self._key = key
        self._question = question
        self._flight = flight
        self._began = call.runtime.monotonic()

    async def answer(self) -> Reply:
        """Make the call, keep the answer, and tell those who wait."""
        cache, call = self._cache, self._call
        cache.counts.missed()
        if call.record is not None:
            call.emit(events.CacheMissed, cache.label)
        try:
            reply = await self._next(call)
            if reply.source is not None:
                return self._shared(reply, reply.source)
            known = about(reply.attempt)
            value = self._colour() + cache.codec.pack(reply.value, known)
            if self._flight is not None:
                self._flight.land(value)
            await self._put(value, self._unworthy(reply), known)
        except BaseException as error:
            self.give_up(error)
            raise
        self._retire()
        return reply

    async def renew(self) -> None:
        """Make the call for nobody. What is kept goes on serving when it fails."""
        try:
            reply = await self.answer()
            if reply.source is not None:
                await reply.source.hold()
        except Exception:  # its attempts have told
            return
        finally:
            self._call.runtime.ended = True

    def give_up(self, error: BaseException) -> None:
        """Tell those who wait that nothing comes: the failure, if it is theirs too."""
        self._retire()
        if self._flight is not None:
            self._flight.land(error if concerns_all(error) else ALONE)

    def _shared(self, reply: Reply, source: Source) -> Reply:
        """The stream for this caller, which others may join, and which is kept at its end."""
        began, runtime = reply.attempt, reply.attempt.call.runtime
        recording = self._cache.codec.recording()
        tee = Tee(source, recording, self._retire, functools.partial(self._keep_stream, reply))
        attempt = Attempt(self._call)
        attempt.started, attempt.first = began.started, began.first
        outer = tee.attach(attempt)
        if runtime.open is not None and source in runtime.open:  # the tee closes it from here on
            runtime.open[runtime.open.index(source)] = outer
        if self._flight is not None:
            self._flight.land(tee)
        return Reply(began, None, outer)

    async def _keep_stream(self, reply: Reply, tee: Tee) -> None:
        last = [item for item, _ in tee.items[-1:]]
        reason = self._unworthy(reply, last) if tee.whole else "it is too long"
        if tee.returned is not None:
            reason = "a generator's return value is not kept"
        value, known = b"", about(reply.attempt)
        if reason is None:
            first = tee.times[0] if tee.times else 0.0
            times = [each - first for each in tee.times]
            packed = self._cache.codec.pack_recorded(tee.recording, tee.items, times, known)
            value = self._colour(tee.source) + packed
        await self._put(value, reason, known)

    async def _put(self, value: bytes, reason: str | None, known: About) -> None:
        cache, call, runtime = self._cache, self._call, self._call.runtime
        if reason is None and self._era is not cache.flights.era:
            reason = "answers were let go of while it came"
        if reason is None and cache.rests(runtime):
            reason = "the store has failed a moment ago"
        if reason is not None:
            cache.skip(call, reason)
            return
        now, took = runtime.time(), runtime.monotonic() - self._began
        entry = cache.fresh.entry(value, now, took, cache.tags_of(call, known.model))
        entries = cache.entries
        try:
            if entries.remote and runtime.is_async:
                await runtime.blocking(entries.put, cache.label, self._key, entry, now)
            else:
                entries.put(cache.label, self._key, entry, now)
            if self._era is not cache.flights.era:  # let go of just now
                await runtime.blocking(entries.delete, cache.label, self._key)
            if cache.questions is not None and self._question is not None:
                await cache.questions.add(self._question, self._key, entry, runtime)
        except StoreUnavailable as error:
            cache.store_failed(call, error)
            return
        if call.record is not None:
            call.emit(events.CacheStored, cache.label, len(value))

    def _unworthy(self, reply: Reply, last: Sequence[Any] = ()) -> str | None:
        """Why the answer, or the stream with this last item, must not be kept; or None."""
        asked, made = self._call, reply.attempt.call
        if asked.runtime.acted is not None:
            return f"the tool {asked.runtime.acted} ran, which a kept answer would leave out"
        if made.target is not asked.target or made.kwargs.get("model") != asked.kwargs.get("model"):
            return f"{made.target.name} answered in place of what was asked"
        return worth(reply.attempt, last)

    def _colour(self, source: Source | None = None) -> bytes:
        call = self._call
        if not call.runtime.is_async:
            return AS_CALLED
        if source is not None and not source.runtime.is_async:
            return SYNC
        return HANDED if call.target.shape == "function" else AS_CALLED

    def _retire(self) -> None:
        if self._flight is not None:
            self._cache.flights.retire(self._flight)


def about(attempt: Attempt) -> About:
    """What a kept answer tells of the attempt that it came from."""
    endpoint, reading = attempt.call.target.endpoint, attempt.reading
    model, usage = reading.model, reading.usage
    if attempt.recorded is not None:
        model, usage = attempt.model, attempt.figures
    return About(model, usage, endpoint.provider, endpoint.base_url, reading.tier)
