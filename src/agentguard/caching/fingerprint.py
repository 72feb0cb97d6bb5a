"""What a function is: its code, its constants, and the values it reads from around itself.

An edited prompt template must not serve old answers, be it in the function, in a helper that it
calls, a constant of a module, an attribute of a class or a free variable. What the code itself
changes is state, not a constant, and does not count.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import sys
import threading
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.caching.canonical import NoForm, canonical, class_of, name_of_class, packed
from agentguard.caching.code import CONSTANTS, cells, code_form, codes, held, is_a
from agentguard.caching.objects import SECRET
from agentguard.providers.evidence import read

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

__all__ = ["Fingerprint", "each_once"]

_TEXTS: Final[tuple[type[object], ...]] = (str, bytes, tuple)
_OURS: Final = {"builtins", "agentguard"}
_STANDARD: Final = sys.stdlib_module_names - {"__main__"}
_CODE: Final = (types.FunctionType, types.MethodType)
_DEEPEST: Final = 4
_MOST: Final = 256
"""Functions that are followed at most: one does not depend on more prompts than that."""

_MISSING: Final[Any] = object()


class Fingerprint:
    """The fingerprint of a function, followed when what it reads changes.

    Args:
        fn: a function, or anything else that can be called.
    """

    __slots__ = ("_code", "_fn", "_form", "_watched")

    def __init__(self, fn: Callable[..., Any]) -> None:
        self._fn = fn
        self._read()

    def _read(self) -> None:
        with each_once():
            survey = _Survey(self._fn)
            self._form = packed(survey.parts)
        self._watched = survey.watched
        self._code = getattr(self._fn, "__code__", None)

    def form(self) -> bytes:
        """The form as of now."""
        if getattr(self._fn, "__code__", None) is not self._code:
            self._read()
        for namespace, name, value in self._watched:
            if namespace.get(name, _MISSING) is not value:
                self._read()
                break
        return self._form


class _Survey:
    """Everything that is reached from one function."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.parts: list[Any] = []
        self.watched: list[tuple[Any, str, Any]] = []
        self._home = _package(fn)
        self._names: set[str] = set()
        self._stored: set[str] = set()
        self._seen: dict[int, Any] = {}
        self._functions: list[types.FunctionType] = []
        self._registries: dict[int, int] = {}
        self._follow(fn, 0)
        for function in self._functions:  # grows while it is read
            self._names_of(function.__code__)
            for value in (*cells(function).values(), *self._globals(function).values()):
                self._follow(value, 0)
        for function in self._functions:
            self._write(function)

    # Which functions

    def _follow(self, value: Any, depth: int) -> None:
        """Find the functions in a value."""
        if depth > _DEEPEST or id(value) in self._seen:
            return
        if isinstance(value, types.FunctionType):
            self._seen[id(value)] = value
            if self._own(value):
                if len(self._functions) < _MOST:
                    self._functions.append(value)
            else:  # a library's wrapper around one of ours
                for inner in (read(value, "__wrapped__"), *cells(value).values()):
                    self._follow(inner, depth + 1)
        elif isinstance(value, functools.partial):
            for each in (value.func, *value.args, *value.keywords.values()):
                self._follow(each, depth + 1)
        elif (inner := _function_in(value)) is not None:
            self._follow(inner, depth + 1)
        else:
            self._follow_inside(value, depth)

    def _follow_inside(self, value: Any, depth: int) -> None:
        several = _registered(value)
        if several is None and _holds_names(value):
            named = held(value)
            several = {name: named[name] for name in sorted(self._names & named.keys())}
        if several is not None:
            self._seen[id(value)] = value
            for each in several.values():
                self._follow(each, depth + 1)

    def _own(self, function: types.FunctionType) -> bool:
        path = function.__code__.co_filename
        if path.startswith(_ours()):  # a wrapper of ours bears the name of what it wraps
            return False
        return _package(function) == self._home or not path.startswith(_library())

    def _names_of(self, code: types.CodeType) -> None:
        for inner in codes(code):
            self._names.update(inner.co_names)
            for step in dis.get_instructions(inner):
                if step.opname in {"STORE_GLOBAL", "STORE_ATTR", "STORE_DEREF"}:
                    self._stored.add(str(step.argval))

    @staticmethod
    def _globals(function: types.FunctionType) -> dict[str, Any]:
        names = {name for code in codes(function.__code__) for name in code.co_names}
        space = function.__globals__
        return {name: space[name] for name in sorted(names) if name in space}

    # What they are

    def _write(self, function: types.FunctionType) -> None:
        code = function.__code__
        doc = "__doc__" in self._names or function is not self._functions[0]
        around = {
            "defaults": self._value(function.__defaults__, 0),
            "keywords": self._value(function.__kwdefaults__, 0),
        }
        for name, value in cells(function).items():
            around[f"free {name}"] = self._constant(None, name, value)
        for name, value in self._globals(function).items():
            around[f"global {name}"] = self._constant(function.__globals__, name, value)
        self.parts.append(
            [function.__module__, function.__qualname__, code_form(code, doc=doc), around]
        )

    def _constant(self, space: Mapping[str, Any] | None, name: str, value: Any) -> Any:
        if name in self._stored:
            return None
        if space is not None and is_a(value, CONSTANTS):
            self.watched.append((space, name, value))
        return self._value(value, 0)

    def _value(self, value: Any, depth: int) -> Any:
        """The form of what the code reads: never a refusal, since it is no argument."""
        if isinstance(value, types.FunctionType):
            return "function", value.__module__, value.__qualname__
        if isinstance(value, types.ModuleType):
            return "module", value.__name__, self._attributes(value, depth)
        if isinstance(value, type):
            return "class", _name(value), self._attributes(value, depth)
        several = _registered(value)
        if several is not None:
            return self._registry(value, several, depth)
        try:
            packed(value)
        except NoForm:
            return "object", class_of(value), self._attributes(value, depth)
        return canonical(value)

    def _registry(self, value: Any, inside: dict[str, Any], depth: int) -> Any:
        """Written where it is met first: each function in it may read it."""
        number = self._registries.get(id(value))
        if number is not None or depth > _DEEPEST:
            return "registry", number
        self._registries[id(value)] = number = len(self._registries)
        return "registry", number, {n: self._value(each, depth + 1) for n, each in inside.items()}

    def _attributes(self, value: Any, depth: int) -> Any:
        """The constants among the attributes: those that the code names, and an object's texts."""
        if depth > _DEEPEST or not _holds_names(value):
            return None
        space = held(value)
        texts = not isinstance(value, (type, types.ModuleType))
        found: dict[str, Any] = {}
        for name in sorted(space):
            inner = space[name]
            named = name in self._names or (texts and isinstance(inner, str))
            if named and name not in self._stored and not SECRET.search(name):
                if is_a(inner, _TEXTS):
                    self.watched.append((space, name, inner))
                found[name] = self._value(inner, depth + 1)
        return found


