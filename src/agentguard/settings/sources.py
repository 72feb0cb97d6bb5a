"""Where settings come from beside code: the environment, and a TOML file that it names."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from agentguard.engine.arguments import closest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import ValidationError

__all__ = ["CONFIG", "PREFIX", "File", "Set", "from_environment", "from_file", "validated"]

CONFIG: Final = "AGENTGUARD_CONFIG"
PREFIX: Final = "AGENTGUARD_"
_EVERY: Final = "default"
_ALONE: Final = ("name", "model", "store", "env", "config")
# It makes such variables of the name of every service, which may be "agentguard-cache".
_OF_KUBERNETES: Final = re.compile(r"(?:^|_)(?:service_host|service_port|port)(?:_|$)")
_SWITCHES: Final = "switches"


class Set(NamedTuple):
    """One value that somebody has set.

    Attributes:
        key: as in "retry.attempts".
        value: as it was given; of the environment a text.
        source: where, for people: "AGENTGUARD_RETRY_ATTEMPTS", "agentguard.toml [default.retry]".
    """

    key: str
    value: Any
    source: str


class File(NamedTuple):
    """What a TOML file says.

    Attributes:
        sections: by "default" or a preset's name.
        switches: the mode of policies, by name.
        path: of the file.
    """

    sections: Mapping[str, Mapping[str, Any]]
    switches: Mapping[str, Any]
    path: str

    def settings(self, preset: str) -> Iterator[Set]:
        """What it says for every preset, then what for this one."""
        for section in (_EVERY, preset):
            for key, value in self.sections.get(section, {}).items():
                if isinstance(value, dict):
                    where = f"{self.path} [{section}.{key}]"
                    for name, each in cast("dict[str, Any]", value).items():
                        yield Set(f"{key}.{name}", each, where)
                else:
                    yield Set(key, value, f"{self.path} [{section}]")


def from_file(presets: tuple[str, ...]) -> File | None:
    """The file that AGENTGUARD_CONFIG names; None where it names none.

    Args:
        presets: whose sections it may have.

    Raises:
        ValueError: it cannot be read, or has a section that nobody knows.
    """
    path = os.environ.get(CONFIG)
    if not path:
        return None
    import tomllib

    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{CONFIG} names {path}, which cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    known = (_EVERY, *presets, _SWITCHES)
    for section, inside in found.items():
        if section not in known:
            raise ValueError(f"{path} [{section}]: {_unknown('section', section, known)}")
        if not isinstance(inside, dict):
            raise ValueError(  # noqa: TRY004  what is wrong is the file
                f"{path}: {section} is a section: write [{section}] and its keys below"
            )
    switches = found.pop(_SWITCHES, {})
    return File(found, switches, path)


def from_environment() -> Iterator[Set]:
    """What variables such as AGENTGUARD_RETRY_ATTEMPTS say; an empty one says nothing.

    Raises:
        ValueError: one is hardly anything but a setting, misspelt.
    """
    for variable, text in os.environ.items():
        if not variable.startswith(PREFIX) or not text:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if _OF_KUBERNETES.search(name) is None and (key := _key(variable, name)) is not None:
            yield Set(key, text, variable)


def _key(variable: str, name: str) -> str | None:
    from agentguard.settings.schema import SECTIONS

    if name in _ALONE:
        return name if name in {"name", "model"} else None
    section = next((each for each in SECTIONS if name.startswith(f"{each}_")), None)
    if section is not None:
        key = name.removeprefix(f"{section}_")
        if key not in SECTIONS[section]:
            raise ValueError(f"{variable}: {_unknown('key', key, SECTIONS[section])}")
        return f"{section}.{key}"
    known = [f"{each}_{key}" for each, keys in SECTIONS.items() for key in keys] + [*_ALONE]
    close = closest(name, known, 0.8)
    if close:
        meant = f"{PREFIX}{close.upper()}"
        raise ValueError(f"{variable}: there is no such setting (did you mean {meant}?)")
    return None


def validated(given: Mapping[str, Set]) -> Mapping[str, Any]:
    """The values as what they have to be, by key.

    Raises:
        ValueError: names the key and where it was set, and says what it may be.
    """
    from pydantic import ValidationError

    from agentguard.settings.schema import Settings

    nested: dict[str, Any] = {}
    for key, each in given.items():
        section, _, name = key.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[name] = each.value
    failed: str | None = None
    found: Any = None
    try:
        found = Settings.model_validate(nested)
    except ValidationError as error:
        failed = _told(error, given)
    if failed is not None:  # raised out here it has no context, which quotes values
        raise ValueError(failed)
    values: dict[str, Any] = {}
    for key in given:
        section, _, name = key.rpartition(".")
        values[key] = getattr(getattr(found, section) if section else found, name)
    return values


def _told(error: ValidationError, given: Mapping[str, Set]) -> str:
    from agentguard.settings.schema import SECTIONS, Settings

    lines: list[str] = []
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        section, *rest = map(str, each["loc"])
        key = f"{section}.{rest[0]}" if rest else section
        where = given.get(key) or next(
            one for name, one in given.items() if name.startswith(f"{section}.")
        )
        message = f"{key}: {each['msg'][:1].lower()}{each['msg'][1:]}"
        if each["type"] == "extra_forbidden":
            known = SECTIONS[section] if rest else tuple(Settings.model_fields)
            message = _unknown("key", rest[0] if rest else section, known)
        lines.append(f"{where.source}: {message}")
    return "; ".join(dict.fromkeys(lines))


def _unknown(what: str, name: str, known: tuple[str, ...]) -> str:
    close = closest(name, known)
    meant = f" (did you mean {close!r}?)" if close else ""
    return f"there is no {what} {name!r}{meant}: there are {', '.join(known)}"
