"""Policies, how they are linked, and the end of the chain where an attempt is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from agentguard.engine.call import Attempt, Outcome
from agentguard.engine.metered import followed, metered, unmetered
from agentguard.engine.reply import Reply, Source
from agentguard.engine.runtime import PLAIN, Runtime
from agentguard.engine.surround import within
from agentguard.providers.shapes import is_stream, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentguard.engine.call import Call
    from agentguard.engine.switches import Mode
    from agentguard.engine.target import Target
    from agentguard.events import Event
    from agentguard.providers.endpoint import Endpoint

__all__ = ["Next", "Policy", "invoke", "link"]

T = TypeVar("T")

Next = Callable[["Call"], Awaitable[Reply]]
"""The chain inside a policy: await it for the reply."""


class Policy:
    """One concern around a call, for every shape of callable, written once as a coroutine.

    A subclass writes `around` and waits only through `call.runtime`; state that it shares between
    calls it guards with a `threading.Lock` held for a few lines, never across an await.

    Attributes:
        name: what `guard.without(name)` and reports call it; the class name in lower case unless
            given.

    Examples:
        >>> from agentguard import Call, Policy, Reply, observe
        >>> class Count(Policy):
        ...     def __init__(self) -> None:
        ...         self.failed = 0
        ...     async def around(self, call, next):
        ...         return await observe(next(call), self.count)
        ...     def count(self, outcome) -> None:
        ...         self.failed += outcome.kind == "failed"
        >>> @Count()
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> ask("?")
        '42'
    """

    name: ClassVar[str] = ""
    spellings: ClassVar[Mapping[str, str]] = {}
    """Keywords of other libraries, and what to write here instead."""

    unshown: ClassVar[frozenset[str]] = frozenset()
    """Settings whose values `repr` does not show."""

    needs_model: bool = False
    """Whether it can do nothing where no model call is seen, as one that counts tokens."""

    innermost: ClassVar[bool] = False
    """Whether one of the same name further in hears of the calls inside in its place."""

    several: ClassVar[bool] = False
    """Whether `guard.with_` adds it to those of its name, in place of none."""

    refuses: bool = False
    """Whether it refuses calls in a way that `shadow(policy)` and `switch` can end."""

    locked: bool = False
    """Whether `switch` must leave it as it was written."""

    written: Mode = "on"
    """How it was written: `shadow(policy)` makes it "shadow"."""

    mode: Mode = "on"
    """How it is now: `switch` may have changed it."""

    spelled: str | None = None
    """How the user wrote it, for `repr`."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in cls.__dict__:
            cls.name = cls.__name__.lower()

    @classmethod
    def takes(cls, value: object) -> bool:
        """Whether a bare `policy(value)` is a setting, not a callable to decorate."""
        return False

    async def around(self, call: Call, next: Next) -> Reply:
        """Do something around `await next(call)`; return the reply, or another one."""
        return await next(call)

    async def deliver(self, call: Call, reply: Reply) -> Reply:
        """Make of the reply that comes out of the whole chain what the caller gets.

        For what no policy further out, nor a cache, may see or keep. Innermost first.
        """
        return reply

    def hear(self, event: Event) -> None:
        """Hear of what happens in the calls that it stands around, and in those made inside them.

        Called on the caller's thread, if at all: only what overrides it is told. A call of its own
        has it among `event.call.policies`. What it raises is logged and never breaks the call.
        """

    def switched(self, mode: Mode) -> None:
        """From now on refuse ("on"), only report ("shadow"), or stand aside ("off")."""
        self.mode = mode

    @property
    def shadowed(self) -> bool:
        """Whether it only reports what it would refuse."""
        return self.mode == "shadow"

    def check(self, target: Target) -> None:
        """Refuse a target that this policy cannot serve: called when a callable is decorated."""

    def requests(self, inner: int) -> int:
        """How many requests one call becomes at most, when the chain inside makes `inner`."""
        return inner

    def answers(self, error: Exception) -> bool:
        """Whether it has an answer of its own to this failure of the chain inside."""
        return False

    def explain(self) -> Sequence[tuple[str, object]]:
        """The policy's settings, as `explain(fn)` and `describe(fn)` show them."""
        return ()

    def health(self, told: dict[str, Any]) -> bool:
        """Add to what `health(...)` tells how it stands; whether it is worse than it should be."""
        return False

    def cannot_see(self, seen: Endpoint | None) -> Sequence[str]:
        """Sentences for `explain` on what escapes it, given what is seen of the target."""
        return ()

    def __call__(self, fn: T) -> T:
        """Guard `fn` with this policy alone."""
        from agentguard.engine.guard import guard

        return guard(self)(fn)

    def __repr__(self) -> str:
        return self.spelled or f"{self.name}()"

    if not TYPE_CHECKING:  # a checker should refuse the block by itself

        def __enter__(self) -> None:
            raise TypeError(
                f"`with {self.name}(...)` would guard nothing: a block cannot be run again. "
                f"Decorate the function that makes the call: @{self.name}(...)"
            )

        def __exit__(self, *_: object) -> None:
            return None


