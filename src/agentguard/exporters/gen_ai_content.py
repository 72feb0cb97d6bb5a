"""Prompts and answers in the form of OpenTelemetry's conventions, masked and of bounded length."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from agentguard.exporters.captured import bounded
from agentguard.masking.vault import Vault
from agentguard.providers.answered import answered
from agentguard.providers.said import said
from agentguard.providers.sent_names import CONVERSATION, SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.exporters.opentelemetry_call import AttemptSpan
    from agentguard.masking.masker import Masker

__all__ = ["content"]

_LONGEST: Final = 8192
"""Characters of one text that are told."""

_MOST: Final = 64
"""Messages that are told: the last ones."""

_NO_CONTENT: Final = {*SCHEMAS, "model"}

Message = dict[str, Any]


def content(known: AttemptSpan, masker: Masker) -> dict[str, str]:
    """What an attempt sent and was answered.

    Args:
        known: of the attempt.
        masker: what personal data and secrets are masked with.
    """
    attempt = known.attempt
    if attempt is None:
        return {}
    target, value = attempt.call.target, attempt.value
    asked = [
        (each.by, each.where, each.text)
        for each in said(target, (), dict(known.sent))
        if _argument(each.where) not in _NO_CONTENT
    ]
    told = answered(known.items or ([] if value is None else [value]))
    texts = [text for _, _, text in asked]
    for choice in told:
        texts.append(choice.text)
        texts += [_source(call.arguments) for call in choice.calls]
    masked, _ = masker.mask_all(texts, Vault())
    safe = iter([bounded(text, _LONGEST) for text in masked])
    system, messages = _asked([(by, where, next(safe)) for by, where, _ in asked])
    reasons = [attempt.reading.finish_reason, *attempt.reading.others]
    answers: list[Message] = []
    for number, choice in enumerate(told):
        text = next(safe)
        parts: list[Message] = [_text(text)] if text else []
        parts += [
            {"type": "tool_call", "name": call.name, "arguments": next(safe)}
            for call in choice.calls
        ]
        reason = reasons[number] if number < len(reasons) else None
        answers.append({"role": "assistant", "parts": parts, "finish_reason": reason or "unknown"})
    found = {
        "gen_ai.system_instructions": system,
        "gen_ai.input.messages": messages[-_MOST:],
        "gen_ai.output.messages": answers,
    }
    return {name: json.dumps(each, ensure_ascii=False) for name, each in found.items() if each}


def _asked(texts: Sequence[tuple[str, str, str]]) -> tuple[list[Message], list[Message]]:
    """Instructions that stand apart from the conversation, and the messages of that."""
    system: list[Message] = []
    messages: list[Message] = []
    for (by, place), group in groupby(texts, lambda each: (each[0], _message(each[1]))):
        parts = [_text(text) for _, _, text in group]
        if by == "system" and _argument(place) not in CONVERSATION:
            system += parts
        else:
            messages.append({"role": by, "parts": parts})
    return system, messages


def _text(text: str) -> Message:
    return {"type": "text", "content": text}


def _source(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)


def _argument(where: str) -> str:
    """The argument that a text stands in."""
    return where.partition("[")[0].partition(".")[0]


def _message(where: str) -> str:
    """The argument, and in a list the item, that a text stands in."""
    return where.partition("]")[0]
