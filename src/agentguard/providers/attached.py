"""Attachments of a request: images, audio, files, bytes, in which no text can be found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentguard.providers.items import fields

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "HOLDERS",
    "Attachment",
    "kind_of_block",
    "kind_of_fields",
    "kind_of_object",
    "kind_of_url",
]

_BLOCKS: Final = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "computer_screenshot": "image",
    "audio": "audio",
    "input_audio": "audio",
    "video": "video",
    "file": "file",
    "input_file": "file",
    "document": "file",
    "media": "file",
    "container_upload": "file",
}
"""Types of content blocks, of all providers."""

HOLDERS: Final = {
    "inline_data": "file",
    "inlineData": "file",
    "file_data": "file",
    "fileData": "file",
    "input_audio": "audio",
}
"""Fields that hold one, whatever they stand in."""

_CLASSES: Final = {
    "ImageUrl": "image",
    "AudioUrl": "audio",
    "VideoUrl": "video",
    "DocumentUrl": "file",
    "BinaryContent": "file",
    "BinaryImage": "image",
    "UploadedFile": "file",
    "Blob": "file",
    "FileData": "file",
    "File": "file",
}
"""Classes of pydantic-ai and google-genai."""

_URL: Final = re.compile(
    r"data:(?:(\w+)/[\w.+-]+)?(?:;[\w.+-]+=[\w.+-]+)*;base64,[A-Za-z0-9+/]*={0,2}\s*",
    re.ASCII | re.IGNORECASE,
)
_MAIN: Final = frozenset({"image", "audio", "video"})


class Attachment(NamedTuple):
    """Something in a request that is no text.

    Attributes:
        kind: "image", "audio", "video", "file" or "bytes".
        where: its place, as in "messages[0].content[1]".
    """

    kind: str
    where: str


def kind_of_block(known: Mapping[str, Any]) -> str | None:
    """What kind of attachment a content block is; None for one of text.

    Args:
        known: the fields of the block.
    """
    found = known.get("type")
    kind = _BLOCKS.get(found) if isinstance(found, str) else None
    if kind is None:
        return None
    source = fields(known.get("source"))
    if source.get("type") in {"text", "content"}:
        return None
    return kind_of_fields(kind, {**source, **known})


def kind_of_object(value: object) -> str | None:
    """What kind of attachment an object is, by its class; None for what is none."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes"
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    if package in {"pydantic_ai", "google"} and kind.__name__ in _CLASSES:
        return kind_of_fields(_CLASSES[kind.__name__], fields(value))
    if package == "PIL":
        return "image"
    if package in {"io", "_io", "tempfile"}:
        return "file"
    return "bytes" if hasattr(kind, "dtype") and hasattr(kind, "tobytes") else None


def kind_of_url(text: str) -> str | None:
    """What kind of attachment a `data:` URL is; None for any other text, and for one with words in it.

    Examples:
        >>> kind_of_url("data:image/png;base64,iVBOR"), kind_of_url("data: none, at all")
        ('image', None)
    """
    if text[:5].lower() != "data:":
        return None
    found = _URL.fullmatch(text)
    if found is None:
        return None
    main = (found[1] or "").lower()
    return main if main in _MAIN else "file"


def kind_of_fields(kind: str, known: Mapping[str, Any]) -> str:
    """The kind that the fields of an attachment tell, else `kind`.

    Args:
        kind: what it is taken for.
        known: its fields.
    """
    for name in ("media_type", "mime_type", "mimeType", "_media_type"):
        told = known.get(name)
        main = told.partition("/")[0] if isinstance(told, str) else ""
        if main in _MAIN:
            return main
    return kind