def _function_in(value: Any) -> Any:
    """The function of a method, a property, or a library's object around one."""
    if isinstance(value, type):
        return None
    if isinstance(value, property):
        return value.fget
    return read(value, "__func__") or read(value, "__wrapped__")


def _registered(value: object) -> dict[str, Any] | None:
    """What is in a container of functions, as in a registry of tools; None of all else."""
    if isinstance(value, dict):
        named = {str(name): each for name, each in cast("Mapping[Any, Any]", value).items()}
    elif isinstance(value, (list, tuple)):
        named = {str(at): each for at, each in enumerate(cast("list[Any]", value))}
    else:
        return None
    return named if any(isinstance(each, _CODE) for each in named.values()) else None


def _name(kind: Any) -> str:
    return name_of_class(kind)


@functools.cache
def _ours() -> str:
    return str(Path(__file__).parents[1])


@functools.cache
def _library() -> tuple[str, ...]:
    """Where code lies that is not the user's own."""
    import sysconfig  # reads a file of the interpreter's

    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return (*paths, _ours(), "<frozen")


def _holds_names(value: Any) -> bool:
    """Whether it has attributes to look at: a module of the user's, a class or an object."""
    if isinstance(value, types.ModuleType):
        standard = value.__name__.partition(".")[0] in _STANDARD
        return not standard and not str(getattr(value, "__file__", None)).startswith(_library())
    if isinstance(value, types.FunctionType) or not hasattr(value, "__dict__"):
        return False
    kind = value if isinstance(value, type) else type(value)
    return kind is value or kind.__module__.partition(".")[0] not in _OURS


def _package(fn: Any) -> str:
    module = getattr(fn, "__module__", None)
    return str(module).partition(".")[0]


class _Forms(threading.local):
    """The functions whose forms this thread has made, or is making, for the key under way."""

    def __init__(self) -> None:
        self.known: dict[int, Any] | None = None


_forms: Final = _Forms()


@contextlib.contextmanager
def each_once() -> Generator[dict[int, Any]]:
    """Take no function apart twice: those in a registry may each read it."""
    known = _forms.known
    if known is not None:
        yield known
        return
    _forms.known = known = {}
    try:
        yield known
    finally:
        _forms.known = None
