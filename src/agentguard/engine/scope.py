"""What surrounds guarded calls: context, deadline, listeners, block policies.

One ContextVar carries it all. A guarded call captures its scope when it is called and keeps it
for its whole life, streams included, whatever thread or task pulls them. While an attempt runs,
the variable holds the attempt itself, so that calls made inside know whose children they are.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast

from agentguard.engine import arguments, clock
from agentguard.engine.limits import Deadline, narrower
from agentguard.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType
    from typing import Self

    from agentguard.engine.call import Attempt, AttemptHook
    from agentguard.engine.chain import Policy
    from agentguard.events import Listener

__all__ = [
    "Block",
    "Restores",
    "Scope",
    "context",
    "current",
    "deadline",
    "restore",
    "surrounding",
]

_NOTHING: Final[Mapping[str, object]] = {}


class Restores(Protocol):
    """Knows what the placeholders of a masked call stand for."""

    def restore(self, text: str, /) -> str:
        """The text with what its placeholders stand for."""
        ...


class Scope:
    """What a guarded call finds around itself. Never changed: a block makes a new one.

    Attributes:
        tags: what `context(...)` blocks said: user, tenant and any tag.
        deadline: the bound that nothing inside may outlive, or None.
        listeners: who hears of events, innermost last.
        policies: block policies, applied as if outermost.
        hooks: who sees every attempt inside, see `Call.on_attempt`.
        attempt: the attempt this scope runs in, or None outside guarded calls.
        bypass: whether guarded callables run as if they were bare (`testing.disabled`).
        caching: "bypass" or "refresh" where caches are told to do so, else None.
        vault: what was masked in the call that this scope is inside of, or None.
        known: personal data that the application knows: pairs of a type and a value.
    """

    __slots__ = (
        "attempt",
        "block",
        "bypass",
        "caching",
        "deadline",
        "hooks",
        "known",
        "listeners",
        "outer",
        "policies",
        "tags",
        "vault",
    )

    def __init__(
        self,
        *,
        tags: Mapping[str, object] = _NOTHING,
        deadline: Deadline | None = None,
        listeners: tuple[Listener, ...] = (),
        policies: tuple[Policy, ...] = (),
        hooks: tuple[AttemptHook, ...] = (),
        attempt: Attempt | None = None,
        bypass: bool = False,
        caching: Literal["bypass", "refresh"] | None = None,
        vault: Restores | None = None,
        known: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.tags = tags
        self.deadline = deadline
        self.listeners = listeners
        self.policies = policies
        self.hooks = hooks
        self.attempt = attempt
        self.bypass = bypass
        self.caching: Literal["bypass", "refresh"] | None = caching
        self.vault = vault
        self.known = known
        self.outer: Scope | Attempt | None = None
        self.block: Block | None = None

    def within(self, **changes: Any) -> Scope:
        """A scope like this one but for `changes`."""
        other = Scope.__new__(Scope)  # every guarded call inside another makes one
        other.tags = self.tags
        other.deadline = self.deadline
        other.listeners = self.listeners
        other.policies = self.policies
        other.hooks = self.hooks
        other.attempt = self.attempt
        other.bypass = self.bypass
        other.caching = self.caching
        other.vault = self.vault
        other.known = self.known
        other.outer = other.block = None
        for name, value in changes.items():
            setattr(other, name, value)
        return other


def listening(scope: Scope, policies: Iterable[Policy]) -> Scope:
    """The scope in which `policies` hear what happens.

    Of a policy that is `innermost`, one of the same name that listens further out hears no more.
    """
    names = {policy.name for policy in policies if policy.innermost}
    kept = [each for each in scope.listeners if _named(each) not in names]
    for policy in policies:
        if policy.hear not in kept:
            kept.append(policy.hear)
    return scope.within(listeners=tuple(kept))


def _named(listener: Listener) -> str | None:
    owner: Any = getattr(listener, "__self__", None)
    return owner.name if getattr(owner, "innermost", False) else None


OUTERMOST: Final = Scope()
current: Final[ContextVar[Scope | Attempt]] = ContextVar("agentguard", default=OUTERMOST)


def surrounding() -> Scope:
    """The scope of whoever asks."""
    holder = current.get()
    return holder if type(holder) is Scope else cast("Attempt", holder).scope()


def restore(attempt: Attempt, outer: Scope | Attempt) -> None:
    """Put `outer` back after `attempt`, blocks that it left open included.

    Nothing is done in a Context where the attempt is not: a suspended call that the collector
    closes would otherwise change the scope of whoever runs just then.
    """
    holder: Scope | Attempt | None = current.get()
    while type(holder) is Scope:
        holder = holder.outer
    if holder is attempt:
        current.set(outer)


class Block:
    """Base of the `with` (and `async with`) blocks that surround guarded calls.

    Nothing is stored on the block while it is entered, so one object may be entered by several
    threads and tasks at once, and again within itself.
    """

    def surround(self, outer: Scope) -> Scope:
        """The scope inside this block, given the one outside."""
        raise TypeError(f"{type(self).__name__} is not a block")

    def __enter__(self) -> Self:
        holder = current.get()
        scope = self.surround(surrounding())
        scope.outer, scope.block = holder, self
        current.set(scope)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Generators and frameworks leave blocks out of order, or in another Context. A ContextVar
        # token would raise there; marking the scope as left would reach tasks that still hold it.
        # So what was entered after this block is put on what was around it, here alone.
        above: list[Scope] = []
        holder: Scope | Attempt | None = current.get()
        while isinstance(holder, Scope) and holder.block is not self:
            above.append(holder)
            holder = holder.outer
        if not isinstance(holder, Scope) or holder.outer is None:
            return
        rest = holder.outer
        for scope in reversed(above):
            kept = scope.within()
            kept.outer, kept.block, rest = rest, scope.block, kept
        current.set(rest)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)


class context(Block):  # noqa: N801  a block reads like a verb, as contextlib.suppress does
    """Say for whom the calls inside are made: reports, events and keyed policies use it.

    Inner blocks add to outer ones. The scope is captured when a guarded callable is called and
    stays with its stream after the block was left.

    Args:
        user: who asks.
        tenant: on whose account.
        known: personal data that the application knows of whoever asks, by type, as in
            {"name": "Kim Minsu", "address": [...]}: `mask_pii` finds it exactly. It is part of no
            label, key or message, and does not cross into other processes.
        **tags: anything else to group by. Values are used as labels: put no secrets here.

    Examples:
        >>> from agentguard import context
        >>> with context(user="u1", feature="search"):
        ...     pass
    """

    def __init__(
        self,
        /,
        *,
        user: object = None,
        tenant: object = None,
        known: Mapping[str, str | Iterable[str]] | None = None,
        **tags: object,
    ) -> None:
        if user is not None:
            tags["user"] = user
        if tenant is not None:
            tags["tenant"] = tenant
        self.tags = tags
        self._known = () if known is None else tuple(_known(known))

    def __repr__(self) -> str:
        return f"context({', '.join(f'{key}=...' for key in self.tags)})"

    def surround(self, outer: Scope) -> Scope:
        """Add these tags to those around."""
        known = self._known
        return outer.within(
            tags={**outer.tags, **self.tags},
            known=(*outer.known, *known) if known else outer.known,
        )


def _known(given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    if not isinstance(cast("object", given), dict):
        raise TypeError(
            'context(known=) takes a dict of types and values, as in {"name": "Kim Minsu"}, not '
            f"{arguments.told(given)}"
        )
    for kind, value in given.items():
        single = not isinstance(value, (list, tuple, set, frozenset))
        for each in (value,) if single else cast("Iterable[object]", value):
            if not isinstance(each, str):
                raise TypeError(
                    f"context(known=) takes texts, or lists of them: that of {kind!r} is "
                    f"{arguments.told(each)}"
                )
            if each.strip():
                yield kind, each


class deadline(Block):  # noqa: N801
    """Bound everything inside by one point in time, however many calls, retries and waits.

    No wait, attempt or pull of a guarded call goes past it: a retry that could not finish its wait
    in time is not begun. Works with no `timeout` in any chain. An inner deadline only narrows.

    Args:
        seconds: from entering the block. What is left of a request's time may be nothing: with 0
            or less, every guarded call inside is refused.

    Raises:
        errors.DeadlineExceeded: out of a guarded call, when the time is used up.

    Examples:
        >>> from agentguard import deadline
        >>> with deadline(20):
        ...     pass
    """

    def __init__(self, seconds: float) -> None:
        left = arguments.number("deadline", "seconds", seconds, "a number of seconds, as in 20")
        self.seconds = arguments.seconds("deadline", "seconds", max(left, 0.0), zero=True)

    def __repr__(self) -> str:
        return f"deadline({self.seconds:g})"

    def surround(self, outer: Scope) -> Scope:
        """Narrow the deadline around, counted from now."""
        at = clock.monotonic() + self.seconds
        mine = Deadline(at, "deadline", self.seconds, error=DeadlineExceeded)
        return outer.within(deadline=narrower(outer.deadline, mine))