def link(policies: Sequence[Policy]) -> Next:
    """The chain, outermost policy first, ending in the attempt."""
    chain: Next = invoke
    for policy in reversed(policies):
        chain = _before(policy, chain)
    return chain


def _before(policy: Policy, inner: Next) -> Next:
    around = policy.around

    def step(call: Call) -> Awaitable[Reply]:  # returns the coroutine: no frame of its own
        return around(call, inner)

    def switchable(call: Call) -> Awaitable[Reply]:
        return inner(call) if policy.mode == "off" else around(call, inner)

    return switchable if policy.refuses else step


async def invoke(call: Call) -> Reply:
    """The chain's end, the only place where an attempt begins and ends."""
    attempt = Attempt(call)
    try:
        for hook in call.hooks:
            pending = hook(attempt)
            if pending is not None:
                await pending
        if call.record is not None:
            attempt.begin()
        if call.target.tool:
            call.acts()
        if (call.record is not None or call.hooks) and call.target.endpoint.meters:
            value = await metered(attempt)
        else:
            value = await call.runtime.invoke(attempt)
        if type(value) not in PLAIN:
            if is_stream(value):
                return await _stream(attempt, value)
            shape_of(value).read(value, attempt.reading)
            if attempt.reading.error is not None:
                raise attempt.reading.error
        elif attempt.looked_at:  # else it is read when somebody asks
            shape_of(value).read(value, attempt.reading)
    except BaseException as error:
        await attempt.end(Outcome.of(error, attempt))
        raise
    attempt.value = value
    attempt.seen()
    if attempt.watched:
        await attempt.end(Outcome("completed", None, attempt))
    return Reply(attempt, value)


async def _stream(attempt: Attempt, iterator: Any) -> Reply:
    runtime = attempt.call.runtime
    if attempt.record is not None:
        attempt.record.streamed = True
    if attempt.call.kwargs.get("stream") is not True:
        attempt.call.target.streams = True  # always, not only when it is asked to
    waits = runtime.is_async and hasattr(iterator, "__anext__")
    step = within(attempt, iterator.__anext__ if waits else iterator.__next__, waits=waits)
    if attempt.items is not None:
        step = followed(attempt, attempt.items, step, waits)
    source = Source(attempt, iterator, unmetered(attempt, step, waits) if attempt.metered else step)
    if runtime.is_async and not waits:
        if attempt.call.target.fn is not runtime.target.fn:
            source.step = runtime.in_worker(source)
        else:  # an async function that returns a sync iterator: its caller reads it as one
            source.runtime = Runtime(False, runtime.target, runtime.options)
    if runtime.ended:
        await source.close()
    else:
        if runtime.open is None:
            runtime.open = []
        runtime.open.append(source)
        await source.open()
    return Reply(attempt, None, source)
