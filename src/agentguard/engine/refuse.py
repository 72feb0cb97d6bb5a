"""What cannot be guarded is refused when it is decorated, with what to write instead."""

from __future__ import annotations

import functools
import types
from typing import Any

__all__ = ["callable_alone", "refuse"]

_ALONE = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    functools.partial,
    type,
    classmethod,
    staticmethod,
    property,
)


def callable_alone(fn: object) -> bool:
    """Whether `fn` is a function or method of some kind, and not an object that holds them."""
    return isinstance(fn, _ALONE)


_METHODS = {
    "openai": "client.chat.completions.create",
    "anthropic": "client.messages.create",
    "google": "client.models.generate_content",
    "litellm": "router.completion",
    "langchain_core": "model.invoke",
}


def refuse(fn: Any) -> None:
    """Raise TypeError unless `fn` is something that a guard can stand around."""
    if isinstance(fn, (classmethod, staticmethod)):
        above = "classmethod" if isinstance(fn, classmethod) else "staticmethod"
        raise TypeError(
            f"a guard cannot stand above @{above}: put @{above} on top and the guard directly above "
            "`def`"
        )
    if isinstance(fn, property):
        raise TypeError("a guard cannot stand above @property: guard the function inside it")
    kind = fn if isinstance(fn, type) else type(fn)
    modules = {base.__module__.partition(".")[0] for base in kind.__mro__}
    ours = {each.__name__ for each in kind.__mro__ if each.__module__.startswith("agentguard.")}
    if not ours.isdisjoint({"Policy", "guard", "Spelled"}):
        raise TypeError(
            "a policy or guard is not what makes the call: put policies together in one guard, "
            "outermost first, as in guard(retry(), timeout(30)), and that above the function"
        )
    if "celery" in modules and hasattr(fn, "apply_async"):
        raise TypeError(
            f"{getattr(fn, 'name', kind.__name__)} is a Celery task, whose worker would run it "
            "without the guard: put the guard under @app.task, directly above `def`"
        )
    if isinstance(fn, type):
        raise TypeError(
            f"{fn.__name__} is a class: guard the method that calls the model, not the class"
        )
    if isinstance(fn, functools.partial):
        return
    if _prepares(fn):
        raise TypeError(
            f"{fn.__qualname__} makes its request only in the `with` block around what it returns, "
            "where a guard sees nothing of it: guard the client as a whole, "
            "`client = guard(...)(client)`, or the method `create`, with stream=True"
        )
    holder = _held(fn, modules)
    if holder is not None:
        raise TypeError(
            f"{_a(kind)} object is not what makes the call: guard the client or model as a whole, "
            f"`client = guard(...)(client)`, or one method of it, as in `{_METHODS[holder]}`"
        )
    if not callable(fn):
        raise TypeError(
            f"a guard stands around something that is called, and {_a(kind)} is not: guard "
            "the function or method that calls the model"
        )


def _prepares(fn: Any) -> bool:
    """Whether `fn` of the openai or anthropic SDK returns what is yet to be entered."""
    code = getattr(fn, "__code__", None)
    if "to_streamed_response_wrapper" in str(getattr(code, "co_qualname", "")):
        return True
    owners = {base.__name__ for base in type(getattr(fn, "__self__", None)).__mro__}
    resource = not owners.isdisjoint({"SyncAPIResource", "AsyncAPIResource"})
    return resource and fn.__name__ == "stream"


def _a(kind: type) -> str:
    return f"{'an' if kind.__name__[:1] in 'AEIOaeio' else 'a'} {kind.__name__}"


def _held(fn: Any, modules: set[str]) -> str | None:
    """The library whose client or model `fn` is, rather than one of its functions or methods."""
    if hasattr(fn, "__self__") or hasattr(fn, "__code__"):
        return None
    for module in _METHODS:
        if module in modules and (module != "langchain_core" or hasattr(fn, "bind_tools")):
            return module
    return None
