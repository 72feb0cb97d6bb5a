"""One call that a cache stands around: answered from what is kept, by a call under way, or anew."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from agentguard import events
from agentguard.caching.answers import About, Unreadable
from agentguard.caching.flight import ALONE
from agentguard.caching.replay import replayed
from agentguard.caching.sharing import concerns_all, shared
from agentguard.caching.tee import Tee
from agentguard.caching.worth import worth
from agentguard.engine.behind import behind
from agentguard.engine.call import Attempt
from agentguard.engine.drive import AWAITABLE, STREAM
from agentguard.engine.reply import Reply
from agentguard.engine.runtime import Runtime
from agentguard.stores.entries import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from decimal import Decimal

    from agentguard.caching.answers import Packed
    from agentguard.caching.flight import Flight
    from agentguard.engine.call import Call, Outcome
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Source
    from agentguard.policies.cache import Cache
    from agentguard.stores.entries import Entry

__all__ = ["Asking"]

_AS_CALLED: Final = b"."
_SYNC: Final = b"s"
_HANDED: Final = b"h"
"""First byte of an entry. The caller gets the answer as his callable's flags say; or an async one a
sync iterator, because the function returned one; or a sync one something to await."""


class Asking:
    """One call and its key.

    Args:
        cache: whose settings and state it uses.
        call: the call.
        next: the chain inside.
        key: of the request.
    """

    __slots__ = ("_began", "cache", "call", "key", "next")

    def __init__(self, cache: Cache, call: Call, next: Next, key: str) -> None:
        self.cache = cache
        self.call = call
        self.next = next
        self.key = key
        self._began = 0.0

    async def answer(self) -> Reply:
        """What is kept, if it serves; else what the same call under way brings, or a new answer."""
        cache, call = self.cache, self.call
        if call.scope.caching == "refresh":
            return await self._fetch(None, None)
        entry = await self._look()
        state = None
        if entry is not None:
            state = cache.fresh.state(entry, call.runtime.time(), call.runtime.random)
            if state in {"fresh", "stale"}:
                hit = await self._hit(entry, state)
                if hit is not None:
                    if state == "stale":
                        self._renew_behind()
                    return hit
                entry = None
        while True:
            flight, leads = cache.flights.join(self.key, call)
            if leads:
                return await self._lead(flight, entry, early=state == "early")
            if state == "early" and entry is not None:  # somebody renews it already
                hit = await self._hit(entry, "fresh")
                if hit is not None:
                    return hit
            if not flight.takes(call):
                return await self._fetch(None, entry)
            landed = await flight.wait(call)
            reply = await self._follow(landed, entry)
            if reply is not None:
                return reply

    # What is kept

    async def _look(self) -> Entry | None:
        cache, runtime = self.cache, self.call.runtime
        entries, now = cache.entries, runtime.time()
        try:
            if entries.remote and runtime.is_async:
                return await runtime.blocking(entries.get, cache.label, self.key, now)
            return entries.get(cache.label, self.key, now)
        except StoreUnavailable as error:
            self._store_failed(error)
            return None

    def _hit(self, entry: Entry, how: str) -> Awaitable[Reply | None]:
        return self._recalled(entry.value, how, self.call.runtime.time() - entry.stored)

    async def _recalled(self, value: bytes, how: str, age: float) -> Reply | None:
        """The answer in an entry; None where it cannot be read, by this version or at all."""
        cache, call, colour = self.cache, self.call, value[:1]
        try:
            packed = cache.answers.unpack(value[1:])
        except Unreadable:
            return None
        if colour == _HANDED and not call.runtime.is_async:
            await call.runtime.turn(STREAM if packed.streamed else AWAITABLE)
        reply = self._reply(packed, colour)
        cache.counts.hit(how)
        if call.record is not None:
            about = packed.about
            price = functools.partial(_price, call, about)
            call.emit(events.CacheHit, cache.label, how, age, about.usage, price)
        return reply

    def _reply(self, packed: Packed, colour: bytes) -> Reply:
        attempt = Attempt(self.call)
        attempt.recalled()
        reply = Reply(attempt)
        if packed.streamed:
            reply.source = replayed(attempt, packed.items, packed.times, self.cache.replay)
            if colour == _SYNC:
                reply.source.runtime = self._sync_runtime()
        else:
            reply.value = attempt.value = packed.value
        if self.call.record is not None:
            _tell(attempt, packed.about)
        return reply

    # A new answer

    async def _lead(self, flight: Flight, entry: Entry | None, *, early: bool) -> Reply:
        """Fetch for all who come meanwhile, unless the answer came since it was looked for."""
        try:
            if not early:
                found = await self._look()
                if found is not None and found != entry:
                    hit = await self._hit(found, "fresh")
                    if hit is not None:
                        self._retire(flight)
                        flight.land(found.value)
                        return hit
        except BaseException:
            self._retire(flight)
            flight.land(ALONE)
            raise
        return await self._fetch(flight, entry)

    async def _fetch(self, flight: Flight | None, entry: Entry | None) -> Reply:
        """Ask, keep the answer, and tell those who wait.

        Args:
            flight: those who wait; None where nobody can.
            entry: what may be served in place of a failure.
        """
        cache, call = self.cache, self.call
        cache.counts.missed()
        if call.record is not None:
            call.emit(events.CacheMissed, cache.label)
        self._began = call.runtime.monotonic()
        try:
            reply = await self.next(call)
            if reply.source is not None:
                return self._shared(reply, reply.source, flight)
            await self._keep(reply, flight)
        except BaseException as error:
            self._retire(flight)
            if flight is not None:
                flight.land(error if concerns_all(error) else ALONE)
            spare = await self._spare(entry, error)
            if spare is not None:
                return spare
            raise
        return reply

    async def _spare(self, entry: Entry | None, error: BaseException) -> Reply | None:
        if entry is None or not concerns_all(error):
            return None
        if not self.cache.fresh.spares(entry, self.call.runtime.time()):
            return None
        return await self._hit(entry, "stale")

    async def _keep(self, reply: Reply, flight: Flight | None) -> None:
        attempt = reply.attempt
        reason = self._unworthy(reply)
        value = self._colour() + self.cache.answers.pack(reply.value, _about(attempt))
        if flight is not None:
            flight.land(value)
        await self._put(value, reason, attempt)
        self._retire(flight)

    async def _put(self, value: bytes, reason: str | None, attempt: Attempt) -> None:
        cache, call = self.cache, self.call
        if reason is not None:
            cache.counts.skipped()
            call.emit(events.CacheSkipped, cache.label, reason)
            return
        runtime = call.runtime
        now, took = runtime.time(), runtime.monotonic() - self._began
        entry = cache.fresh.entry(value, now, took, cache.tags_of(call, attempt))
        entries = cache.entries
        try:
            if entries.remote and runtime.is_async:
                await runtime.blocking(entries.put, cache.label, self.key, entry, now)
            else:
                entries.put(cache.label, self.key, entry, now)
        except StoreUnavailable as error:
            self._store_failed(error)
            return
        if call.record is not None:
            call.emit(events.CacheStored, cache.label, len(value))

    def _unworthy(self, reply: Reply) -> str | None:
        """Why the answer must not be kept, or None."""
        asked, made = self.call, reply.attempt.call
        if asked.runtime.acted is not None:
            return f"the tool {asked.runtime.acted} ran, which a kept answer would leave out"
        if made.target is not asked.target or made.kwargs.get("model") != asked.kwargs.get("model"):
            return f"{made.target.name} answered in place of what was asked"
        return worth(reply.attempt)

    def _renew_behind(self) -> None:
        """Ask behind the caller's back, if nobody does so already."""
        call = self.call
        runtime = Runtime(call.runtime.is_async, call.runtime.target, call.runtime.options)
        scope = call.scope.within(deadline=None)
        later = call.replace(runtime=runtime, scope=scope, deadline=None)
        flight, leads = self.cache.flights.join(self.key, later)
        if leads:
            work = Asking(self.cache, later, self.next, self.key).renew(flight)
            behind(work, is_async=runtime.is_async)

    async def renew(self, flight: Flight) -> None:
        """Ask for nobody but the cache. What is kept goes on serving when that fails."""
        try:
            reply = await self._fetch(flight, None)
            if reply.source is not None:
                await reply.source.hold()
        except Exception:  # its attempts have told
            return
        finally:
            self.call.runtime.ended = True

    # Streams

    def _shared(self, reply: Reply, source: Source, flight: Flight | None) -> Reply:
        """The stream for this caller, which others may join, and which is kept at its end."""
        began, runtime = reply.attempt, reply.attempt.call.runtime
        retire = functools.partial(self._retire, flight)
        tee = Tee(source, retire, functools.partial(self._keep_stream, reply))
        attempt = Attempt(self.call)
        attempt.started, attempt.first = began.started, began.first
        outer = tee.attach(attempt)
        if runtime.open is not None and source in runtime.open:  # the tee closes it from here on
            runtime.open[runtime.open.index(source)] = outer
        if flight is not None:
            flight.land(tee)
        return Reply(began, None, outer)

    async def _keep_stream(self, reply: Reply, tee: Tee) -> None:
        attempt, items, times = reply.attempt, tee.items, tee.times
        reason = self._unworthy(reply) if tee.whole else "it is too long"
        if tee.returned is not None:
            reason = "a generator's return value is not kept"
        value = b""
        if reason is None:
            first = times[0] if times else 0.0
            times = [each - first for each in times]
            packed = self.cache.answers.pack_stream(items, times, _about(attempt))
            value = self._colour(tee.source) + packed
        await self._put(value, reason, attempt)

    async def _follow(self, landed: Any, entry: Entry | None) -> Reply | None:
        """What the leader's answer is to this caller; None where it has to ask itself."""
        if landed is ALONE:
            return None
        if isinstance(landed, bytes):
            return await self._recalled(landed, "joined", 0.0)
        if isinstance(landed, Tee):
            return await self._joined(landed)
        spare = await self._spare(entry, landed)
        if spare is not None:
            return spare
        raise shared(landed)

    async def _joined(self, tee: Tee) -> Reply | None:
        if not tee.whole or tee.error is not None:
            return None
        attempt, runtime = Attempt(self.call), self.call.runtime
        attempt.recalled()
        source = tee.attach(attempt)
        if runtime.is_async and not source.runtime.is_async:
            source.runtime = self._sync_runtime()
        if runtime.open is None:
            runtime.open = []
        runtime.open.append(source)
        try:
            await source.open()
        except Exception:
            if tee.error is None or concerns_all(tee.error):
                raise
            return None  # nothing of it has been handed out
        self.cache.counts.hit("joined")
        if self.call.record is not None:
            await source.watched_by(functools.partial(self._tell_joined, tee))
        return Reply(attempt, None, source)

    def _tell_joined(self, tee: Tee, outcome: Outcome) -> None:
        about = _about(tee.source.attempt)
        price = functools.partial(_price, self.call, about)
        self.call.emit(events.CacheHit, self.cache.label, "joined", 0.0, about.usage, price)

    # Small things

    def _colour(self, source: Source | None = None) -> bytes:
        call = self.call
        if not call.runtime.is_async:
            return _AS_CALLED
        if source is not None and not source.runtime.is_async:
            return _SYNC
        return _HANDED if call.target.shape == "function" else _AS_CALLED

    def _retire(self, flight: Flight | None) -> None:
        if flight is not None:
            self.cache.flights.retire(flight)

    def _sync_runtime(self) -> Runtime:
        runtime = self.call.runtime
        return Runtime(False, runtime.target, runtime.options)

    def _store_failed(self, error: StoreUnavailable) -> None:
        place = self.cache.entries.place
        self.call.emit(events.StoreFailed, place, type(error).__name__, "the cache stood aside")


def _about(attempt: Attempt) -> About:
    endpoint = attempt.call.target.endpoint
    return About(
        attempt.model,
        attempt.figures,
        endpoint.provider,
        endpoint.base_url,
        attempt.reading.tier,
    )


def _tell(attempt: Attempt, about: About) -> None:
    """Which model answered then, where the answer itself does not say so."""
    reading = attempt.reading
    reading.model = reading.model or about.model
    reading.usage = reading.usage or about.usage


def _price(call: Call, about: About) -> Decimal | None:
    """What the answer would cost now."""
    model = about.model or call.kwargs.get("model")
    if about.usage is None or not isinstance(model, str):
        return None
    from agentguard.tokens.prices import price

    return price(
        model, about.usage, about.provider, base_url=about.base_url, service_tier=about.tier
    )
