"""What a model makes up or gives away is masked in its answer, while that arrives in pieces.

The step stands before the one that restores: it sees an answer as the model wrote it, with
placeholders where the user's values will be, so what is restored is never masked again. What it
masks gets placeholders that are withheld: the vault gives out no value for them, so what is masked
is never restored. A value that the vault does hold is let be: its reader gets it anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentguard.errors import OutputRejected
from agentguard.masking.masker import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentguard.masking.finding import Part
    from agentguard.masking.masker import Masker
    from agentguard.masking.vault import Vault

__all__ = ["Masking"]


class Masking:
    """A step (`engine.channels.Step`) that masks an answer; `Restoring` comes after it.

    Text goes out as soon as nothing that follows can change what is found in it.

    Args:
        masker: what to mask and how.
        vault: that of the request. What it holds is let be; what is masked here it withholds.

    Raises:
        errors.OutputRejected: from `feed` and `flush`, with the strategy "block".
        errors.MaskingFailed: from `feed` and `flush`, when a detector failed.
    """

    __slots__ = ("_at", "_masker", "_search", "_vault")

    def __init__(self, masker: Masker, vault: Vault) -> None:
        self._masker = masker
        self._vault = vault
        self._search = masker.finder().search()
        self._at = 0

    def feed(self, text: str) -> str:
        """Take the next piece; return what can already go out."""
        return self._out(self._search.feed(text))

    def flush(self) -> str:
        """The text is complete: return what was held back."""
        return self._out(self._search.flush())

    def _out(self, parts: Iterable[Part]) -> str:
        out: list[str] = []
        for part in parts:
            findings = [*self._masker.refused(part, None, self._at, self._vault)]
            if findings:
                raise OutputRejected(refusal(findings, "answer"), findings=findings)
            self._at += len(part[0])
            out.append(self._masker.masked(part, self._vault, withheld=True))
        return "".join(out)
