"""Answers as bytes and back: of the type they were, exactly, each time a new object.

The bytes begin with a mark: version, kind, checksum. Lines follow: what is known about the call, the
layouts of the objects, and the body, which may be compressed. Text is kept as it is. Nothing is pickled, and a
class is looked up by name, never imported because bytes say so.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentguard.caching.layouts import Unreadable
from agentguard.caching.parts import Parts, encode
from agentguard.caching.recording import Recording
from agentguard.caching.types import Known
from agentguard.caching.wanted import wanted
from agentguard.providers.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.caching.recording import Copy
    from agentguard.engine.call import Call
    from agentguard.engine.target import Target

__all__ = ["About", "Answers", "Packed", "Unreadable"]

_VERSION: Final = b"1"
_TEXT: Final = _VERSION + b"t"
_BARE: Final = _VERSION + b"b"
"""Text, and nothing is known about the call."""
_VALUE: Final = _VERSION + b"v"
_STREAM: Final = _VERSION + b"s"
_SMALL: Final = _VERSION + b"z"
"""A stream whose body is compressed."""

_WORTH_SHRINKING: Final = 1_024
_LARGEST: Final = 64 * 1_024 * 1_024
"""A body beyond this is not compressed, so that no few bytes can become more than it."""


class About(NamedTuple):
    """What is known about the call that an answer came from.

    Attributes:
        model: the model that served.
        usage: the provider's figures.
        provider: who was asked.
        base_url: where.
        tier: the class of service that was given.
    """

    model: str | None = None
    usage: Usage | None = None
    provider: str | None = None
    base_url: str | None = None
    tier: str | None = None


_NOTHING: Final = About()
_FIGURES: Final = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cache_write_1h_tokens",
)
"""Of a `Usage`, in the order that it takes them."""


class Packed:
    """What bytes were: an answer, or a stream's items.

    Attributes:
        value: a unary answer; of a stream None.
    """

    __slots__ = ("_about", "_stream", "value")

    def __init__(
        self, about: bytes, value: Any, stream: tuple[list[Any], list[float]] | None
    ) -> None:
        self._about = about
        self._stream = stream
        self.value = value

    def __repr__(self) -> str:
        return f"<packed {'stream' if self.streamed else 'answer'}>"

    @property
    def streamed(self) -> bool:
        """Whether it was a stream."""
        return self._stream is not None

    @property
    def items(self) -> list[Any]:
        """Those of a stream."""
        return self._stream[0] if self._stream is not None else []

    @property
    def times(self) -> list[float]:
        """Seconds after the first item, for each."""
        return self._stream[1] if self._stream is not None else []

    @property
    def about(self) -> About:
        """What is known about the call; read when it is asked for, and nothing if it cannot be."""
        return _read_about(self._about)


class Answers:
    """Makes bytes of answers, and answers of bytes.

    Args:
        types: classes of the user's that answers are made of, beside those in the return
            annotations of what is guarded.

    Raises:
        TypeError: one of `types` is a class that cannot be stored.

    Examples:
        >>> answers = Answers()
        >>> packed = answers.pack({"colours": ("red", "green")}, About("gpt-4o-mini"))
        >>> answers.unpack(packed).value, answers.unpack(packed).about.model
        ({'colours': ('red', 'green')}, 'gpt-4o-mini')
    """

    def __init__(self, types: Sequence[type] = ()) -> None:
        self._known = Known(types)
        self._parts = Parts(self._known)

    def check(self, target: Target) -> None:
        """Know the classes in the return annotation of what is guarded."""
        self._known.watch(target)

    def learn(self, call: Call) -> None:
        """Know the classes that a call asks its answer to be of, as for structured output."""
        for kind in wanted(call):
            self._known.learn(kind)

    def pack(self, value: Any, about: About) -> bytes:
        """A unary answer as bytes.

        Raises:
            TypeError: it is of a type that cannot be stored; the message says what to do.
        """
        head = b"" if about == _NOTHING else _write_about(about)
        if type(value) is str:
            body = value.encode("utf-8", "surrogatepass")
            return _marked(_TEXT, b"%b\n%b" % (head, body)) if head else _marked(_BARE, body)
        layouts, text = self._parts.apart(value)
        body = f"{layouts}\n{text}".encode("utf-8", "surrogatepass")
        return _marked(_VALUE, b"%b\n%b" % (head, body))

    def recording(self) -> Recording:
        """What the items of a stream are kept in as they come, for `pack_recorded`."""
        return Recording(self._parts)

    def pack_stream(self, items: Sequence[Any], times: Sequence[float], about: About) -> bytes:
        """A stream's items as bytes.

        Args:
            items: all of them.
            times: seconds from the first item to each, kept to the millisecond.
            about: what is known about the call.

        Raises:
            TypeError: an item is of a type that cannot be stored; the message says what to do.
        """
        recording = self.recording()
        copies = [(item, recording.copy(item)) for item in items]
        return self.pack_recorded(recording, copies, times, about)

    def pack_recorded(
        self,
        recording: Recording,
        items: Sequence[tuple[Any, Copy]],
        times: Sequence[float],
        about: About,
    ) -> bytes:
        """A stream's items as bytes, as they were when they came.

        Args:
            recording: that took them apart.
            items: all of them, with their copies.
            times: seconds from the first item to each, kept to the millisecond.
            about: what is known about the call.

        Raises:
            TypeError: an item is of a type that cannot be stored; the message says what to do.
        """
        layouts, text = recording.body([round(1_000 * time) for time in times], items)
        kind, body = _STREAM, f"{layouts}\n{text}".encode("utf-8", "surrogatepass")
        if _WORTH_SHRINKING < len(body) <= _LARGEST:
            kind, body = _SMALL, zlib.compress(body, 1)
        head = b"" if about == _NOTHING else _write_about(about)
        return _marked(kind, b"%b\n%b" % (head, body))

    def unpack(self, packed: bytes) -> Packed:
        """What was packed, as new objects.

        Raises:
            Unreadable: the bytes are of another version, or damaged, or hold a class that is not
                known here, or that has changed.
        """
        try:
            return self._unpacked(packed)
        except Unreadable:
            raise
        except Exception:
            raise Unreadable("these bytes hold no answer that can be read here") from None

    def _unpacked(self, packed: bytes) -> Packed:
        kind, rest = packed[:2], packed[6:]
        if zlib.crc32(rest, zlib.crc32(kind)) != int.from_bytes(packed[2:6], "big"):
            raise Unreadable("the bytes are damaged")
        if kind == _BARE:
            return Packed(b"", rest.decode("utf-8", "surrogatepass"), None)
        about, body = rest.split(b"\n", 1)
        if kind == _TEXT:
            return Packed(about, body.decode("utf-8", "surrogatepass"), None)
        if kind == _SMALL:
            body = _larger(body)
        elif kind not in {_VALUE, _STREAM}:
            raise Unreadable("the bytes are of another version")
        layouts, text = body.decode("utf-8", "surrogatepass").split("\n", 1)
        value = self._parts.together(layouts, text)
        if kind == _VALUE:
            return Packed(about, value, None)
        times, items = value
        return Packed(about, None, (items, [time / 1_000 for time in times]))


def _marked(kind: bytes, rest: bytes) -> bytes:
    return kind + zlib.crc32(rest, zlib.crc32(kind)).to_bytes(4, "big") + rest


def _larger(body: bytes) -> bytes:
    reader = zlib.decompressobj()
    found = reader.decompress(body, _LARGEST)
    if not reader.eof:
        raise Unreadable("the bytes are damaged")
    return found


def _write_about(about: About) -> bytes:
    model, usage, *rest = about
    figures = None if usage is None else [getattr(usage, name) for name in _FIGURES]
    return encode([model, figures, *rest]).encode("utf-8", "surrogatepass")


def _read_about(head: bytes) -> About:
    if not head:
        return _NOTHING
    try:
        model, figures, provider, base_url, tier = json.loads(head)
        usage = None if figures is None else Usage(*map(int, figures))
    except Exception:  # the answer itself could be read, and that is what counts
        return _NOTHING
    return About(model, usage, provider, base_url, tier)
