"""The contract of a policy, as tests that anybody can run on a policy of their own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from agentguard.engine import clock
from agentguard.engine.chain import Policy
from agentguard.testing import crowd, rules

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check_policy"]


def check_policy(policy: Policy | Callable[[], Policy]) -> None:
    """Check that a policy keeps what the engine and its users rely on.

    Protects from a policy that works in the shape it was tried in and breaks in another, or under
    load. No test doubles are needed: the policy stands around a scripted model in virtual time, so
    that its waits take none. What is checked:

    - it has a name and a `repr`;
    - it never suspends in a sync call;
    - results, waits and events are the same in every shape of callable;
    - exceptions of the model come out as the same object, unless the policy answers instead or
      refuses with a `GuardError`; whatever is no `Exception` always does;
    - it does not change the call that it is given;
    - every stream is closed exactly once: read to its end, failed, closed or let go half-way;
    - a cancellation at any await passes through, and what was taken is given back;
    - 32 threads and 32 tasks at once each get their own answer;
    - a listener that raises changes nothing.

    Args:
        policy: a function that makes a fresh policy, such as the class or a lambda. A policy itself
            will do if it keeps no state that one call leaves to the next.

    Raises:
        AssertionError: for the first rule that is broken: which, in what shape, and what to do.

    Examples:
        >>> from agentguard import retry
        >>> from agentguard.testing import check_policy
        >>> check_policy(lambda: retry(attempts=2))
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:  # noqa: SLF001  documented
        raise RuntimeError("check_policy() runs event loops of its own: call it in a sync test")
    make = _maker(policy)
    before = clock.use(clock.Clock())  # each rule has a virtual time of its own
    try:
        _check(make)
    finally:
        clock.use(before)


def _check(make: Callable[[], Policy]) -> None:
    rules.has_a_name(make())
    rules.never_suspends(make)
    rules.is_the_same_in_every_shape(make)
    rules.passes_exceptions_on(make)
    rules.leaves_the_call_alone(make)
    rules.closes_streams_once(make)
    crowd.passes_cancellation_on(make)
    crowd.serves_threads_at_once(make)
    crowd.serves_tasks_at_once(make)
    rules.survives_its_listeners(make)


def _maker(policy: object) -> Callable[[], Policy]:
    if isinstance(policy, Policy):
        return lambda: policy
    if not callable(policy):
        raise TypeError(
            "check_policy() takes a function that makes a policy, such as "
            f"`lambda: retry(attempts=2)`, not {type(policy).__name__}"
        )
    made = policy()
    if not isinstance(made, Policy):
        raise TypeError(
            f"what was given to check_policy() made a {type(made).__name__}, not a Policy: pass a "
            "function without arguments that returns a policy"
        )
    return cast("Callable[[], Policy]", policy)
