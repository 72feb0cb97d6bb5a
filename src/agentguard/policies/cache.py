"""`cache`: the same question is paid for once."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast

from agentguard import events
from agentguard.caching.answers import Answers
from agentguard.caching.asking import Asking
from agentguard.caching.counts import CacheInfo, Counts
from agentguard.caching.flight import Flights
from agentguard.caching.fresh import Freshness
from agentguard.caching.key import Keys
from agentguard.caching.piecewise import Piecewise
from agentguard.caching.repeatable import repeatable
from agentguard.engine.arguments import length, number, one_of, plain
from agentguard.engine.chain import Policy
from agentguard.engine.spelling import Bare
from agentguard.providers import embeddings
from agentguard.stores.open import open_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentguard.caching.questions import Questions
    from agentguard.caching.semantic.semantic import Embed
    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Reply
    from agentguard.engine.runtime import Runtime
    from agentguard.engine.target import Target
    from agentguard.stores.entries import StoreUnavailable

    Length = str | float | timedelta

__all__ = ["Cache", "cache"]

_REST: Final = 1.0
"""Seconds for which a store that failed is not asked: an outage does not cost each call its bound."""


class Cache(Policy):
    """Answer a request that was answered before with what was answered then.

    The key is the whole request: every argument but those that cannot change an answer (timeouts,
    callbacks, clients), the model, the endpoint and the code of the function, so that an edited
    prompt is asked anew. Entries are kept apart by the tenant and the user of `context(...)`.
    Callers who come while the same request is under way wait for it, or join its stream. Answers
    that were cut or filtered, or came from a fallback, are not kept, nor are those of calls in
    which a guarded tool ran. A hit is no attempt: it costs no budget and votes on no circuit.

    Args:
        ttl: how long an answer is fresh: seconds, a length as in "1h" or "7d", a timedelta, or None
            for ever.
        store: where answers are kept: left out, in this process's memory; "sqlite:///answers.db",
            "redis://...", or a redis client, for several processes.
        name: what the answers are kept under in a store, which needs one.
        max_entries: how many answers are kept at most, 1,000 in memory by default.
        max_bytes: how many bytes they take at most.
        share: who may be answered with what somebody else asked: by default nobody; "tenant", the
            users of one tenant; "all", everybody.
        ignore: names of arguments that do not change the answer.
        key: a function of the call's arguments that returns what identifies the answer, where the
            arguments themselves do not.
        version: part of the key: change it to ask everything anew.
        types: classes that answers may have, beside those of the SDKs and of the function's return
            annotation: dataclasses or pydantic models.
        each: the name of an argument that holds a list, where the function answers with a list as
            long: kept item by item, so that only those are asked for that are missing. Calls of the
            SDKs for embeddings are kept so by themselves.
        tags: words to invalidate answers by, or a function of the `Call` that returns them.
        replay: how a kept stream is played: "at once", as fast as it is read, or "paced", as it
            came.
        early: how eagerly an answer is renewed shortly before its time is up, by one caller alone:
            0 never, 1 (the default) as XFetch recommends.
        stale_while_revalidate: how long after its time an answer is served while it is renewed.
        stale_if_error: how long after its time it is served when asking fails.
        when: which calls are cached: by default all; "repeatable", those for embeddings and those at
            temperature 0; or a function of the `Call`.
        semantic: answer also what was asked before in other words. The last thing that the user
            said is compared, all else must be the same; numbers, names, dates, negation and the
            order of words must agree. Needs the extra `semantic`, unless there is `embed`.
        threshold: how alike two questions must be at least, the cosine of their vectors; by default
            0.65, since what decides is the comparison of their words.
        embed: turns a text into a vector, in place of the extra's model; may be async in async
            calls.

    Events:
        `CacheHit`, `CacheMissed`, `CacheStored`, `CacheSkipped`, `StoreFailed`.

    Raises:
        TypeError: at decoration for arguments that make no sense; at a call, for an argument
            without a canonical form, by name, and for an answer of a type that cannot be kept.

    Examples:
        >>> from agentguard import cache
        >>> @cache(ttl="1h")
        ... def ask(question: str) -> str:
        ...     print("asking")
        ...     return "42"
        >>> ask("?"), ask("?")
        asking
        ('42', '42')
    """

    spellings: ClassVar[Mapping[str, str]] = {
        "maxsize": "max_entries=",
        "max_size": "max_entries=",
        "size": "max_entries=",
        "expire": "ttl=",
        "expiry": "ttl=",
        "expires": "ttl=",
        "timeout": "ttl=",
        "seconds": "ttl=",
        "namespace": "name=, or version=",
        "prefix": "name=",
        "url": "store=",
        "backend": "store=",
        "beta": "early=",
        "swr": "stale_while_revalidate=",
        "key_func": "key=",
        "exclude": "ignore=",
    }

    def __init__(
        self,
        ttl: Length | None = "1h",
        *,
        store: Any = None,
        name: str | None = None,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        share: Literal["tenant", "all"] | None = None,
        ignore: Sequence[str] = (),
        key: Callable[..., object] | None = None,
        version: str | int | None = None,
        types: Sequence[type] = (),
        each: str | None = None,
        tags: Sequence[str] | Callable[[Call], Sequence[str]] = (),
        replay: Literal["at once", "paced"] = "at once",
        early: float = 1.0,
        stale_while_revalidate: Length = 0,
        stale_if_error: Length = 0,
        when: Literal["repeatable"] | Callable[[Call], bool] | None = None,
        semantic: bool = False,
        threshold: float | None = None,
        embed: Embed | None = None,
    ) -> None:
        one_of("cache", "share", share, "tenant", "all")
        one_of("cache", "replay", replay, "at once", "paced")
        if isinstance(ignore, str):
            raise TypeError(f"cache(ignore=) takes names of arguments: write ignore=({ignore!r},)")
        if isinstance(tags, str):
            raise TypeError(f"cache(tags=) takes several words: write tags=({tags!r},)")
        if callable(tags):
            plain("cache", "tags", tags, "words, or a function of the call")
        if store is not None and name is None:
            raise TypeError(
                "cache(store=) needs name=, under which the answers are kept in it: one that "
                "outlives your code, as in name='faq'"
            )
        if number("cache", "early", early) < 0 or not math.isfinite(early):
            raise ValueError(f"cache(early=) is 0 or more, not {early!r}")
        self.label = name or "cache"
        self.fresh = Freshness(
            None if ttl is None else _seconds("ttl", ttl),
            early,
            _seconds("stale_while_revalidate", stale_while_revalidate, zero=True),
            _seconds("stale_if_error", stale_if_error, zero=True),
        )
        self.entries = open_entries(store, max_entries=max_entries, max_bytes=max_bytes)
        self.keys = Keys(ignore=ignore, key=key, version=version, share=share)
        self.codec = Answers(types)
        self.share = share
        self.each = each
        self.replay: Literal["at once", "paced"] = replay
        self.flights = Flights()
        self.when = when
        self._when = _wanted(when)
        self._rest = 0.0
        self.counts = Counts()
        self._tags = tags
        self.questions: Questions | None = None
        if semantic:
            from agentguard.caching.questions import Questions
            from agentguard.caching.semantic.semantic import Semantic

            known = Semantic(embed=embed) if threshold is None else Semantic(threshold, embed)
            self.questions = Questions(known, self.keys, self.entries, self.label)
        elif threshold is not None or embed is not None:
            raise TypeError("cache(threshold=) and cache(embed=) go with semantic=True")

    @classmethod
    def takes(cls, value: object) -> bool:
        """A time to live, as in `cache("1h")`."""
        return isinstance(value, (str, int, float, timedelta))

    async def around(self, call: Call, next: Next) -> Reply:
        """Answer from what is kept, or ask and keep the answer."""
        if call.scope.caching == "bypass" or call.target.tool or not self._when(call):
            return await next(call)
        self.codec.learn(call)
        items = self.each or embeddings.argument(call.target)
        if items is not None:
            return await Piecewise(self, call, next, items).answer()
        return await Asking(self, call, next, self.keys.of(call)).answer()

    def check(self, target: Target) -> None:
        """Refuse what could never be kept."""
        self.keys.check(target)
        self.codec.check(target)
        if self.each is not None and not embeddings.takes(target, self.each):
            raise TypeError(
                f"cache(each={self.each!r}): {target.name} has no argument {self.each!r}"
            )
        if self.questions is not None:
            self.questions.semantic.check(target)

    def tags_of(self, call: Call, served: str | None) -> list[str]:
        """What the answer of a call can be invalidated by.

        Args:
            call: the call.
            served: the model that answered, where it is known.
        """
        tags = self._tags(call) if callable(self._tags) else self._tags
        found = [f"tag:{each}" for each in tags] if tags else []
        asked = call.target.given(call.kwargs).get("model") or call.target.endpoint.model
        if isinstance(asked, str):
            found.append(f"model:{asked}")
        if served is not None and served != asked:
            found.append(f"model:{served}")
        return found

    def skip(self, call: Call, reason: str) -> None:
        """Say that an answer is not kept."""
        self.counts.skipped()
        call.emit(events.CacheSkipped, self.label, reason)

    def rests(self, runtime: Runtime) -> bool:
        """Whether the store failed a moment ago, so that it is left alone."""
        return self._rest > 0.0 and runtime.monotonic() < self._rest

    def store_failed(self, call: Call, error: StoreUnavailable) -> None:
        """Say that the call goes on without what is kept, as others do for a second."""
        name = type(error).__name__
        self._rest = call.runtime.monotonic() + _REST
        call.emit(events.StoreFailed, self.entries.place, name, "the cache stood aside")

    # For people

    def cache_info(self) -> CacheInfo:
        """How often it answered, and what it holds. A store is asked, which blocks for a moment.

        Examples:
            >>> from agentguard import cache
            >>> answers = cache(ttl="1h")
            >>> answers.cache_info().entries
            0
        """
        from agentguard.engine import clock

        size = self.entries.size(self.label, clock.now().time())
        return self.counts.info(size.entries, size.bytes)

    def cache_clear(self) -> int:
        """Let go of all answers, and begin the counts anew.

        Returns:
            How many answers there were.
        """
        self.counts.clear()
        self.flights.forget()
        if self.questions is not None:
            self.questions.clear()
        return self.entries.clear(self.label)

    def invalidate(self, *, tag: str | None = None, model: str | None = None) -> int:
        """Let go of the answers with a tag, or of a model.

        Args:
            tag: one of those that `tags=` gave them.
            model: that was asked for, or that answered.

        Returns:
            How many there were.

        Examples:
            >>> from agentguard import cache
            >>> answers = cache(ttl="1h", tags=("prices",))
            >>> answers.invalidate(tag="prices")
            0
        """
        if (tag is None) == (model is None):
            raise TypeError("invalidate() takes one of the two, tag='...' or model='...'")
        word = f"model:{model}" if tag is None else f"tag:{tag}"
        self.flights.forget()
        return self.entries.invalidate(self.label, word)

    def explain(self) -> Sequence[tuple[str, object]]:
        """The settings, and where the answers are kept."""
        fresh = self.fresh
        shared = {"tenant": "within a tenant", "all": "with everybody"}
        return [
            ("ttl", "for ever" if fresh.ttl is None else f"{fresh.ttl:g} s"),
            *(
                [("stale_while_revalidate", f"{fresh.while_revalidate:g} s")]
                if fresh.while_revalidate
                else []
            ),
            *([("stale_if_error", f"{fresh.if_error:g} s")] if fresh.if_error else []),
            *([] if self.when is None else [("when", _told(self.when))]),
            ("shared", shared.get(str(self.share), "with nobody: by tenant and user")),
            *([] if self.questions is None else [("semantic", self.questions.semantic.encoder)]),
            ("state", self.entries.place),
        ]


cache = Bare(Cache)


def _seconds(name: str, value: Length, *, zero: bool = False) -> float:
    found = length(value) if isinstance(value, (str, timedelta)) else None
    if found is not None:
        return found
    if isinstance(value, (str, timedelta)):
        raise ValueError(  # noqa: TRY004  the type is right
            f'cache({name}=) is a number of seconds, or a length as in "30m", "1h" or "7d", not '
            f"{value!r}"
        )
    seconds = number("cache", name, value, 'a number of seconds, or a length as in "1h"')
    if not math.isfinite(seconds) or seconds < 0 or (seconds == 0 and not zero):
        raise ValueError(f"cache({name}=) must be positive, not {value!r}")
    return seconds


def _wanted(when: object) -> Callable[[Call], bool]:
    if when is None:
        return lambda _: True
    if when == "repeatable":
        return repeatable
    plain("cache", "when", when, '"repeatable", or a function of the call')
    return cast("Callable[[Call], bool]", when)


def _told(when: object) -> str:
    return when if isinstance(when, str) else "a function of the call"
