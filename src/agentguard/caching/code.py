"""What a function is made of: its code, its constants, its free variables."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.caching.canonical import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CONSTANTS", "cells", "code_form", "codes", "held", "is_a"]

CONSTANTS: Final[tuple[type[object], ...]] = (str, bytes, int, float, tuple, frozenset)
_HAS_NO_DOC: Final = {"<lambda>", "<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>"}


def cells(function: types.FunctionType) -> dict[str, Any]:
    """The values of the free variables."""
    found: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not bound yet
            continue
    return found


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object, and those inside it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from codes(each)


def code_form(code: types.CodeType, *, doc: bool = True) -> Any:
    """What runs: not the lines it stands in."""
    consts = [*code.co_consts]
    if not doc and consts and isinstance(consts[0], str) and code.co_name not in _HAS_NO_DOC:
        consts[0] = None
    return (
        "code",
        code.co_code,
        [
            code_form(each) if isinstance(each, types.CodeType) else canonical(each)
            for each in consts
        ],
        [*code.co_names],
        [*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]],
        [*code.co_freevars],
        [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags],
        code.co_exceptiontable,
    )


def is_a(value: object, kinds: tuple[type[object], ...]) -> bool:
    """`isinstance`, which leaves the type of `value` as it is to a checker."""
    return isinstance(value, kinds)


def held(value: Any) -> Mapping[str, Any]:
    """The attributes of a module, a class or an object itself."""
    return cast("Mapping[str, Any]", value.__dict__)
