"""An entry as bytes, for the stores that keep bytes: read back whole, or not at all.

"agc1"   what it is, and the version of this form
4 bytes  CRC-32 of all that follows
8 bytes  the lengths of tags and value
32 bytes stored, fresh, keeps, took
the tags, as JSON
the value
"""

from __future__ import annotations

import functools
import hashlib
import json
import struct
import zlib
from typing import Final

from agentguard.stores.entries import Entry

__all__ = ["digest", "pack", "unpack"]

_FORM: Final = b"agc1"
_HEAD: Final = struct.Struct("<4sIIIdddd")
_CHECKED: Final = 8  # where the checksum ends, and what it is of begins


def pack(entry: Entry) -> bytes:
    """The bytes of an entry."""
    value, stored, fresh, keeps, took, tags = entry
    words = json.dumps(tags).encode() if tags else b""
    head = _HEAD.pack(_FORM, 0, len(words), len(value), stored, fresh, keeps, took)[_CHECKED:]
    check = zlib.crc32(value, zlib.crc32(head + words))
    return b"".join((_FORM, check.to_bytes(4, "little"), head, words, value))


def unpack(packed: object) -> Entry | None:
    """The entry, or None if these are not the bytes of one."""
    if not isinstance(packed, bytes) or len(packed) < _HEAD.size:
        return None
    form, check, words, size, stored, fresh, keeps, took = _HEAD.unpack_from(packed)
    begins = _HEAD.size + words
    if form != _FORM or len(packed) != begins + size:
        return None
    value = packed[begins:]
    if zlib.crc32(value, zlib.crc32(packed[_CHECKED:begins])) != check:
        return None
    return Entry(value, stored, fresh, keeps, took, _tags(packed[_HEAD.size : begins]))


@functools.lru_cache(256)  # most entries of a cache have the same few
def _tags(words: bytes) -> tuple[str, ...]:
    return tuple(json.loads(words)) if words else ()


def digest(*words: str) -> str:
    """A name for these words that tells none of them."""
    text = "".join(f"{len(word)}:{word}" for word in words)
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
