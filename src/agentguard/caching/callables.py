"""The forms of functions and classes that are given as arguments."""

from __future__ import annotations

import functools
import types
import weakref
from hashlib import sha256
from typing import Any, Final

from agentguard.caching.canonical import NoForm, canonical, name_of_class, packed
from agentguard.caching.code import CONSTANTS, cells, code_form, held, is_a
from agentguard.caching.fingerprint import Fingerprint, each_once

__all__ = ["callable_form", "class_form"]


def callable_form(value: Any) -> Any:
    """The form of a callable that is given as an argument; None for what only happens to be one.

    Raises:
        NoForm: where it holds on to something that has none.
    """
    if isinstance(value, functools.partial):
        inner = [canonical(value.func), canonical([*value.args]), canonical(value.keywords)]
        return "partial", *inner
    if isinstance(value, types.MethodType):
        return "method", canonical(value.__self__), canonical(value.__func__)
    if isinstance(value, (types.BuiltinFunctionType, types.MethodWrapperType)):
        owner: Any = value.__self__
        if not isinstance(owner, types.ModuleType):
            return "method", canonical(owner), value.__name__
        return "function", owner.__name__, value.__name__
    return _function_form(value) if isinstance(value, types.FunctionType) else None


def _function_form(value: types.FunctionType) -> Any:
    with each_once() as known:
        found = known.get(id(value))
        if found is None:
            known[id(value)] = "function", value.__module__, value.__qualname__  # within itself
            for each in cells(value).values():
                packed(each)
            told = {name: _annotation(each) for name, each in value.__annotations__.items()}
            form = sha256(Fingerprint(value).form()).digest()  # of one length, however deep
            found = known[id(value)] = "function", value.__doc__, told, form
        return found


def _annotation(value: Any) -> Any:
    return value if isinstance(value, str) else canonical(value)


_schemas: Final[weakref.WeakKeyDictionary[type[Any], Any]] = weakref.WeakKeyDictionary()


def class_form(kind: Any) -> Any:
    """The form of a class: the schema of a pydantic model, what is written in it of any other."""
    name = name_of_class(kind)
    if hasattr(kind, "__pydantic_core_schema__"):
        if kind in _schemas:
            return _schemas[kind]
        try:
            form = _schemas[kind] = "type", name, canonical(kind.model_json_schema())
            return form
        except Exception:  # a field that JSON has no schema for
            return "type", name, [*map(str, kind.model_fields.values())]
    if kind.__module__ == "builtins":
        return "type", name
    written: dict[str, Any] = {}
    for key, each in held(kind).items():
        if isinstance(each, types.FunctionType):
            written[key] = code_form(each.__code__)
        elif is_a(each, CONSTANTS) and key != "__module__":
            try:
                packed(each)
            except NoForm:
                continue
            written[key] = each
    told = {key: str(each) for key, each in held(kind).get("__annotations__", {}).items()}
    return "type", name, canonical(written), told
