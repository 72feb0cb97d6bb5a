"""What a request may ask for: which models, which settings, and how much of each."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, cast

from agentguard.engine.arguments import told
from agentguard.engine.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from agentguard.validating.request import Request

__all__ = ["Rule", "models_of", "refused_models", "refused_settings", "rule_of"]

Rule = tuple["Callable[[Any], bool]", str]
"""Whether a setting is allowed, and what is said when it is not."""


def rule_of(name: str, allowed: Any) -> Rule:
    """A rule for one setting, from what the user wrote.

    Args:
        name: of the setting.
        allowed: `(low, high)`, either of which may be None; a set or list of values; a type; or a
            predicate.
    """
    if isinstance(allowed, tuple):
        return _range(name, cast("Any", allowed))
    if isinstance(allowed, (set, frozenset, list)):
        values = [*cast("Collection[Any]", allowed)]
        return (
            lambda value: any(_same(value, each) for each in values)
        ), "is not one of those allowed"
    if isinstance(allowed, type):
        return (lambda value: isinstance(value, allowed)), f"must be of type {allowed.__name__}"
    if callable(allowed):
        called = getattr(allowed, "__name__", "its predicate")
        return (lambda value: bool(allowed(value))), f"is refused by {called}"
    raise TypeError(
        f"validate_input(parameters=) takes for {name!r} a range as in (0, 1), a set of values, a type "
        f"or a predicate, not {told(allowed)}"
    )


def models_of(models: Any) -> tuple[str, ...]:
    """The names and patterns of the models allowed."""
    if isinstance(models, str) or not all(isinstance(each, str) for each in models):
        raise TypeError(
            'validate_input(models=) takes a set of names, as in {"gpt-4o", "claude-*"}'
        )
    if not models:
        raise ValueError("validate_input(models=) allows no model at all")
    return tuple(models)


def refused_models(request: Request, allowed: Collection[str]) -> Iterator[Finding]:
    """The models that a request asks for and may not have."""
    asked = [*request.models()]
    if not asked:
        yield Finding("model", "no model is named, and only some are allowed", "model")
    for each in asked:
        name = str(each).removeprefix("models/")
        if not any(fnmatchcase(name, pattern) for pattern in allowed):
            yield Finding("model", "is not one of the models allowed", "model")
            return


def refused_settings(
    request: Request, rules: Mapping[str, Rule], forbidden: Collection[str]
) -> Iterator[Finding]:
    """The settings of a request that are not as they must be."""
    for name, (fits, reason) in rules.items():
        if not all(fits(value) for value in request.settings(name)):
            yield Finding("parameter", reason, name)
    for name in forbidden:
        if any(True for _ in request.settings(name)):
            yield Finding("parameter", "is not allowed", name)


def _range(name: str, ends: tuple[Any, ...]) -> Rule:
    numbers = all(each is None or _is_number(each) for each in ends)
    if len(ends) != 2 or not numbers or ends == (None, None):
        raise TypeError(
            f"validate_input(parameters=) takes for {name!r} a range of two numbers, as in (0, 1) or "
            "(None, 500); a set for single values, as in {0, 1}"
        )
    low, high = ends
    if low is not None and high is not None and low > high:
        raise ValueError(
            f"validate_input(parameters=): the range of {name!r} ends before it begins"
        )

    def fits(value: Any) -> bool:
        return (
            _is_number(value) and (low is None or low <= value) and (high is None or value <= high)
        )

    if low is None:
        return fits, f"must be a number up to {high}"
    if high is None:
        return fits, f"must be a number from {low}"
    return fits, f"must be a number from {low} to {high}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)


def _same(value: object, allowed: object) -> bool:
    return type(value) is type(allowed) and value == allowed
