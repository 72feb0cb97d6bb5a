from __future__ import annotations

from typing import Any

import pytest

from agentguard.engine.target import Target
from agentguard.providers.said import said, with_system

USES = {
    "id": "c1",
    "type": "function",
    "function": {"name": "find", "arguments": '{"query":  "boots", "n": 1.0}'},
}
CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "U"},
    {"role": "assistant", "content": "A", "tool_calls": [USES]},
    {"role": "tool", "tool_call_id": "c1", "content": "R"},
    {"role": "user", "content": [{"type": "text", "text": "V"}]},
]


def ask(question: str = "", **kwargs: Any) -> str:
    """Stand in for a function of the user's."""
    return question


def told(*args: Any, untrusted: tuple[str, ...] = (), **kwargs: Any) -> list[tuple[str, str]]:
    """Return who says what in a call of a plain function."""
    return [(each.text, each.by) for each in said(Target(ask), args, kwargs, untrusted)]


def test_a_conversation_is_read_by_roles() -> None:
    """In order, with the place of each text and what is new."""
    found = said(Target(ask), (), {"messages": CHAT})
    texts = [(each.text, each.by, each.new) for each in found if each.text in "SUARV"]
    assert texts == [
        ("S", "system", False),
        ("U", "user", False),
        ("A", "assistant", False),
        ("R", "tool", True),
        ("V", "user", True),
    ]
    assert {each.by for each in found if "boots" in each.text} == {"assistant"}
    assert found[-1].where == "messages[4].content[0].text"


@pytest.mark.parametrize(
    ("kwargs", "by"),
    [
        ({"system": "x"}, "system"),
        ({"instructions": "x"}, "system"),
        ({"page": {"system": "x"}}, "user"),
        (
            {"messages": [{"role": "tool", "content": [{"role": "system", "content": "x"}]}]},
            "tool",
        ),
        ({"messages": [{"role": "developer", "content": "x"}]}, "system"),
        ({"messages": [("human", "x")]}, "user"),
        ({"messages": [("system", "x")]}, "system"),
        ({"messages": [{"role": "function", "content": "x"}]}, "tool"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "tool"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "x"}]}]},
            "tool",
        ),
        ({"contents": [{"role": "model", "parts": [{"text": "x"}]}]}, "assistant"),
        ({"prompt": "x"}, "user"),
        ({"page": {"deep": ["x"]}}, "user"),
    ],
    ids=str,
)
def test_each_providers_words_are_known(kwargs: dict[str, Any], by: str) -> None:
    """Roles, types of blocks and names of fields."""
    assert ("x", by) in told(**kwargs)


def test_what_others_wrote_is_named() -> None:
    """An argument or a field, positional too."""
    assert told("x", untrusted=("question",)) == [("x", "tool")]
    assert ("x", "tool") in told(page={"body": "x"}, untrusted=("body",))
    assert told("x") == [("x", "user")]


def test_a_system_prompt_gets_a_line_once() -> None:
    """In a copy; texts of others and descriptions of tools stay."""
    tools = [{"type": "function", "function": {"name": "f", "description": "D"}}]
    _, kwargs = with_system(Target(ask), (), {"tools": tools, "messages": CHAT}, " +")
    assert kwargs["messages"][0]["content"] == "S +"
    assert kwargs["messages"][1:] == CHAT[1:]
    assert kwargs["tools"] == tools
    assert CHAT[0]["content"] == "S"


def test_without_a_system_prompt_nothing_is_added() -> None:
    """And JSON source stays as it was written."""
    args, kwargs = ("hi",), {"messages": CHAT[1:]}
    same_args, same = with_system(Target(ask), args, kwargs, " +")
    assert same_args == args
    assert same == kwargs
