"""`explain` and `describe`: what stands around a callable, in words and as data."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine.decorate import guarded
from agentguard.engine.guard import guard
from agentguard.engine.order import unsafe
from agentguard.integrations.held import held
from agentguard.providers.endpoint import endpoint

if TYPE_CHECKING:
    from agentguard.engine.chain import Policy
    from agentguard.integrations.held import Held
    from agentguard.providers.endpoint import Endpoint

__all__ = ["describe", "explain"]

_UNKNOWN: Final = (
    "which provider and model are called, unless the answer says so: guard the client itself, or "
    "pass the response through record(...)"
)


def describe(fn: object) -> dict[str, Any]:
    """What stands around `fn`, as data that a test can assert on.

    Args:
        fn: a guarded callable or object (a client, a chat model, a tool), or a guard.

    Returns:
        `name`, `shape`, `policies` (outermost first, each with `name` and its settings),
        `provider`, `requests` (how many one call can become at most, the client's own retries
        included), `blind` and `warnings` (sentences); of an object also `calls` (what of it is
        guarded) and `notes` (sentences).

    Raises:
        TypeError: for what is not guarded.

    Examples:
        >>> from agentguard import describe, retry
        >>> @retry(attempts=2)
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> describe(ask)["requests"]
        2
    """
    if isinstance(fn, guard):
        return _guard(fn)
    whole = held(fn)
    if whole is not None:
        return _held(fn, whole)
    found = guarded(fn) or guarded(getattr(fn, "__func__", None))
    if found is None:
        raise TypeError(
            f"{getattr(fn, '__qualname__', type(fn).__name__)} is not guarded: decorate it with "
            "@guard(...) or a policy first"
        )
    facts = {"name": found.target.name, "shape": found.target.shape}
    return facts | _guard(found.guard, found.target.endpoint)


def explain(fn: object) -> str:
    """The same as text: the chain, what it cannot see, and what one call can become.

    Examples:
        >>> from agentguard import explain, retry
        >>> @retry
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> print(explain(ask).splitlines()[0])
        ask (function), guarded by, outermost first:
    """
    facts = describe(fn)
    name = f"{facts['name']} ({facts['shape']}), guarded by" if "name" in facts else "guard of"
    lines = [f"{name}, outermost first:"]
    for policy in facts["policies"]:
        settings = (f"{key}={value}" for key, value in policy.items() if key != "name")
        lines.append(f"  {policy['name']}: {', '.join(settings)}")
    if "calls" in facts:
        lines.append(f"Guarded are {', '.join(facts['calls'])}.")
    lines.append(_most(facts))
    lines += facts.get("notes", ())
    lines += [f"Cannot see: {sentence}" for sentence in facts["blind"]]
    lines += [f"Warning: {sentence}" for sentence in facts["warnings"]]
    if "preset" in facts:
        lines.append(f"It is {facts['preset']}(), version {facts['version']}:")
        lines += [
            f"  {each['key']} = {each['value']} ({each['source']})" for each in facts["settings"]
        ]
    return "\n".join(lines)


def _most(facts: dict[str, Any]) -> str:
    most = f"One call can become at most {facts['requests']}"
    if _UNKNOWN not in facts["blind"]:
        return f"{most} requests."
    return f"{most} attempts. What a client used inside repeats by itself comes on top."


def _held(thing: object, whole: Held) -> dict[str, Any]:
    facts = {"name": type(thing).__name__, "shape": "object"}
    told = {"calls": list(whole.calls), "notes": whole.told(thing)}
    first = attrgetter(whole.calls[0])(thing)
    inner = guarded(first)
    acts = inner is not None and inner.target.tool  # there is no model to be seen in a tool
    return facts | _guard(whole.guard, None if acts else endpoint(first), held=True) | told


def _guard(guard: guard, seen: Endpoint | None = None, *, held: bool = False) -> dict[str, Any]:
    warnings = list(unsafe(guard.policies))
    own = 0 if seen is None else seen.max_retries or 0
    requests = 1
    for policy in reversed(guard.policies):
        requests = policy.requests(requests)
    if own and requests > 1:
        remedy = (
            "leave max_retries= out"
            if held
            else "guard the client itself, or pass it max_retries=0"
        )
        warnings.append(f"the client retries {own} times by itself, inside every attempt: {remedy}")
    requests *= 1 + own
    blind: list[str] = []
    if seen is not None and seen.provider is None:
        blind.append(_UNKNOWN)
    for policy in guard.policies:
        blind += policy.cannot_see(seen)
    return {
        "policies": [_policy(policy) for policy in guard.policies],
        "provider": None if seen is None else seen.provider,
        "requests": requests,
        "blind": blind,
        "warnings": warnings,
        **guard.facts(),
    }


def _policy(policy: Policy) -> dict[str, Any]:
    switched = {} if policy.mode == policy.written else {"switched": policy.mode}
    return {"name": policy.name, **dict(policy.explain()), **switched}
