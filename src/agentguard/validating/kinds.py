"""What a value must be: of a type, as a JSON schema says, or as a predicate likes it."""

from __future__ import annotations

import dataclasses
import inspect
import json
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast, get_origin

from agentguard.engine.verdict import Finding
from agentguard.validating.reasons import MOST, Problem, fields_of_schema, place, problems_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Judged", "Kind", "Predicate", "Schema", "Typed", "kind_of"]


class Judged(NamedTuple):
    """A value, and what is wrong with it."""

    value: Any
    problems: Sequence[Problem]


class Kind(Protocol):
    """What a value must be.

    Attributes:
        name: for messages.
    """

    name: str

    def of(self, value: Any) -> Judged:
        """Judge a Python value."""
        ...


class Typed:
    """A pydantic model, or any type that `pydantic.TypeAdapter` takes.

    Attributes:
        name: of the type.
        takes_text: a plain text may be one: `str`, `Literal["yes", "no"]`.
    """

    def __init__(self, wanted: Any) -> None:
        from pydantic import TypeAdapter

        self.adapter: TypeAdapter[Any] = wanted if _is_adapter(wanted) else TypeAdapter(wanted)
        self.name = str(getattr(wanted, "__name__", type(wanted).__name__))
        schema = self._schema()
        self.takes_text = _texts(schema, schema)
        self._names = frozenset(fields_of_schema(schema)) | _own(wanted)

    def of(self, value: Any) -> Judged:
        """Judge a Python value."""
        return self._judged(self.adapter.validate_python, value)

    def of_json(self, source: str) -> Judged:
        """Judge a JSON text."""
        return self._judged(self.adapter.validate_json, source)

    def _judged(self, validate: Callable[[Any], Any], value: Any) -> Judged:
        from pydantic import ValidationError

        try:
            return Judged(validate(value), ())
        except ValidationError as error:
            return Judged(None, problems_of(error, self._names))
        except UnicodeEncodeError:
            return Judged(None, [_problem("json_invalid", "the text is no valid Unicode")])

    def _schema(self) -> Mapping[str, Any]:
        try:
            return self.adapter.json_schema()
        except Exception:  # a type without one: paths are told without names then
            return {}


class Schema:
    """A JSON schema, judged by the `jsonschema` package.

    Attributes:
        name: its title.
    """

    takes_text = False

    def __init__(self, owner: str, schema: Mapping[str, Any]) -> None:
        try:
            schemas: Any = import_module("jsonschema")
            registry: Any = import_module("referencing").Registry()
        except ImportError:
            raise ImportError(
                f"{owner}() with a JSON schema needs an extra: "
                "pip install 'agentguard-decorators[jsonschema]'"
            ) from None
        validator: Any = schemas.validators.validator_for(schema)
        try:
            validator.check_schema(schema)
        except schemas.SchemaError as error:
            where = place(error.path, None) or "its root"
            raise ValueError(f"{owner}() got no valid JSON schema: see {where}") from None
        self.name = str(schema.get("title", "the JSON schema"))
        # Without a registry of its own it would fetch what `$ref` names from the network.
        self._validator = validator(schema, registry=registry)
        self._names = frozenset(fields_of_schema(schema))

    def of(self, value: Any) -> Judged:
        """Judge a Python value."""
        errors = islice(self._validator.iter_errors(value), MOST)
        return Judged(value, [self._problem(each) for each in errors])

    def of_json(self, source: str) -> Judged:
        """Judge a JSON text."""
        try:
            return self.of(json.loads(source))
        except ValueError:  # a number of thousands of digits
            return Judged(None, [_problem("json_invalid", "Invalid JSON")])

    def _problem(self, error: Any) -> Problem:
        keyword, wanted = str(error.validator), error.validator_value
        path = [*error.absolute_path]
        if keyword == "required":
            lacking = [name for name in wanted if name not in error.instance]
            reason = f"required and missing: {', '.join(lacking)}"
        elif isinstance(wanted, (str, int, float)):
            reason = f"breaks the schema's {keyword}: {wanted}"
        else:
            reason = f"breaks the schema's {keyword}"
        where = place(path, None)
        told = f"{where}: {reason}" if where else reason
        if keyword == "enum":
            told += f": {json.dumps(wanted, ensure_ascii=False, default=str)}"
        return Problem(Finding(keyword, reason, place(path, self._names)), told)


