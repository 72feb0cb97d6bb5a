"""A call whose answer is kept item by item, as one for embeddings: only what is missing is asked."""

from __future__ import annotations

import functools
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agentguard import events
from agentguard.caching.answers import Unreadable
from agentguard.caching.fetching import AS_CALLED, about
from agentguard.caching.flight import ALONE
from agentguard.caching.priced import price_of
from agentguard.caching.sharing import concerns_all, shared
from agentguard.engine.call import Attempt
from agentguard.engine.reply import Reply
from agentguard.providers import embeddings
from agentguard.providers.shapes import Reading, shape_of
from agentguard.stores.entries import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentguard.caching.answers import About
    from agentguard.caching.flight import Flight
    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.policies.cache import Cache
    from agentguard.stores.entries import Entry

__all__ = ["Piecewise"]


class Piecewise:
    """One call for a list of items.

    Args:
        cache: whose settings and state it uses.
        call: the call.
        next: the chain inside.
        name: of the argument that holds the items.
    """

    __slots__ = ("_era", "_known", "_said", "cache", "call", "name", "next")

    def __init__(self, cache: Cache, call: Call, next: Next, name: str) -> None:
        self.cache = cache
        self._era = cache.flights.era
        self.call = call
        self.next = next
        self.name = name
        self._known: dict[str, Any] = {}
        self._said: list[About] = []

    async def answer(self) -> Reply:
        """What is kept of the items, and what is asked for the others, in the order of all."""
        cache, call = self.cache, self.call
        items, digests = cache.keys.each(call, self.name)
        if not items:
            return await self.next(call)
        if call.scope.caching != "refresh":
            await self._look(digests)
            self._tell()
        while True:
            missing = embeddings.lacking(items, digests, self._known)
            if not missing:
                return self._recalled(digests)
            key = sha256("".join(missing).encode()).hexdigest()
            flight, leads = cache.flights.join(key, call)
            if leads or not flight.takes(call):
                return await self._ask(items, digests, missing, flight if leads else None)
            landed = await flight.wait(call)
            if isinstance(landed, BaseException):
                raise shared(landed)
            if landed is not ALONE:
                for digest, value in landed.items():
                    self._learn(digest, value)

    async def _look(self, digests: list[str]) -> None:
        cache, runtime = self.cache, self.call.runtime
        entries, now, asked = cache.entries, runtime.time(), [*dict.fromkeys(digests)]
        found: list[Entry | None] = []
        if cache.rests(runtime):
            return
        try:
            if entries.remote and runtime.is_async:
                found = await runtime.blocking(entries.get_many, cache.label, asked, now)
            else:
                found = entries.get_many(cache.label, asked, now)
        except StoreUnavailable as error:
            cache.store_failed(self.call, error)
        for digest, entry in zip(asked, found, strict=False):
            if entry is not None and now < entry.fresh:
                self._learn(digest, entry.value)

    def _learn(self, digest: str, value: bytes) -> None:
        try:
            packed = self.cache.codec.unpack(value[1:])
        except Unreadable:
            return
        self._known[digest] = packed.value
        self._said.append(packed.about)

    def _tell(self) -> None:
        if not self._said:
            return
        self.cache.counts.hit("items")
        if self.call.record is not None:
            told = [each.usage for each in self._said if each.usage is not None]
            usage = sum(told[1:], told[0]) if told else None
            known = self._said[0]._replace(usage=usage)
            price = functools.partial(price_of, self.call, known)
            label = self.cache.label
            self.call.emit(events.CacheHit, label, "items", 0.0, known.model, usage, price)

    def _recalled(self, digests: list[str]) -> Reply:
        attempt = Attempt(self.call)
        attempt.recalled()
        value = embeddings.joined([self._known[digest] for digest in digests])
        attempt.value = value
        return Reply(attempt, value)

    async def _ask(
        self,
        items: list[Any],
        digests: list[str],
        missing: Mapping[str, Any],
        flight: Flight | None,
    ) -> Reply:
        cache, call = self.cache, self.call
        cache.counts.missed()
        if call.record is not None:
            call.emit(events.CacheMissed, cache.label, len(missing))
        began, asked = call.runtime.monotonic(), [*missing.values()]
        if len(asked) < len(items):
            args, kwargs = embeddings.with_items(
                call.target, call.args, call.kwargs, self.name, asked
            )
            call = call.replace(args=args, kwargs=kwargs)
        try:
            reply = await self.next(call)
            if reply.source is not None:
                raise TypeError(f"{call.target.name} streams, and a stream has no items to keep")
            parts = embeddings.split(reply.value, asked, self.name)
            packed = {
                digest: AS_CALLED + cache.codec.pack(part, _about(reply.attempt, part))
                for digest, part in zip(missing, parts, strict=True)
            }
        except BaseException as error:
            self._land(flight, error if concerns_all(error) else ALONE)
            raise
        if flight is not None:
            flight.land(packed)
        try:
            await self._put(packed, reply, call.runtime.monotonic() - began)
        finally:
            self._land(flight, ALONE)
        known = {**self._known, **dict(zip(missing, parts, strict=True))}
        value = embeddings.joined([known[digest] for digest in digests], reply.value)
        return Reply(reply.attempt, value)

    async def _put(self, packed: Mapping[str, bytes], reply: Reply, took: float) -> None:
        cache, call, runtime = self.cache, self.call, self.call.runtime
        made, reason = reply.attempt.call, None
        if self._era is not cache.flights.era:
            reason = "answers were let go of while it came"
        elif made.target is not call.target or made.kwargs.get("model") != call.kwargs.get("model"):
            reason = f"{made.target.name} answered in place of what was asked"
        elif cache.rests(runtime):
            reason = "the store has failed a moment ago"
        if reason is not None:
            cache.skip(call, reason)
            return
        now, tags, entries = runtime.time(), cache.tags_of(call, reply.attempt.model), cache.entries
        made_now = {
            digest: cache.fresh.entry(value, now, took, tags) for digest, value in packed.items()
        }
        try:
            if entries.remote and runtime.is_async:
                await runtime.blocking(entries.put_many, cache.label, made_now, now)
            else:
                entries.put_many(cache.label, made_now, now)
        except StoreUnavailable as error:
            cache.store_failed(call, error)
            return
        if call.record is not None:
            size = sum(map(len, packed.values()))
            call.emit(events.CacheStored, cache.label, size)

    def _land(self, flight: Flight | None, what: object) -> None:
        if flight is not None:
            self.cache.flights.retire(flight)
            flight.land(what)


def _about(attempt: Attempt, part: Any) -> About:
    """What is known of the call, with what of its usage fell to this item."""
    reading = Reading()
    shape_of(part).read(part, reading)
    return about(attempt)._replace(usage=reading.usage)
