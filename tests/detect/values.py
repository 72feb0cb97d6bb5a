"""The values that were found, for tests that look at one type."""

from __future__ import annotations

from agentguard import detect


def values(text: str, *types: str) -> list[str]:
    """What was found of these types, or of any, as it stands in the text."""
    return [text[f.start : f.end] for f in detect.find(text) if not types or f.type in types]


def wide(text: str) -> str:
    """The text in the full-width letters of East Asian typing."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
