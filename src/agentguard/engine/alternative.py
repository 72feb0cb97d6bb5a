"""What may be called in place of a target: `fallback(another_function)`, `fallback(another_client)`."""

from __future__ import annotations

import types
from typing import Any

from agentguard.engine.refuse import callable_alone, refuse
from agentguard.engine.target import Target
from agentguard.integrations import holder

__all__ = ["Alternative"]


class Alternative:
    """What may answer instead: a callable, or an object that has the call in question too."""

    __slots__ = ("_known", "_thing", "name")

    def __init__(self, thing: Any) -> None:
        alone = callable_alone(thing) or holder(thing) is None
        if alone:
            refuse(thing)
        self._thing = thing
        self._known: Target | dict[tuple[str, str], Target] = Target(thing) if alone else {}
        self.name = type(thing).__name__ if isinstance(self._known, dict) else self._known.name

    def instead_of(self, target: Target) -> Target:
        """The target to call in place of this one."""
        known = self._known
        if isinstance(known, Target):
            return known
        asked = (target.name, getattr(target.fn, "__name__", ""))  # a tool's two ways are one name
        found = known.get(asked)
        if found is None:
            from agentguard.integrations.counterpart import counterpart

            fn = counterpart(self._thing, target)
            if fn is None:
                raise TypeError(
                    f"the {self.name} cannot be asked for what {target.name} was asked: it has "
                    "no such call. Pass a function that makes one of its own, with the same arguments"
                )
            name = f"{self.name}.{target.name.partition('.')[2]}"
            found = Target(fn, f"another {name}" if name == target.name else name)
            known[asked] = found
        return found

    def check(self, target: Target) -> None:
        """Refuse, when it is decorated, a target that this one cannot answer for."""
        instead = self.instead_of(target)
        if (instead.is_async or instead.hands_back) and _surely_sync(target):
            raise TypeError(
                f"{instead.name} is asynchronous and cannot serve {target.name}, which is sync: "
                "pass a sync one, or make both async"
            )


def _surely_sync(target: Target) -> bool:
    """Whether the callable is a plain `def`; a lambda or wrapped method may return an awaitable."""
    fn = target.fn
    if target.shape != "function":
        return target.shape == "generator"
    if target.endpoint.provider not in {None, "litellm"}:
        return not target.hands_back  # a method of an SDK's client, whose class tells
    return (
        isinstance(fn, types.FunctionType)
        and fn.__name__ != "<lambda>"
        and not hasattr(fn, "__wrapped__")
    )
