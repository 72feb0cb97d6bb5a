"""Texts of many kinds, to count."""

from __future__ import annotations

import struct
import zlib

ENGLISH = (
    "Teams must know what each call cost, stop before the limit and not pay twice for the same "
    "answer. A budget reserves before the attempt begins and settles when it ends."
)
KOREAN = (
    "안녕하세요. 저희 회사는 서울특별시 강남구에 위치한 소프트웨어 개발 업체입니다. 고객님의 환불 요청이 "
    "접수되었으며, 영업일 기준 3일 이내에 처리될 예정입니다. ㅋㅋㅋ 진짜 웃기다 ㅠㅠ 뷁 쀍 햏"
)
TEXTS = {
    "empty": "",
    "english": ENGLISH,
    "korean": KOREAN,
    "japanese": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "chinese": "人工智能是计算机科学的一个分支,它企图了解智能的实质。",
    "thai": "ปัญญาประดิษฐ์คือความฉลาดเทียมที่สร้างขึ้นให้กับสิ่งที่ไม่มีชีวิต",
    "emoji": "🎉🔥👍🏽👨‍👩‍👧‍👦🇰🇷😀" * 4,
    "code": "def f(x: int) -> int:\n    return x ** 2  # 제곱\n\n\nclass A:\n\tpass\r\n" * 3,
    "json": '{"id": 1234567, "ok": true, "price": 1.37, "tags": ["a", "b"]}' * 3,
    "base64": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLv" * 3,
    "special": "<|endoftext|> is text, and so is <|im_start|>",
    "surrogates": "broken \ud83d half and \ud83d\ude00 pair",
    "blanks": " \t\n \n\n   end",
}

# The example of OpenAI's cookbook, which compares its figures with those of the API:
# https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb
COOKBOOK_CHAT = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate jargon "
        "into plain English.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "New synergies will help drive top-line growth.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities for "
        "increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client "
        "deliverable.",
    },
]
COOKBOOK_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_current_weather",
            "description": "Get the current weather in a given location",
            "parameters": {
                "type": "object",
                "properties": {
                    "location": {
                        "type": "string",
                        "description": "The city and state, e.g. San Francisco, CA",
                    },
                    "unit": {
                        "type": "string",
                        "description": "The unit of temperature to return",
                        "enum": ["celsius", "fahrenheit"],
                    },
                },
                "required": ["location"],
            },
        },
    }
]
COOKBOOK_TOOL_CHAT = [
    {
        "role": "system",
        "content": "You are a helpful assistant that can answer to questions about the weather.",
    },
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]


def png(width: int, height: int) -> bytes:
    """A PNG of a size, as far as its header."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", len(header))
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )


def jpeg(width: int, height: int, metadata: int = 0) -> bytes:
    """A JPEG's markers up to the size, behind so many bytes of metadata."""
    extra = b""
    while metadata > 0:
        part = min(metadata, 65_000)
        extra += b"\xff\xe1" + struct.pack(">H", part + 2) + bytes(part)
        metadata -= part
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + extra + b"\xff\xff\xdb" + struct.pack(">H", 4) + b"\x00\x00" + frame


def gif(width: int, height: int) -> bytes:
    """A GIF's head."""
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(3)


def webp(kind: bytes, width: int, height: int) -> bytes:
    """A WebP's head, of one of its three kinds."""
    if kind == b"VP8X":
        body = bytes(4) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    elif kind == b"VP8L":
        body = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
    else:
        body = b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return b"RIFF" + bytes(4) + b"WEBP" + kind + struct.pack("<I", len(body)) + body + bytes(8)
