"""One call that a cache stands around: answered from what is kept, by a call under way, or anew."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from agentguard import events
from agentguard.caching.answers import Unreadable
from agentguard.caching.fetching import HANDED, SYNC, Fetching, about
from agentguard.caching.flight import ALONE
from agentguard.caching.priced import price_of
from agentguard.caching.replay import replayed
from agentguard.caching.sharing import concerns_all, shared
from agentguard.caching.tee import Tee
from agentguard.engine.behind import behind
from agentguard.engine.call import Attempt
from agentguard.engine.drive import AWAITABLE, STREAM
from agentguard.engine.reply import Reply
from agentguard.engine.runtime import Runtime
from agentguard.engine.trouble import trouble
from agentguard.stores.entries import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from agentguard.caching.answers import About, Packed
    from agentguard.caching.flight import Flight
    from agentguard.caching.fresh import State
    from agentguard.caching.questions import Question
    from agentguard.engine.call import Call, Outcome
    from agentguard.engine.chain import Next
    from agentguard.policies.cache import Cache
    from agentguard.stores.entries import Entry

__all__ = ["Asking"]

_AS_WRITTEN: Final = "questions were looked for as they are written"


class Asking:
    """One call and its key.

    Args:
        cache: whose settings and state it uses.
        call: the call.
        next: the chain inside.
        key: of the request.
    """

    __slots__ = ("_question", "_seen", "cache", "call", "key", "next")

    def __init__(self, cache: Cache, call: Call, next: Next, key: str) -> None:
        self.cache = cache
        self.call = call
        self.next = next
        self.key = key
        self._question: Question | None = None
        self._seen = 0

    async def answer(self) -> Reply:
        """What is kept, if it serves; else what the same call under way brings, or a new answer."""
        cache, call = self.cache, self.call
        if call.scope.caching == "refresh":
            await self._understand()
            return await self._fetch(None, None)
        self._seen = cache.flights.retired
        entry, state = await self._look(self.key), None
        if entry is not None:
            state = cache.fresh.state(entry, call.runtime.time(), call.runtime.random)
            if state in {"fresh", "stale"}:
                hit = await self._hit(entry, state)
                if hit is not None:
                    if state == "stale":
                        self._renew_behind()
                    return hit
                entry = None
        elif cache.questions is not None:
            alike = await self._alike()
            if alike is not None:
                return alike
        return await self._together(entry, state)

    async def _together(self, entry: Entry | None, state: State | None) -> Reply:
        """Lead the way for all who ask the same, or wait for the one who does.

        Args:
            entry: what there is, which does not serve as it is.
            state: of the entry.
        """
        cache, call = self.cache, self.call
        while True:
            flight, leads = cache.flights.join(self.key, call)
            if leads:
                came = None
                if state != "early" and cache.flights.retired != self._seen:
                    came = await self._came(flight, entry)
                return came or await self._fetch(flight, entry)
            if state == "early" and entry is not None:  # somebody renews it already
                hit = await self._hit(entry, "fresh")
                if hit is not None:
                    return hit
            if not flight.takes(call):
                return await self._fetch(None, entry)
            reply = await self._follow(await flight.wait(call), entry)
            if reply is not None:
                return reply

    # What is kept

    async def _look(self, key: str) -> Entry | None:
        cache, runtime = self.cache, self.call.runtime
        if cache.rests(runtime):
            return None
        entries, now = cache.entries, runtime.time()
        try:
            if entries.remote and runtime.is_async:
                return await runtime.blocking(entries.get, cache.label, key, now)
            return entries.get(cache.label, key, now)
        except StoreUnavailable as error:
            cache.store_failed(self.call, error)
            return None

    def _hit(self, entry: Entry, how: str) -> Awaitable[Reply | None]:
        return self._recalled(entry.value, how, self.call.runtime.time() - entry.stored)

    async def _recalled(self, value: bytes, how: str, age: float) -> Reply | None:
        """The answer in an entry; None where it cannot be read, by this version or at all."""
        cache, call, colour = self.cache, self.call, value[:1]
        try:
            packed = cache.codec.unpack(value[1:])
        except Unreadable:
            return None
        if colour == HANDED and not call.runtime.is_async:
            await call.runtime.turn(STREAM if packed.streamed else AWAITABLE)
        reply = self._reply(packed, colour)
        cache.counts.hit(how)
        if call.record is not None:
            _tell(reply.attempt, packed.about)
            price = functools.partial(price_of, call, packed.about)
            known = packed.about
            call.emit(events.CacheHit, cache.label, how, age, known.model, known.usage, price)
        return reply

    def _reply(self, packed: Packed, colour: bytes) -> Reply:
        attempt = Attempt(self.call)
        attempt.recalled()
        reply = Reply(attempt)
        if packed.streamed:
            reply.source = replayed(attempt, packed.items, packed.times, self.cache.replay)
            if colour == SYNC:
                reply.source.runtime = self._runtime(is_async=False)
        else:
            reply.value = attempt.value = packed.value
        return reply

    # The same question in other words

    async def _alike(self) -> Reply | None:
        cache, runtime = self.cache, self.call.runtime
        await self._understand()
        questions, question = cache.questions, self._question
        if questions is None or question is None or cache.rests(runtime):
            return None
        try:
            keys = await questions.like(question, runtime)
        except StoreUnavailable as error:
            cache.store_failed(self.call, error)
            return None
        for key in keys:
            entry = await self._look(key)
            if entry is None:
                questions.forget(key)
            elif runtime.time() < entry.fresh:
                hit = await self._hit(entry, "alike")
                if hit is not None:
                    return hit
        return None

    async def _understand(self) -> None:
        """Find what is asked, to be compared and kept."""
        questions = self.cache.questions
        if questions is None:
            return
        try:
            self._question = await questions.of(self.call)
        except Exception as error:
            trouble("embedding a question", error)
            name = type(error).__name__
            self.call.emit(events.StoreFailed, questions.semantic.encoder, name, _AS_WRITTEN)

    # A new answer

    async def _came(self, flight: Flight, entry: Entry | None) -> Reply | None:
        """What another call of this process has brought since it was looked for.

        With other processes it is not shared who asks.
        """
        try:
            found = await self._look(self.key)
            if found is not None and found != entry:
                hit = await self._hit(found, "fresh")
                if hit is not None:
                    self._landed(flight, found.value)
                    return hit
        except BaseException:
            self._landed(flight, ALONE)
            raise
        return None

    def _landed(self, flight: Flight, what: object) -> None:
        self.cache.flights.retire(flight)
        flight.land(what)

    async def _fetch(self, flight: Flight | None, entry: Entry | None) -> Reply:
        """Make the call; serve `entry`, if it may be served then, when it fails."""
        try:
            return await Fetching(
                self.cache, self.call, self.next, self.key, self._question, flight
            ).answer()
        except Exception as error:
            spare = await self._spare(entry, error)
            if spare is None:
                raise
            return spare

    async def _spare(self, entry: Entry | None, error: Exception) -> Reply | None:
        if entry is None or not concerns_all(error):
            return None
        if not self.cache.fresh.spares(entry, self.call.runtime.time()):
            return None
        return await self._hit(entry, "stale")

    def _renew_behind(self) -> None:
        """Make the call behind the caller's back, if nobody does so already."""
        cache, call, runtime = (
            self.cache,
            self.call,
            self._runtime(is_async=self.call.runtime.is_async),
        )
        scope = call.scope.within(deadline=None)
        later = call.replace(runtime=runtime, scope=scope, deadline=None)
        flight, leads = cache.flights.join(self.key, later)
        if leads:
            fetching = Fetching(cache, later, self.next, self.key, None, flight)
            behind(fetching.renew(), is_async=runtime.is_async)

    # Somebody else's answer

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
        if not tee.joinable:
            return None
        attempt, runtime = Attempt(self.call), self.call.runtime
        attempt.recalled()
        source = tee.attach(attempt)
        if runtime.is_async and not tee.source.runtime.is_async:
            source.runtime = self._runtime(is_async=False)
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

    def _tell_joined(self, tee: Tee, _: Outcome) -> None:
        known = about(tee.source.attempt)
        price = functools.partial(price_of, self.call, known)
        told = ("joined", 0.0, known.model, known.usage, price)
        self.call.emit(events.CacheHit, self.cache.label, *told)

    def _runtime(self, *, is_async: bool) -> Runtime:
        runtime = self.call.runtime
        return Runtime(is_async, runtime.target, runtime.options)


def _tell(attempt: Attempt, known: About) -> None:
    """Which model answered then, where the answer itself does not say so."""
    reading = attempt.reading
    if reading.model is None:
        reading.model = known.model
    if reading.usage is None:
        reading.usage = known.usage
