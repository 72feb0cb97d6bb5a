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
from typing import TYPE_CHECKING, Any, Final, TypeVar

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
]

_SDKS: Final[Mapping[str, Sequence[str]]] = {
    "openai.types.": (
        "openai.types",
        "openai.types.chat",
        "openai.types.responses",
        "openai.types.shared",
    ),
    "openai.lib.": (
        "openai.lib._parsing",
        "openai.lib.streaming.chat",
        "openai.lib.streaming.responses",
    ),
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

_NONE: Final = "None"
_BUILTINS: Final[Mapping[str, type]] = {
    f"builtins:{kind.__name__}": kind
    for kind in (object, type(None), str, int, float, bool, list, dict)
}
"""What a generic class may be of, beside classes that can be stored."""


Spelling = str | list["Spelling"]
"""How a class is stored: its name, or that of a generic class and its arguments."""


def _name_of(kind: Any) -> str:
    """The name of a class or a type variable, with its module's."""
    return f"{kind.__module__}:{getattr(kind, '__qualname__', kind.__name__)}"


def is_model(kind: type) -> bool:
    """Whether this is a model of pydantic 2."""
    return hasattr(kind, "__pydantic_fields_set__")


def is_record(kind: type) -> bool:
    """Whether this is a dataclass, and nothing else beside."""
    return dataclasses.is_dataclass(kind) and kind.__new__ is object.__new__


def is_tuple(kind: type) -> bool:
    """Whether this is a class of named tuples."""
    return hasattr(kind, "_fields") and issubclass(kind, tuple)


def is_text(kind: type) -> bool:
    """Whether this is a class of texts, as LangChain has one."""
    return issubclass(kind, str) and not is_enum(kind) and kind is not str


def is_enum(kind: type) -> bool:
    """Whether this is an Enum."""
    return issubclass(kind, Enum)


def can_be_stored(kind: type) -> bool:
    """Whether objects of this class can be taken apart and put together again."""
    return any(fits(kind) for fits in (is_model, is_record, is_tuple, is_enum, is_text))


def _of_sdk(name: str) -> Any:
    """The class of a listed SDK that has this name, if there is one and the SDK is installed."""
    module, _, qualname = name.partition(":")
    for prefix, homes in _SDKS.items():
        if module.startswith(prefix):
            if module not in sys.modules:
                _load(homes)
            found: Any = getattr(sys.modules.get(module), qualname, None)
            usable = isinstance(found, TypeVar) or (
                isinstance(found, type) and can_be_stored(found)
            )
            if usable and found.__module__ == module:
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

    Attributes:
        replaced: how often a name became that of another class.
    """

    def __init__(self, kinds: Iterable[Any]) -> None:
        self.replaced = 0
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

    def learn(self, hint: Any) -> None:
        """Know the classes that a call asks its answer to be of; the latest of a name counts."""
        if not isinstance(hint, type) or self._kinds.get(_name_of(hint)) is not hint:
            self._add(hint)

    def spelling(self, kind: Any) -> tuple[Spelling, bool] | None:
        """How a class is stored, and whether it is one of the user's; None if it is not known.

        An SDK's generic class is stored as itself and its arguments: `ParsedChoice[Answer]`.
        """
        if kind is None:  # an older openai makes ParsedResponse[None]
            return _NONE, False
        if not isinstance(kind, (type, TypeVar)):
            return None
        name = _name_of(kind)
        for own in (False, True):
            if self.find(name, own=own) is kind:
                return name, own
        made: Mapping[str, Any] = getattr(kind, "__pydantic_generic_metadata__", {})
        if made.get("origin") is None:
            return None
        parts = [self.spelling(part) for part in (made["origin"], *made["args"])]
        spelled: Spelling = [part[0] for part in parts if part is not None]
        found = len(spelled) == len(parts) and self.find(spelled, own=False) is kind
        return (spelled, False) if found else None

    def missing(self, kind: Any) -> Any:
        """Which class it takes for this one to be known: itself, or what a generic class is of."""
        made: Mapping[str, Any] = getattr(kind, "__pydantic_generic_metadata__", {})
        if made.get("origin") is None or self.spelling(made["origin"]) is None:
            return kind
        return next((each for each in made["args"] if self.spelling(each) is None), kind)

    def find(self, name: Spelling, *, own: bool) -> Any:
        """What is stored so, among the classes of the user's or those of the SDKs; else None."""
        if isinstance(name, list):
            origin, *args = [
                self.find(part, own=False) or self.find(part, own=True) for part in name
            ]
            if any(arg is None and part != _NONE for arg, part in zip(args, name[1:], strict=True)):
                return None
            return origin[tuple(args)]
        if not own:
            return _BUILTINS.get(name) or _of_sdk(name)
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
            if self._kinds.setdefault(_name_of(kind), kind) is not kind:
                self._kinds[_name_of(kind)] = kind
                self.replaced += 1


def _returned(fn: Any) -> object:
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
