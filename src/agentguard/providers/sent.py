"""What a call sends: every text of its arguments, in the order in which they are read.

A provider's request is read tools and instructions first, the conversation last: what is added to
a conversation then comes after all that was there before. A function of the user's is read in the
order of its parameters. Left as they are: an object whose method is called, and arguments that
authorise.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.providers.evidence import read
from agentguard.providers.sent_names import AUTHORISES, CONVERSATION, OPENING
from agentguard.providers.sent_walk import AS_DATA, AS_REQUEST, Change, Unwalkable, Walk, Where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agentguard.engine.target import Target
    from agentguard.providers.attached import Attachment

__all__ = ["MAPPED", "Change", "Unwalkable", "Where", "arguments", "rewrite", "rewritten"]

_PLAN: Final = "sent"
_MOST: Final = 64  # ways of calling one target whose order is known
MAPPED: Final = ("messages", "system_message", "system_prompt")
"""What a LangChain agent's ModelRequest sends to the model."""


class _Plan:
    """What is known of a target's parameters.

    Attributes:
        names: of its positional parameters.
        order: of all of them.
        owner: the first is the object that the method belongs to.
        mode: how arguments are read.
        settings: arguments of a framework, which are not sent.
    """

    __slots__ = ("_read", "mode", "names", "order", "owner", "settings")

    def __init__(self, target: Target) -> None:
        fn = target.fn
        try:
            parameters = [*inspect.signature(fn).parameters.values()]
        except (TypeError, ValueError):
            parameters = []
        self.names = [
            each.name
            for each in parameters
            if each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD}
        ]
        self.order = {each.name: at for at, each in enumerate(parameters)}
        self.owner = self.names[:1] in (["self"], ["cls"])
        self.mode = AS_DATA if target.endpoint.provider is None else AS_REQUEST
        holder = read(fn, "__self__")
        runs = holder is not None and hasattr(type(holder), "invoke")
        self.settings = frozenset({"config", "run_manager"} if runs else {"run_manager"})
        self._read: dict[tuple[int, tuple[str, ...]], list[tuple[int | str, str | None]]] = {}

    def reading(self, count: int, names: tuple[str, ...]) -> list[tuple[int | str, str | None]]:
        """What of a call is sent, in the order in which it is read: argument and name.

        Args:
            count: of its positional arguments.
            names: of its keyword arguments.
        """
        known = self._read.get((count, names))
        if known is None:
            given: list[tuple[int | str, str | None]] = [
                (at, self.names[at] if at < len(self.names) else None)
                for at in range(self.owner, count)
            ]
            given += [(name, name) for name in names]
            ranks = {
                each: self.rank(each[1], at if isinstance(each[0], int) else len(self.order) + at)
                for at, each in enumerate(given, self.owner)
            }
            known = [
                each
                for each in sorted(given, key=ranks.__getitem__)
                if each[1] is None or not (each[1] in self.settings or AUTHORISES.search(each[1]))
            ]
            if len(self._read) >= _MOST:
                self._read.clear()
            self._read[count, names] = known
        return known

    def rank(self, name: str | None, position: int) -> tuple[int, int]:
        """What is read first comes first."""
        place = self.order.get(name or "", position)
        if self.mode == AS_REQUEST:
            if name in OPENING:
                return 0, OPENING.index(name)
            if name in CONVERSATION:
                return 2, place
        return 1, place


def rewrite(
    target: Target,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    change: Change,
    *,
    attached: Callable[[Attachment], object] | None = None,
    pieces: Callable[[Any], Any] | None = None,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call with all their texts changed; the caller's own stay as they are.

    Args:
        target: what will be called.
        args: with which positional arguments.
        kwargs: with which keyword arguments.
        change: what a text becomes, given it and where it is.
        attached: hears of attachments, which have no text to change.
        pieces: makes of an argument that brings a text in pieces one that brings the changed text.

    Returns:
        Positional and keyword arguments; the same objects where nothing has changed.

    Raises:
        Unwalkable: for an argument that contains itself.
    """
    plan = _plan(target)
    walk = Walk(change, attached, pieces)
    known = target.given(kwargs)
    changed = dict(_changes(walk, plan, args, known))
    if not changed:
        return args, kwargs
    return (
        tuple(changed.get(position, value) for position, value in enumerate(args)),
        {**kwargs, **{name: value for name, value in changed.items() if isinstance(name, str)}},
    )


def arguments(target: Target, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What a call sends, by name: not the object it is a method of, nor what authorises.

    Args:
        target: what will be called.
        args: with which positional arguments.
        kwargs: with which keyword arguments.
    """
    plan = _plan(target)
    names = [*plan.names, *(f"args[{at}]" for at in range(len(plan.names), len(args)))]
    given = dict(zip(names, args, strict=False)) | dict(target.given(kwargs))
    if plan.owner:
        given.pop(plan.names[0], None)
    return {
        name: value
        for name, value in given.items()
        if name not in plan.settings and not AUTHORISES.search(name)
    }


def rewritten(value: Any, change: Change) -> Any:
    """Any value with its texts changed: a copy where it has some, sharing what is unchanged.

    Examples:
        >>> rewritten({"to": ["a", "b"]}, lambda text, where: text.upper())
        {'TO': ['A', 'B']}
    """
    return Walk(change).value(value, (), None, AS_DATA)


def _plan(target: Target) -> _Plan:
    plan: _Plan | None = target.plans.get(_PLAN)
    if plan is None:
        plan = target.plans[_PLAN] = _Plan(target)
    return plan


def _changes(
    walk: Walk, plan: _Plan, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[Any, Any]]:
    for key, name in plan.reading(len(args), tuple(kwargs)):
        value = kwargs[key] if isinstance(key, str) else args[key]
        path = (name,) if name is not None else ("args", key)
        if type(value).__name__ == "ModelRequest" and hasattr(value, "system_message"):
            new = _asked(walk, value, path)
        elif plan.mode == AS_REQUEST and name is not None:
            new = walk.field(name, value, path, plan.mode)
        else:
            new = walk.value(value, path, name, plan.mode)
        if new is not value:
            yield key, new


def _asked(walk: Walk, request: Any, path: tuple[str | int, ...]) -> Any:
    """A LangChain agent's request of its model, of which the agent's state is no part."""
    known = cast("Mapping[str, Any]", vars(request))
    changes: dict[str, Any] = {}
    for name in reversed(MAPPED):
        if name in known:
            new = walk.field(name, known[name], (*path, name), AS_REQUEST)
            if new is not known[name]:
                changes[name] = new
    return request.override(**changes) if changes else request
