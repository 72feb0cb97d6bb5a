"""The last thing that the user said in a request, and the request without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.providers.items import fields, sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ASKED", "asked"]

_PLACES: Final = ("messages", "input", "contents", "prompts", "prompt")
"""The arguments that hold the conversation, of SDKs and of functions that take one."""

_TEXTS: Final = frozenset({"text", "input_text"})


class _Asked:
    """Stands where the text was."""

    def __cache_key__(self) -> None:
        return None


ASKED: Final = _Asked()


def asked(given: dict[str, Any], order: Sequence[str]) -> tuple[str, dict[str, Any]] | None:
    """The text, and the arguments with a mark in its place; None where the user said none last.

    Args:
        given: the arguments, by name.
        order: of the names, as the function declares them.
    """
    for name in _PLACES:
        if name in given:
            found = _last(given[name])
            return None if found is None else (found[0], {**given, name: found[1]})
    names = [*(name for name in order if name in given), *given]
    for name in names:
        if isinstance(given[name], str):
            return given[name], {**given, name: ASKED}
    return None


def _last(value: Any) -> tuple[str, Any] | None:
    """What was said last in a conversation, and the rest of it."""
    if isinstance(value, str):
        return value, ASKED
    if not sequence(value):
        return _prompt_value(value)
    if not value:
        return None
    found = (value[-1], ASKED) if isinstance(value[-1], str) else _said(value[-1])
    return None if found is None else (found[0], [*value[:-1], found[1]])


def _prompt_value(value: Any) -> tuple[str, Any] | None:
    """Of a prompt of LangChain's, or of one content of Google's."""
    known = fields(value)
    if sequence(known.get("messages")):
        found = _last(known["messages"])
        return None if found is None else (found[0], {"messages": found[1]})
    return _said(value)


def _said(message: Any) -> tuple[str, Any] | None:
    """The text of a user's message."""
    known = fields(message)
    role = known.get("role") or known.get("type")
    place = "parts" if "parts" in known else "content"
    if role not in {"user", "human", "HumanMessageChunk"} and (role or place == "content"):
        text = known.get("text")  # a part, or a prompt that is one text
        if (
            isinstance(text, str)
            and "content" not in known
            and role in {None, "text", "StringPromptValue"}
        ):
            return text, {**known, "text": ASKED}
        return None
    content = known.get(place)
    if isinstance(content, str):
        return content, {**known, "id": None, place: ASKED}
    if not sequence(content):
        return None
    texts: list[str] = []
    rest: list[Any] = []
    for block in content:
        text, without = _text_of(block)
        if text is None and _is_result(block):
            return None
        if text is not None:
            texts.append(text)
        rest.append(without)
    return ("\n".join(texts), {**known, "id": None, place: rest}) if texts else None


def _text_of(block: Any) -> tuple[str | None, Any]:
    if isinstance(block, str):
        return block, ASKED
    known = fields(block)
    text = known.get("text")
    if isinstance(text, str) and known.get("type", "text") in _TEXTS:
        return text, {**cast("dict[str, Any]", known), "text": ASKED}
    return None, block


def _is_result(block: Any) -> bool:
    """Whether a tool says it, not the user."""
    known = fields(block)
    return str(known.get("type")).endswith(("_result", "_output")) or bool(
        known.get("function_response")
    )
