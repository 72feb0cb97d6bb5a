"""Google GenAI: answers of `generate_content`, whole or streamed; the same class serves both.

Raw JSON is known by both spellings, `finish_reason` and `finishReason`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from agentguard.providers.items import (
    Path,
    fields,
    leaves,
    named,
    rebuilt,
    reparsed,
    sequence,
)
from agentguard.providers.shapes import OPAQUE, WHOLE, Reading, Shape
from agentguard.providers.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    Found = Iterator[tuple[Hashable, Path, str]]

_NO_REASON = frozenset({"FINISH_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"})
_JSON_NAMES = {
    "prompt_feedback": "promptFeedback",
    "block_reason": "blockReason",
    "finish_reason": "finishReason",
    "usage_metadata": "usageMetadata",
    "model_version": "modelVersion",
    "partial_args": "partialArgs",
    "json_path": "jsonPath",
}
_WHOLE_TEXTS = (
    ("executable_code", "code"),
    ("executableCode", "code"),
    ("code_execution_result", "output"),
    ("codeExecutionResult", "output"),
)


class Generated(Shape):
    """A GenerateContentResponse, whole or one chunk.

    Channels: `(candidate, "text")`, `(candidate, "thought")`. A function call arrives whole and
    parsed: each string in its arguments is a text of its own, `(WHOLE, (candidate, "call", ...))`;
    so is code that the model ran and what came of it. Arguments that stream in parts have the
    channel `(candidate, "call", name, json_path)`.
    """

    name: ClassVar[str] = "google"
    ends: ClassVar[bool | None] = True
    kept: ClassVar[Mapping[str, Any]] = dict.fromkeys(
        (
            "model_version",
            "modelVersion",
            "response_id",
            "responseId",
            "create_time",
            "sdk_http_response",
        ),
        ...,
    )
    kept_inside: ClassVar[Mapping[str, Any]] = dict.fromkeys(
        (
            "index",
            "role",
            "thought",
            "name",
            "json_path",
            "jsonPath",
            "will_continue",
            "willContinue",
        ),
        ...,
    )

    def read(self, item: Any, into: Reading) -> None:
        """A refused prompt is an answer, not an error: it finishes with the reason."""
        known = fields(item)
        candidates = known.get("candidates")
        if candidates:
            for candidate in candidates:
                self._read_candidate(fields(candidate), into)
        feedback = _either(known, "prompt_feedback")
        blocked = None if feedback is None else _either(fields(feedback), "block_reason")
        if blocked is not None:
            into.content = into.finished = True
            into.finish_reason = _word(blocked)
        usage = _either(known, "usage_metadata")
        if usage is not None:
            into.usage = usage_of(usage) or into.usage
        if into.model is None:
            into.model = _either(known, "model_version")

    def _read_candidate(self, known: Mapping[str, Any], into: Reading) -> None:
        first = not known.get("index")
        for part in fields(known.get("content")).get("parts") or ():
            own = fields(part)
            text = own.get("text")
            if text:
                into.content = True
                shown = first and not own.get("thought")
                (into.parts if shown else into.beside).append(text)
            elif text is None:
                into.content = True
        reason = _word(_either(known, "finish_reason"))
        if reason and reason not in _NO_REASON:
            into.finished = True
            if first:
                into.finish_reason = reason
            else:
                into.others += (reason,)

    def texts(self, item: Any) -> Iterable[tuple[Hashable, Path, str]]:
        """The texts of every candidate's parts, and the passages its grounding repeats."""
        for position, candidate in enumerate(fields(item).get("candidates") or ()):
            known = fields(candidate)
            index = known.get("index") or position
            path: Path = ("candidates", position)
            parts = fields(known.get("content")).get("parts")
            if sequence(parts):
                for place, part in enumerate(parts):
                    here = (*path, "content", "parts", place)
                    yield from _part(fields(part), here, index, place)
            for name in ("grounding_metadata", "groundingMetadata"):
                for inner, text in named(known.get(name), frozenset({"text"})):
                    yield (WHOLE, (index, name, *inner)), (*path, name, *inner), text

    def closes(self, item: Any) -> tuple[tuple[Hashable, ...], ...]:
        """Every channel of a candidate that has its finish reason."""
        candidates = fields(item).get("candidates") or ()
        return tuple(
            (known.get("index") or position,)
            for position, known in enumerate(map(fields, candidates))
            if (_word(_either(known, "finish_reason")) or "FINISH_REASON_UNSPECIFIED")
            not in _NO_REASON
        )

    def join(self, item: Any, texts: Mapping[Any, str]) -> Any:
        """As `Shape.join`; log-probabilities and `parsed` stand apart from the texts here."""
        joined = super().join(item, texts)
        if joined is item:
            return item
        old = fields(item)
        changes: list[tuple[Path, Any]] = []
        for position, candidate in enumerate(old.get("candidates") or ()):
            known = fields(candidate)
            changes += [
                (("candidates", position, name), None)
                for name in ("logprobs_result", "logprobsResult")
                if known.get(name) is not None
            ]
        if old.get("parsed") is not None:
            reading = Reading()
            self.read(joined, reading)
            changes.append((("parsed",), reparsed(old["parsed"], reading.text)))
        return rebuilt(joined, changes)


def _part(known: Mapping[str, Any], path: Path, index: int, place: int) -> Found:
    if isinstance(known.get("text"), str):
        word = "thought" if known.get("thought") else "text"
        yield (index, word), (*path, "text"), known["text"]
    for name in ("function_call", "functionCall"):
        call = fields(known.get(name))
        for inner, text in leaves(call.get("args")):
            channel = (index, "call", place, *inner)
            yield (WHOLE, channel), (*path, name, "args", *inner), text
        arriving = _either(call, "partial_args")
        if sequence(arriving):
            for number, argument in enumerate(map(fields, arriving)):
                for word in ("string_value", "stringValue"):
                    if isinstance(argument.get(word), str):
                        key = (index, "call", call.get("name"), _either(argument, "json_path"))
                        where = "partial_args" if "partial_args" in call else "partialArgs"
                        yield key, (*path, name, where, number, word), argument[word]
    for name, word in _WHOLE_TEXTS:
        said = fields(known.get(name)).get(word)
        if isinstance(said, str):
            yield (WHOLE, (index, name, place)), (*path, name, word), said


def _either(known: Mapping[str, Any], name: str) -> Any:
    """The field `name`, be it spelled as Python does or as JSON does."""
    return known[name] if name in known else known.get(_JSON_NAMES[name])


def _word(reason: Any) -> str | None:
    """A reason, which is an Enum in the SDK's objects, as the plain word."""
    return None if reason is None else str(getattr(reason, "value", reason))


GENERATED = Generated()


def shape_of_type(kind: type) -> Shape:
    """The shape of a class of `google`; of all its packages only google-genai's is known."""
    if kind.__module__.startswith("google.genai.") and "candidates" in getattr(
        kind, "model_fields", ()
    ):
        return GENERATED
    return OPAQUE


def shape_of_dict(item: Mapping[str, Any]) -> Shape | None:
    """The shape of raw JSON that has `candidates`, or the rest of an answer without any."""
    return None if "content" in item else GENERATED
