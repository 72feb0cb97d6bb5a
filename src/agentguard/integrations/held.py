"""A guarded object: a shallow copy that is still its class, some methods of which run guarded.

The copy's class is made at run time, a subclass under the same name: only that survives what
libraries do with objects (`isinstance`, `bind_tools`, `with_options`, calls of `type(self)(...)`).
"""

from __future__ import annotations

import copy
import types
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agentguard.engine.decorate import Guarded
from agentguard.engine.scope import Scope, current

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentguard.engine.guard import guard as Guard  # noqa: N812  the class, beside its instance

    Notes = Sequence[str] | Callable[[Any], Sequence[str]]

__all__ = ["Held", "Method", "guarded_copy", "guarded_methods", "held"]

T = TypeVar("T")

_KEPT: Final = "_agentguard_calls"


class Held:
    """What the class of a guarded object knows of it.

    Attributes:
        guard: the policies around its calls.
        base: the class that it had.
        calls: the names of what runs through the guard.
        notes: sentences for `explain`, or what makes them of one object.
    """

    __slots__ = ("base", "calls", "guard", "notes")

    def __init__(self, guard: Guard, base: type, calls: Sequence[str], notes: Notes = ()) -> None:
        self.guard = guard
        self.base = base
        self.calls = tuple(calls)
        self.notes = notes

    def told(self, thing: object) -> list[str]:
        """What `explain` says of one of its objects."""
        return list(self.notes(thing) if callable(self.notes) else self.notes)


def held(thing: object) -> Held | None:
    """What is known of a guarded object; None for any other."""
    found = getattr(type(thing), "__agentguard__", None)
    return found if isinstance(found, Held) else None


def guarded_copy(
    thing: T,
    guard: Guard,
    make: Callable[[type, Guard], Mapping[str, Any]],
    *,
    calls: Sequence[str],
    notes: Notes = (),
) -> T:
    """A copy of `thing` whose class has the attributes that `make(base, guard)` returns.

    The original is left as it is. What is guarded already gets the new policies around its own.
    """
    inner, base = held(thing), type(thing)
    if inner is not None:
        guard, base = guard.around(inner.guard), inner.base
    made = (base, tuple(calls))
    kind = guard.kinds.get(made)
    if kind is None:
        kind = types.new_class(base.__name__, (base,), exec_body=_placed(base))
        # Set afterwards: pydantic would take what it finds in the body of a class for fields.
        known = Held(guard, base, calls, notes)
        for name, value in {"__agentguard__": known, **make(base, guard)}.items():
            setattr(kind, name, value)
        guard.kinds[made] = kind
    twin = copy.copy(thing)
    object.__setattr__(twin, "__class__", kind)
    return twin


def _placed(base: type) -> Callable[[dict[str, Any]], None]:
    names = {name: getattr(base, name) for name in ("__module__", "__qualname__", "__doc__")}
    return lambda body: body.update(names)


class _Calls(dict[str, Guarded]):
    """The guarded methods of one object, kept in its `__dict__`; a copy of it begins anew."""

    def __init__(self, owner: object) -> None:
        super().__init__()
        self.owner = id(owner)

    def __deepcopy__(self, memo: object) -> _Calls:
        return _Calls(None)

    def __reduce__(self) -> Any:
        return _Calls, (None,)


class Method:
    """A method of a guarded object: looked up on an instance, it is that method under the guard.

    One that another method of the same object calls is part of that call, and plain.
    """

    def __init__(self, base: type, guard: Guard, name: str, *, tool: bool = False) -> None:
        self._plain: Any = getattr(base, name)
        self._guard = guard
        self._name = name
        self._tool = tool

    def __get__(self, owner: object, kind: type | None = None) -> Any:
        if owner is None:
            return self._plain
        if _within(owner, self._name):
            return self._plain.__get__(owner)
        found = guarded_methods(owner)
        known = found.get(self._name)
        if known is None:
            bound = self._plain.__get__(owner)
            known = Guarded(self._guard, bound, self.called(owner), tool=self._tool)
            found[self._name] = known
        return known.wrapper

    def called(self, owner: Any) -> str:
        """What reports and messages call it."""
        return f"{type(owner).__name__}.{self._name.removeprefix('_')}"


def guarded_methods(owner: object) -> dict[str, Guarded]:
    """The guarded methods of `owner` that were used so far, by name."""
    found = vars(owner).get(_KEPT)
    if not isinstance(found, _Calls) or found.owner != id(owner):  # a copy brought another's along
        found = vars(owner)[_KEPT] = _Calls(owner)
    return found


def _within(owner: object, name: str) -> bool:
    holder = current.get()
    attempt = holder.attempt if isinstance(holder, Scope) else holder
    if attempt is None:
        return False
    fn = attempt.call.target.fn
    return getattr(fn, "__self__", None) is owner and getattr(fn, "__name__", name) != name
