"""A text in, a masked one and its vault out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.masking.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from agentguard import errors
    from agentguard.detect import Found

    Strategy = str | Callable[[str, str], str]

__all__ = ["Masker"]


class Masker:
    """Masks personal data and secrets in texts.

    Args:
        entities: types to mask, all that are detected by default.
        strategy: "replace" (placeholders, can be restored), "redact", "partial", "hash", "block", a
            function of a value and its type, or a mapping of those by type.
        detectors: more detectors, see `agentguard.detect`.
        known: values that the application knows, by type: `{"name": "..."}`.
        key: for "hash": at least 16 random bytes.
        on_error: told when a detector failed, which then counts as having found nothing. By
            default such a text is not let through: `errors.MaskingFailed`.
    """

    __slots__ = ("_detectors", "_entities", "_known", "_on_error")

    def __init__(
        self,
        entities: Iterable[str] | None = None,
        strategy: Strategy | Mapping[str, Strategy] = "replace",
        *,
        detectors: Iterable[Any] = (),
        known: Mapping[str, str | Iterable[str]] | None = None,
        key: str | bytes | None = None,
        on_error: Callable[[errors.MaskingFailed], object] | None = None,
    ) -> None:
        self._entities = None if entities is None else frozenset(entities)

    def within(
        self,
        *,
        known: Mapping[str, str | Iterable[str]] | None = None,
        on_error: Callable[[errors.MaskingFailed], object] | None = None,
    ) -> Masker:
        """The same masker, which also knows these values, and tells somebody else of errors."""
        return self

    def mask(
        self, text: str, vault: Vault | None = None, *, json: bool = False
    ) -> tuple[str, Vault]:
        """A text with everything in it masked, and the vault that restores it.

        Args:
            text: what to mask.
            vault: one to go on with; texts of one conversation share their placeholders.
            json: whether the text is JSON source.
        """
        (masked,), vault = self.mask_all([text], vault, json=[json])
        return masked, vault

    def mask_all(
        self, texts: Sequence[str], vault: Vault | None = None, *, json: Sequence[bool] = ()
    ) -> tuple[list[str], Vault]:
        """The texts of one request, masked: no placeholder is one that any of them contains."""
        vault = Vault() if vault is None else vault
        found = [self.find(text) for text in texts]
        if any(found):
            vault.reserve(texts)
        return [self._masked(*pair, vault) for pair in zip(texts, found, strict=True)], vault

    def find(self, text: str) -> Sequence[Found]:
        """What would be masked."""
        from agentguard.detect import find

        return [
            each for each in find(text) if self._entities is None or each.type in self._entities
        ]

    def _masked(self, text: str, found: Sequence[Found], vault: Vault) -> str:
        out: list[str] = []
        end = 0
        for each in found:
            out += (
                text[end : each.start],
                vault.placeholder(each.type, text[each.start : each.end]),
            )
            end = each.end
        return "".join([*out, text[end:]]) if out else text
