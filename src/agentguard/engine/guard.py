"""`guard`: policies put together, and what they can be put around."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from agentguard.engine import arguments
from agentguard.engine.chain import Policy
from agentguard.engine.decorate import Guarded, guarded
from agentguard.engine.order import place, unsafe
from agentguard.engine.refuse import callable_alone, refuse
from agentguard.engine.runtime import Options
from agentguard.engine.spelling import Bare

if TYPE_CHECKING:
    from langchain.agents.middleware import AgentMiddleware

__all__ = ["guard"]

T = TypeVar("T")


class guard:  # noqa: N801  reads like a verb where it is used
    """Put policies around whatever calls a model, outermost first.

    The result is called exactly as before: same signature, same shape (function, coroutine
    function, generator, async generator, a function that returns an SDK's stream), same exceptions.
    Of an SDK's client, a LangChain model, tool or runnable it makes a copy of the same class, every
    model call of which runs through the policies. One guard can stand around many of them; they
    share the state of its policies.

    Args:
        *policies: outermost first: `guard(fallback(...), retry(), breaker(), timeout(30))` is
            `fallback(retry(breaker(timeout(call))))`.
        strict: refuse an order of policies that is known to be unsafe, instead of warning.
        on_blind: what to do when a policy that counts or marks (a budget, `prompt_cache`) surrounds a
            callable in which no model call was seen: "warn" once, or "raise" `errors.Blind`.
        strict_streams: whether a stream that ends without its provider's terminal signal is cut
            (`errors.StreamTruncated`). By default this is so for providers that always send one,
            and learned for servers that speak OpenAI's chat protocol.
        abandon_after: seconds after which a stream that nobody reads is closed and settled.

    Raises:
        TypeError: at once, for what cannot be guarded, saying what to write instead.

    Examples:
        >>> from agentguard import guard, retry, timeout
        >>> safe = guard(retry(attempts=3), timeout(30))
        >>> @safe
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> ask("?")
        '42'
    """

    def __init__(
        self,
        *policies: Policy,
        strict: bool = False,
        on_blind: Literal["warn", "raise"] = "warn",
        strict_streams: bool | None = None,
        abandon_after: float = 60.0,
    ) -> None:
        _check(policies)
        if not policies:
            raise TypeError("guard() needs at least one policy, as in guard(retry(), timeout(30))")
        arguments.seconds("guard", "abandon_after", abandon_after)
        self.policies = policies
        # Of guarded objects: by the class that they had, and by what of it is guarded.
        self.kinds: dict[tuple[type, tuple[str, ...]], type] = {}
        self.strict = strict
        arguments.one_of("guard", "on_blind", on_blind, "warn", "raise")
        self.options = Options(strict_streams, abandon_after, policies, on_blind)
        self.told = (strict, strict_streams, abandon_after, on_blind) != (False, None, 60.0, "warn")
        for reason in unsafe(policies):
            if strict:
                raise ValueError(reason)
            warnings.warn(reason, stacklevel=_level())

    def with_(self, policy: Policy) -> guard:
        """The same guard with `policy` in place of the one of its name, or else where it belongs.

        An `on_event` joins those that are there.
        """
        if not isinstance(cast("object", policy), Policy):
            raise TypeError(
                f"with_() takes a policy, as in with_(retry()), not {arguments.told(policy)}"
            )
        same = 0 if policy.several else sum(each.name == policy.name for each in self.policies)
        if same > 1:
            raise ValueError(
                f"this guard has {same} policies named {policy.name!r}, and with_() cannot know which "
                "one is meant: write the whole guard(...) anew"
            )
        if same:
            return self._of(
                *(policy if each.name == policy.name else each for each in self.policies)
            )
        at = place(policy, self.policies)
        return self._of(*self.policies[:at], policy, *self.policies[at:])

    def without(self, *names: str) -> guard:
        """The same guard but for the policies of these names."""
        known = [policy.name for policy in self.policies]
        for name in names:
            if name not in known:
                raise ValueError(f"this guard has no {name!r}; it has {', '.join(known)}")
        return self._of(*(policy for policy in self.policies if policy.name not in names))

    def _of(self, *policies: Policy) -> guard:
        return guard(
            *policies,
            strict=self.strict,
            on_blind=self.options.on_blind,
            strict_streams=self.options.strict_streams,
            abandon_after=self.options.abandon_after,
        )

    def __repr__(self) -> str:
        return f"guard({', '.join(map(repr, self.policies))})"

    if not TYPE_CHECKING:  # a checker should refuse the block by itself

        def __enter__(self) -> None:
            raise TypeError(
                "`with guard(...)` would guard nothing: a block cannot be run again. Decorate the "
                "function that makes the call, @guard(...), or guard the client: guard(...)(client)"
            )

        def __exit__(self, *_: object) -> None:
            return None

        __aenter__, __aexit__ = __enter__, __exit__

    def facts(self) -> dict[str, Any]:
        """What `describe` tells of it beside its policies: of a preset, its settings."""
        return {}

    def around(self, inner: guard) -> guard:
        """These policies around those of `inner`, as one guard."""
        told = self if self.told else inner
        return told._of(*self.policies, *inner.policies)  # noqa: SLF001

    def __call__(self, fn: T) -> T:
        """Guard `fn`; on what is guarded already, put these policies around its own."""
        return self._guarded(fn, tool=False)

    def tool(self, fn: T) -> T:
        """Guard a tool: what has effects in the world when an agent calls it.

        A call around it in which it ran is not replayed, see `retry(replay=)`. LangChain tools are
        known to be tools, any other function is one when it is guarded by this.

        Examples:
            >>> from agentguard import guard, timeout
            >>> @guard(timeout(5)).tool
            ... def send_mail(to: str) -> str:
            ...     return "sent"
        """
        return self._guarded(fn, tool=True)

    def middleware(self, *, tools: guard | None = None) -> AgentMiddleware[Any, Any, Any]:
        """These policies around every model call of a LangChain agent, as its middleware.

        A fallback target is called as the middleware is, with the request and its handler:
        `def backup(request, handler): return handler(request.override(model=other))`. Where an
        agent's tokens are streamed to a user, guard the model itself: LangChain hands them out past
        its middleware, and a retry there would stream them twice.

        Args:
            tools: the guard around every tool call; policies for models are rarely right for tools,
                whose effects a retry repeats. Without it tools run under no policy, but as tools:
                a retry around the agent does not repeat what they did.

        Raises:
            ImportError: LangChain 1 is not installed.

        Examples:
            >>> from agentguard import guard, retry, timeout
            >>> safe = guard(retry(), timeout(30)).middleware(tools=guard(timeout(5)))
            >>> safe.name
            'guard(retry, timeout)'
        """
        from agentguard.integrations.langchain_middleware import middleware

        return middleware(self, tools)

    def _guarded(self, fn: T, *, tool: bool) -> T:
        inner = guarded(fn)
        if inner is not None:
            tool = tool or inner.target.tool
            return cast("T", Guarded(self.around(inner.guard), inner.target.fn, tool=tool).wrapper)
        if not callable_alone(fn):
            from agentguard.integrations import holder

            held = holder(fn)
            if held is not None:
                _keeps_answers(self.policies, fn)
                return cast("T", held(fn, self))
        refuse(fn)
        return cast("T", Guarded(self, cast("Any", fn), tool=tool).wrapper)


def _level() -> int:
    """For a warning: how many frames up the user's own line is, past ours."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and f"{frame.f_globals.get('__name__')}.".startswith("agentguard."):
        level, frame = level + 1, frame.f_back
    return level


def _check(policies: tuple[object, ...]) -> None:
    for each in policies:
        if not isinstance(each, Policy):
            raise TypeError(_not_a_policy(each))


def _keeps_answers(policies: tuple[Policy, ...], held: object) -> None:
    """Those who hold a client or a model rely on what it answers with: no policy makes another."""
    for each in policies:
        if type(each).deliver is not Policy.deliver:
            raise TypeError(
                f"{each!r} returns something else than the answer, and {type(held).__name__} must answer "
                "as itself: decorate the function that makes the call and reads the answer"
            )


def _not_a_policy(value: Any) -> str:
    if isinstance(value, Bare):
        return f"guard() takes policies: write {value.name}() with parentheses, not {value.name}"
    from agentguard.integrations import holder

    if isinstance(value, guard):
        return (
            "guard() takes policies, and a guard or preset is a whole stack of them: put it around the "
            "callable itself, and add or replace one with .with_(retry())"
        )
    name = getattr(value, "__name__", None)
    kind = type(value).__name__
    if isinstance(value, (list, tuple)):
        return f"guard() takes its policies one by one, as in guard(*policies), not as a {kind}"
    if holder(value) is not None:
        return f"guard() takes policies: what they go around comes after, guard(...)({kind}(...))"
    if name is None:
        return f"guard() takes policies such as retry(), not {kind}"
    return (
        f"guard() takes policies, and {name} is none: write @guard(retry(), ...) above a function, "
        f"or guard(retry(), ...)({name})"
    )
