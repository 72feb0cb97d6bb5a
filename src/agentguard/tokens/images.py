"""How many tokens a picture is, by each provider's published rule.

Sources, read in November 2026:

- OpenAI: https://platform.openai.com/docs/guides/images-vision#calculating-costs
- Anthropic: https://platform.claude.com/docs/en/build-with-claude/vision
- Google: https://ai.google.dev/gemini-api/docs/tokens and
  https://ai.google.dev/gemini-api/docs/media-resolution

Anthropic's and Google's newest models, and GPT-6, were measured in
https://huggingface.co/datasets/JOHNISKING/image-token-cost; no rule here gives less.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

__all__ = ["Rule", "Size", "crops", "flat", "patches", "size_of", "squares", "tiles"]

Size = tuple[int, int]
"""Width and height in pixels."""

Rule = Callable[[Size | None, str], int]
"""Tokens of a picture, from its size, None when unknown, and the detail that was asked for."""


def tiles(base: int, tile: int) -> Rule:
    """OpenAI's rule for GPT-4o, GPT-4.1, GPT-5, o1 and o3: a base, and so much for each tile.

    The picture is shrunk into 2048 x 2048, then until its short side is 768, and cut into tiles of
    512 x 512. An unknown size is taken as the largest, eight tiles. `detail="low"` is the base.

    Args:
        base: tokens of any picture.
        tile: tokens of each tile.

    Examples:
        >>> gpt_4o = tiles(85, 170)
        >>> gpt_4o((1024, 1024), "high"), gpt_4o((2048, 4096), "high"), gpt_4o(None, "low")
        (765, 1105, 85)
    """

    def rule(size: Size | None, detail: str) -> int:
        if detail == "low":
            return base
        width, height = size or (2048, 768)
        shrink = min(1, 2048 / max(width, height))
        shrink *= min(1, 768 / (min(width, height) * shrink))
        return base + tile * _grid(width * shrink, height * shrink, 512)

    return rule


def patches(factor: float, budget: int) -> Rule:
    """OpenAI's rule for the mini and nano models and for GPT-5.2 and later: 32 x 32 patches.

    A picture of more patches than the budget is shrunk until it fits; `detail="original"` allows
    10,000. An unknown size is taken as the whole budget.

    Args:
        factor: tokens of a patch.
        budget: most patches of a picture.

    Examples:
        >>> patches(1.62, 1536)((1024, 1024), "auto"), patches(1, 1536)((1800, 2400), "auto")
        (1659, 1452)
    """

    def rule(size: Size | None, detail: str) -> int:
        most = max(budget, 10_000) if detail == "original" else budget
        if size is None:
            return math.ceil(most * factor)
        width, height = size
        count = _grid(width, height, 32)
        if count > most:
            shrink = math.sqrt(32 * 32 * most / (width * height))
            across, down = width * shrink / 32, height * shrink / 32
            shrink *= min(max(1, int(side)) / side for side in (across, down))
            count = min(most, _grid(width * shrink, height * shrink, 32))
        return math.ceil(count * factor)

    return rule


def squares(most: int) -> Rule:
    """Anthropic's rule: 28 x 28 pixels a token, or `width * height / 750` where that is more.

    What is larger than the model's limit is shrunk; so is an unknown size.

    Args:
        most: the limit, 1,600 up to Claude 4.6, 4,784 for Opus 4.7 and what came after.

    Examples:
        >>> squares(1600)((200, 200), "auto"), squares(1600)((1000, 1000), "auto")
        (64, 1334)
    """

    def rule(size: Size | None, _detail: str) -> int:
        if size is None:
            return most
        width, height = size
        return min(most, max(_grid(width, height, 28), math.ceil(width * height / 750)))

    return rule


def crops() -> Rule:
    """Google's rule for Gemini 1 and 2: 258 tokens for each crop.

    A picture within 384 x 384 is one; a larger one is cropped into tiles whose side is its short
    side divided by 1.5, between 256 and 768. An unknown size is taken as 16 crops.

    Examples:
        >>> crops()((384, 384), "auto"), crops()((960, 540), "auto")
        (258, 1548)
    """

    def rule(size: Size | None, _detail: str) -> int:
        if size is None:
            return 16 * 258
        if max(size) <= 384:
            return 258
        side = min(768, max(256, int(min(size) / 1.5)))
        return 258 * _grid(*size, side)

    return rule


def flat() -> Rule:
    """Google's rule for Gemini 3 and later: by `media_resolution` alone, 1,120 at most by default.

    Examples:
        >>> flat()((4032, 3024), "auto"), flat()(None, "MEDIA_RESOLUTION_ULTRA_HIGH")
        (1120, 2240)
    """

    def rule(_size: Size | None, detail: str) -> int:
        return 2240 if "ultra" in detail.lower() else 1120

    return rule


def _grid(width: float, height: float, side: int) -> int:
    """How many squares cover a picture; what shrinking leaves over by rounding is not counted."""
    return max(1, math.ceil(width / side - 1e-6)) * max(1, math.ceil(height / side - 1e-6))


def size_of(data: bytes) -> Size | None:
    """Width and height from the head of a PNG, JPEG, GIF or WebP; None where it is not there.

    Args:
        data: the picture's first bytes; a JPEG may carry large metadata before its size.

    Examples:
        >>> size_of(b"GIF89a" + bytes([64, 1, 200, 0]))
        (320, 200)
    """
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        return _size(data[16:20], data[20:24], "big")
    if data[:4] == b"GIF8" and len(data) >= 10:
        return _size(data[6:8], data[8:10], "little")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30:
        return _webp(data)
    return _jpeg(data) if data[:2] == b"\xff\xd8" else None


def _size(width: bytes, height: bytes, order: Literal["big", "little"]) -> Size | None:
    across, down = int.from_bytes(width, order), int.from_bytes(height, order)
    return (across, down) if across and down else None


def _webp(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width = int.from_bytes(data[26:28], "little") & 0x3FFF
        height = int.from_bytes(data[28:30], "little") & 0x3FFF
        return (width, height) if width and height else None
    return None


def _jpeg(data: bytes) -> Size | None:
    """Walk the segments to the frame header, the one marker of 0xC0 to 0xCF that has the size."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers that stand alone
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return _size(data[at + 7 : at + 9], data[at + 5 : at + 7], "big")
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
