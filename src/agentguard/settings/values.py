"""Every value of a preset, and where it came from: argument, environment, file or default."""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentguard.settings.sources import PREFIX, Set, from_environment, from_file, validated

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["STORE", "Value", "resolved", "shown", "version"]

STORE: Final = "AGENTGUARD_STORE"
_PLAIN: Final = (str, int, float, bool)
# Of what fits no address, such as one with an unescaped "#" in its password, nothing is shown.
_ADDRESS: Final = re.compile(r"([\w+.-]+://)(?:[^@/?#]*@)?([^@?#]*)(?:[?#][^@]*)?")


class Value(NamedTuple):
    """One value of a preset.

    Attributes:
        key: as in "retry.attempts".
        value: it.
        source: "argument", "default", a variable's name, or a file and its section; "code" of a policy
            that `with_` or `without` has changed.
    """

    key: str
    value: Any
    source: str

    @property
    def nearness(self) -> int:
        """How near to the code it was set: what is nearer wins."""
        if self.source.startswith(PREFIX):
            return 2
        return {"default": 0, "argument": 3}.get(self.source, 1)


def resolved(
    preset: str,
    presets: tuple[str, ...],
    differences: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> dict[str, Value]:
    """What holds: an argument before the environment, that before the file, that before the default.

    Args:
        preset: its name.
        presets: the names of all, whose sections the file may have.
        differences: its own defaults, by key, as in "retry.attempts"; of all others the schema's hold.
        arguments: by key; None is one that was not given.

    Raises:
        ValueError: names what was set wrong, and where.
    """
    from agentguard.settings.schema import DEFAULTS

    defaults = {**DEFAULTS, **differences}
    given = {key: Set(key, value, "default") for key, value in defaults.items()}
    file = from_file(presets)
    if file is not None:
        given.update({each.key: each for each in file.settings(preset)})
    if os.environ.get(STORE):
        given["budget.store"] = Set("budget.store", os.environ[STORE], STORE)
    given.update({each.key: each for each in from_environment()})
    objects: dict[str, Set] = {}
    for key, value in arguments.items():
        if value is not None:
            mine = Set(key, value, "argument")
            (given if isinstance(value, _PLAIN) else objects)[key] = mine
    found = validated({key: each for key, each in given.items() if key not in objects})
    values = {key: Value(key, value, given[key].source) for key, value in found.items()}
    return values | {key: Value(*each) for key, each in objects.items()}


def shown(value: Any) -> Any:
    """A value as people may see it: an address without its password, an object by its class."""
    if isinstance(value, str) and "://" in value:
        parts = _ADDRESS.fullmatch(value)
        return f"{value.partition('://')[0]}://..." if parts is None else parts[1] + parts[2]
    if value is None or isinstance(value, _PLAIN):
        return value
    return getattr(value, "__qualname__", type(value).__name__)


def version(preset: str, values: Mapping[str, Value]) -> str:
    """A short hash that changes when any value does, the same in every process."""
    told = [preset, sorted((key, shown(each.value)) for key, each in values.items())]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]
