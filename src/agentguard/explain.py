"""`explain` and `describe`: what stands around a callable, in words and as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.engine.decorate import Guarded, guard, guarded
from agentguard.engine.order import unsafe

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["describe", "explain"]


def describe(fn: Callable[..., Any] | guard) -> dict[str, Any]:
    """What stands around `fn`, as data that a test can assert on.

    Args:
        fn: a guarded callable, or a guard.

    Returns:
        `name`, `shape`, `policies` (outermost first, each with `name` and its settings),
        `provider`, `requests` (how many one call can become at most, the client's own retries
        included), `blind` and `warnings` (sentences).

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
    found = guarded(fn) or guarded(getattr(fn, "__func__", None))
    if found is None:
        raise TypeError(
            f"{getattr(fn, '__qualname__', type(fn).__name__)} is not guarded: decorate it with "
            "@guard(...) or a policy first"
        )
    return {"name": found.target.name, "shape": found.target.shape} | _guard(found.guard, found)


def explain(fn: Callable[..., Any] | guard) -> str:
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
    lines.append(f"One call can become at most {facts['requests']} requests.")
    lines += [f"Cannot see: {sentence}" for sentence in facts["blind"]]
    lines += [f"Warning: {sentence}" for sentence in facts["warnings"]]
    return "\n".join(lines)


def _guard(guard: guard, found: Guarded | None = None) -> dict[str, Any]:
    warnings = list(unsafe(guard.policies))
    own = 0 if found is None else found.target.endpoint.max_retries or 0
    requests = 1 + own
    for policy in reversed(guard.policies):
        requests = policy.requests(requests)
    if own and requests > 1 + own:
        warnings.append(
            f"the client retries {own} times by itself, inside every attempt: pass max_retries=0 "
            "to the client"
        )
    seen = None if found is None else found.target.endpoint.provider
    blind: list[str] = []
    if found is not None and seen is None:
        blind.append(
            "which provider and model are called, unless the answer says so: pass the response "
            "through record(...)"
        )
    return {
        "policies": [{"name": policy.name, **dict(policy.explain())} for policy in guard.policies],
        "provider": seen,
        "requests": requests,
        "blind": blind,
        "warnings": warnings,
    }