class Predicate:
    """A function that says True for what is good, False for what is not.

    A `ValueError` or `AssertionError` is a False whose message the model is told, and nobody else.

    Attributes:
        name: of the function.
    """

    def __init__(self, function: Callable[[Any], object]) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def of(self, value: Any) -> Judged:
        """Judge a Python value."""
        said = ""
        try:
            good: object = self.function(value)
        except (ValueError, AssertionError) as error:
            good, said = False, str(error)
        if type(good).__name__ not in {"bool", "bool_"}:  # numpy's
            raise TypeError(self._unclear(good))
        if good:
            return Judged(value, ())
        finding = Finding("predicate", f"{self.name} says that it is not good")
        return Judged(None, [Problem(finding, said or finding.reason)])

    def _unclear(self, said: object) -> str:
        if inspect.iscoroutine(said):
            said.close()
        return (
            f"{self.name} is to say True or False of what it judges, or to raise a ValueError; it "
            f"said {'None' if said is None else 'a ' + type(said).__name__}"
        )


def kind_of(owner: str, wanted: Any) -> Typed | Schema | Predicate:
    """What a user wrote, as a kind.

    Args:
        owner: the policy's name.
        wanted: a pydantic model, a type, a `TypeAdapter`, a JSON schema as a dict, or a predicate.
    """
    if isinstance(wanted, dict):
        return Schema(owner, cast("dict[str, Any]", wanted))
    if _is_type(wanted):
        return Typed(wanted)
    if callable(wanted):
        call: object = getattr(wanted, "__call__", None)  # noqa: B004  a coroutine function too
        if inspect.iscoroutinefunction(wanted) or inspect.iscoroutinefunction(call):
            raise TypeError(f"{owner}() takes a predicate that is not async: it must not wait")
        return Predicate(wanted)
    raise TypeError(
        f"{owner}() takes a pydantic model or another type, a JSON schema as a dict, or a predicate, "
        f"not {type(wanted).__name__}"
    )


def _is_type(wanted: Any) -> bool:
    if isinstance(wanted, type) or get_origin(wanted) is not None or hasattr(wanted, "__value__"):
        return True
    return _is_adapter(wanted)


def _is_adapter(wanted: Any) -> bool:
    return any(f"{base.__module__}.{base.__name__}" == _ADAPTER for base in type(wanted).__mro__)


_ADAPTER = "pydantic.type_adapter.TypeAdapter"


def _problem(rule: str, reason: str) -> Problem:
    return Problem(Finding(rule, reason), reason)


def _own(wanted: object) -> frozenset[str]:
    """The names of the fields of a type that has no JSON schema."""
    fields: Mapping[str, Any] = getattr(wanted, "model_fields", {})
    aliases = (getattr(each, "alias", None) for each in fields.values())
    known = {*fields, *(each for each in aliases if isinstance(each, str))}
    if dataclasses.is_dataclass(wanted):
        known |= {each.name for each in dataclasses.fields(wanted)}
    return frozenset(known)


def _texts(schema: Any, whole: Any) -> bool:
    """Whether a plain text may fit a JSON schema that pydantic made."""
    if not isinstance(schema, dict):
        return False
    known = cast("dict[str, Any]", schema)
    if known.get("type") == "string":
        return True
    values = known.get("enum", [known["const"]] if "const" in known else [])
    if any(isinstance(value, str) for value in values):
        return True
    reference = str(known.get("$ref", "")).removeprefix("#/$defs/")
    inner = [*known.get("anyOf", ()), *known.get("oneOf", ())]
    if reference:
        inner.append(whole.get("$defs", {}).get(reference))
    return any(_texts(each, whole) for each in inner if each is not schema)
