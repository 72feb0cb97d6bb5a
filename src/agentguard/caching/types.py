"""Which classes an answer may be made of, and how one is found by its name.

A name that was stored is looked up: among the classes that the guarded callable's return annotation
and `types=[...]` lead to, and in the modules of the SDKs that are listed here. What is imported
are these modules, never what a stored name says.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import sys
import types
import typing
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from agentguard.engine.target import Target

__all__ = [
    "Known",
    "can_be_stored",
    "is_enum",
    "is_model",
    "is_record",
    "is_tuple",
    "name_of",
    "of_sdk",
]

_SDKS: Final[Mapping[str, Sequence[str]]] = {
    "openai.types.": (
        "openai.types",
        "openai.types.chat",
        "openai.types.responses",
        "openai.types.shared",
    ),
    "openai.lib.streaming.": ("openai.lib.streaming.chat", "openai.lib.streaming.responses"),
    "anthropic.types.": ("anthropic.types", "anthropic.types.beta"),
    "anthropic.lib.streaming.": ("anthropic.lib.streaming",),
    "google.genai.types": ("google.genai.types",),
    "litellm.types.": ("litellm.types.utils", "litellm.types.llms.openai"),
    "langchain_core.messages.": (
        "langchain_core.messages.ai",
        "langchain_core.messages.chat",
        "langchain_core.messages.function",
        "langchain_core.messages.human",
        "langchain_core.messages.system",
        "langchain_core.messages.tool",
    ),
    "langchain_core.outputs.": (
        "langchain_core.outputs.chat_generation",
        "langchain_core.outputs.chat_result",
        "langchain_core.outputs.generation",
        "langchain_core.outputs.llm_result",
        "langchain_core.outputs.run_info",
    ),
    "langchain_core.documents.": ("langchain_core.documents.base",),
    "langchain.agents.middleware.": ("langchain.agents.middleware.types",),
}
"""What the modules of an SDK's answers begin with, and what to import so that they are there."""


def name_of(kind: type) -> str:
    """The name by which a class is found again."""
    return f"{kind.__module__}:{kind.__qualname__}"


def is_model(kind: type) -> bool:
    """Whether this is a model of pydantic 2."""
    return hasattr(kind, "__pydantic_fields_set__")


def is_record(kind: type) -> bool:
    """Whether this is a dataclass, and nothing else beside."""
    return dataclasses.is_dataclass(kind) and kind.__new__ is object.__new__


def is_tuple(kind: type) -> bool:
    """Whether this is a class of named tuples."""
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def is_enum(kind: type) -> bool:
    """Whether this is an Enum."""
    return issubclass(kind, Enum)


def can_be_stored(kind: type) -> bool:
    """Whether objects of this class can be taken apart and put together again."""
    return is_model(kind) or is_record(kind) or is_tuple(kind) or is_enum(kind)


def of_sdk(name: str) -> type | None:
    """The class of a listed SDK that has this name, if there is one and the SDK is installed."""
    module, _, qualname = name.partition(":")
    for prefix, homes in _SDKS.items():
        if module.startswith(prefix):
            if module not in sys.modules:
                _load(homes)
            found = getattr(sys.modules.get(module), qualname, None)
            if isinstance(found, type) and found.__module__ == module and can_be_stored(found):
                return found
    return None


@functools.cache
def _load(homes: Sequence[str]) -> None:
    for home in homes:
        try:
            importlib.import_module(home)
        except ImportError:  # not installed, or another generation that has it elsewhere
            continue


class Known:
    """The user's own classes that answers may be made of, by name.

    Args:
        kinds: those that were given; what their fields lead to is known as well.
    """

    def __init__(self, kinds: Iterable[type]) -> None:
        self._kinds: dict[str, type] = {}
        self._pending: list[Callable[..., Any]] = []
        for kind in kinds:
            if not isinstance(kind, type) or not can_be_stored(kind):
                raise TypeError(
                    f"types= takes dataclasses, pydantic models, named tuples and Enums, not {kind!r}"
                )
            self._add(kind)

    def watch(self, target: Target) -> None:
        """Know the classes in the return annotation of `target`.

        It is read when one is missed: a class may stand below the function in its module.
        """
        fn: Any = target.fn
        while isinstance(fn, functools.partial):
            fn = fn.func
        self._pending.append(fn if hasattr(fn, "__annotations__") else type(fn).__call__)

    def find(self, name: str) -> type | None:
        """The class of this name."""
        if name not in self._kinds and self._pending:
            pending, self._pending = self._pending, []
            for fn in pending:
                self._read(fn)
        return self._kinds.get(name)

    def _read(self, fn: Callable[..., Any]) -> None:
        try:
            self._add(_returned(fn))
        except NameError:  # not defined yet, or for type checkers alone
            self._pending.append(fn)

    def _add(self, hint: object) -> None:
        for kind in _classes(hint, set()):
            self._kinds[name_of(kind)] = kind


def _returned(fn: Callable[..., Any]) -> object:
    """The return annotation, evaluated where it is written as a string."""
    hint = fn.__annotations__.get("return")
    if not isinstance(hint, str):
        return hint
    while hasattr(fn, "__wrapped__"):
        fn = fn.__wrapped__
    holder = types.SimpleNamespace(__annotations__={"return": hint})
    return typing.get_type_hints(holder, fn.__globals__, _enclosed(fn))["return"]


def _enclosed(fn: Any) -> dict[str, Any]:
    """What a function sees of the functions around it."""
    found: dict[str, Any] = {}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found


def _classes(hint: Any, seen: set[Any]) -> Iterator[type]:
    """The classes of the user's that an annotation leads to, through their own fields too."""
    for part in (
        *typing.get_args(hint),
        getattr(hint, "__value__", None),
        getattr(hint, "__supertype__", None),
    ):
        if part is not None:
            yield from _classes(part, seen)
    kind = typing.get_origin(hint) or hint
    for each in (hint, kind):
        if isinstance(each, type) and each not in seen:
            seen.add(each)
            if can_be_stored(each):
                yield each
            for inner in _inside(each):
                yield from _classes(inner, seen)


def _inside(kind: Any) -> Iterable[Any]:
    """The annotations of a class's fields."""
    if is_model(kind):
        return [field.annotation for field in kind.model_fields.values()]
    if is_record(kind) or is_tuple(kind) or typing.is_typeddict(kind):
        try:
            return typing.get_type_hints(kind).values()
        except NameError:
            return ()
    return ()
