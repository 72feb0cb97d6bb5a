"""`health`: how the circuits and budgets of what is guarded stand, for a detailed health page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.engine.chain import Policy
from agentguard.engine.decorate import guarded
from agentguard.engine.guard import guard
from agentguard.integrations.held import held

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["health"]


def health(*things: object) -> dict[str, Any]:
    """How what is guarded stands, as data that can be sent as JSON and that names nobody.

    For a page that people read. Liveness and readiness must not depend on it: a process with an
    open circuit can serve, and one that is restarted, or taken out of service with all others,
    because a provider is down serves nobody. A budget in a remote store is asked there, which
    blocks for a moment: call it in a thread, as FastAPI does in a plain `def` endpoint.

    Args:
        *things: guarded callables, clients and other objects, guards, and policies.

    Returns:
        `status`: "ok", or "degraded" where a circuit is not closed, a budget is used up or cannot
        be read, or a policy is switched. `circuits`: state by name; where `breaker(key=)` keeps
        one for each key, how many are in which state. `budgets`: by name and unit, `used`,
        `limit`, `left` and the seconds in which it `renews`; of one for each user, only by what it
        is kept. `switched`: mode by policy, for those that are not as they were written.

    Raises:
        TypeError: for what is not guarded.

    Examples:
        >>> import agentguard as ag
        >>> @ag.guard(ag.budget(requests=10, name="answers"), ag.breaker())
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> ask("?")
        '42'
        >>> ag.health(ask)["circuits"]
        {'ask': 'closed'}
        >>> ag.health(ask)["budgets"]["answers"]["requests"]["left"]
        9
    """
    policies = {id(each): each for thing in things for each in _policies(thing)}.values()
    told: dict[str, Any] = {"status": "ok", "circuits": {}, "budgets": {}, "switched": {}}
    for policy in policies:
        degraded = policy.health(told)
        if policy.mode != policy.written:
            told["switched"][policy.name] = policy.mode
            degraded = True
        if degraded:
            told["status"] = "degraded"
    return told


def _policies(thing: object) -> Sequence[Policy]:
    if isinstance(thing, Policy):
        return (thing,)
    if isinstance(thing, guard):
        return thing.policies
    whole = held(thing)
    if whole is not None:
        return whole.guard.policies
    found = guarded(thing) or guarded(getattr(thing, "__func__", None))
    if found is None:
        raise TypeError(
            f"{getattr(thing, '__qualname__', type(thing).__name__)} is not guarded: decorate it "
            "with @guard(...) or a policy first"
        )
    return found.guard.policies
