"""JSON schemas, judged by the package of the extra."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import agentguard as ag
from agentguard.validating.kinds import Schema, kind_of

PLANTED = "kim.minji" + "@example.com"


SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Person",
    "properties": {
        "mail": {"type": "string", "maxLength": 3},
        "tags": {"enum": ["a", "b"]},
    },
    "required": ["mail"],
    "additionalProperties": {"type": "integer"},
}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"mail": "a"}, []),
        ({}, [(None, "required")]),
        ({"mail": PLANTED}, [("mail", "maxLength")]),
        ({"mail": "a", "tags": PLANTED}, [("tags", "enum")]),
        ({"mail": "a", PLANTED: PLANTED}, [("*", "type")]),
        ([PLANTED], [(None, "type")]),
    ],
)
def test_a_json_schema_judges(value: Any, found: list[tuple[str | None, str]]) -> None:
    """Each broken keyword is a finding, with its path and no value."""
    kind = kind_of("validate_output", SCHEMA)
    assert isinstance(kind, Schema)
    findings = [each.finding for each in kind.of(value).problems]
    assert [(each.where, each.rule) for each in findings] == found
    assert PLANTED not in repr(findings)


def test_a_schema_that_is_none_is_refused_at_once() -> None:
    """With the place of the mistake."""
    with pytest.raises(ValueError, match=r"valid JSON schema: see properties\.n\.type"):
        kind_of("validate_output", {"properties": {"n": {"type": "strange"}}})


def test_a_reference_is_never_fetched() -> None:
    """A schema that points to the network is not followed there."""
    kind = kind_of("validate_output", {"$ref": "http://127.0.0.1:9/schema.json"})
    with pytest.raises(Exception, match=r"(?i)unresolvable|ref"):
        kind.of({})


def test_a_schema_parses_into_plain_data() -> None:
    """`parse=True` returns what the JSON says."""

    @ag.validate_output(SCHEMA, parse=True)
    def ask(question: str) -> str:
        return 'Sure: {"mail": "a", "age": 3}'

    assert ask("?") == {"mail": "a", "age": 3}


def test_without_the_extra_the_line_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """At decoration time."""
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ImportError, match=r"pip install 'agentguard-decorators\[jsonschema\]'"):
        ag.validate_output(SCHEMA)
