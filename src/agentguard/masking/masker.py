"""A text in, a masked one and its vault out."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.engine.verdict import Finding
from agentguard.errors import InputRejected, MaskingFailed
from agentguard.masking.finding import Finder
from agentguard.masking.strategies import MARK, operators
from agentguard.masking.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from agentguard.detect.found import Detector, Found
    from agentguard.masking.finding import Part
    from agentguard.masking.strategies import Strategy

    OnError = Callable[[MaskingFailed], object]

__all__ = ["Masker"]

_AROUND: Final = 64


class Masker:
    """Masks personal data and secrets in texts: prompts, logs, files, columns.

    Protects whoever the data is about from everybody who gets the masked text. With the default
    strategy the vault that comes with it restores an answer about that text.

    A masker keeps nothing of what it masks. It serves any number of threads and tasks at once.

    Args:
        entities: built-in types to mask, as in `{"email", "kr_rrn"}`; all of them by default.
        strategy: what stands in a value's place. "replace": `<EMAIL_1>`, which the vault restores.
            "redact": `[EMAIL]`. "partial": a part of it, as the last four digits of a card. "hash":
            a pseudonym that is the same in every text masked with the same `key`. "block": nothing
            is let through, `errors.InputRejected` is raised. Or a function of a value and its type
            that returns the text. Or a dict of these by type; types that it leaves out are
            replaced.
        detectors: detectors beside the built-in ones, see `agentguard.detect`.
        known: what the application knows, by type, as in `{"name": "Kim Minsu"}`: found exactly,
            without a model.
        key: for "hash", at least 16 bytes that nobody can guess.
        on_error: is told when a detector fails, and the text is masked without it. By default a
            text that a detector has failed on is not let through.

    Raises:
        errors.InputRejected: from `mask`, with the strategy "block". Its findings tell types and
            places, and no value.
        errors.MaskingFailed: from `mask`, when a detector or a function given as strategy failed.

    Examples:
        >>> from agentguard import Masker
        >>> masked, vault = Masker().mask("Call 010-1234-5678 or write to kim@example.com")
        >>> masked
        'Call <PHONE_1> or write to <EMAIL_1>'
        >>> vault.restore("I shall call <PHONE_1>.")
        'I shall call 010-1234-5678.'
    """

    __slots__ = ("_finder", "_operators", "_otherwise")

    def __init__(
        self,
        entities: Iterable[str] | None = None,
        strategy: Strategy | Mapping[str, Strategy] = "replace",
        *,
        detectors: Iterable[Detector] = (),
        known: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] | None = None,
        key: str | bytes | None = None,
        on_error: OnError | None = None,
    ) -> None:
        self._finder = Finder(entities, detectors, known, on_error)
        self._operators, self._otherwise = operators(strategy, key)

    def within(
        self,
        known: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] = (),
        on_error: OnError | None = None,
    ) -> Masker:
        """The same masker for one call: it knows these values as well, and tells `on_error`."""
        if not known and on_error is None:
            return self
        other = copy.copy(self)
        other._finder = self._finder.within(known, on_error)  # noqa: SLF001  its own kind
        return other

    def mask(self, text: str, vault: Vault | None = None) -> tuple[str, Vault]:
        """A text with everything in it masked, and the vault that restores it.

        Args:
            text: what to mask.
            vault: one to go on with: texts of one conversation share their placeholders.
        """
        (masked,), vault = self.mask_all([text], vault)
        return masked, vault

    def mask_all(
        self,
        texts: Sequence[str],
        vault: Vault | None = None,
        *,
        labels: Sequence[str | None] | None = None,
        where: Sequence[object] | None = None,
    ) -> tuple[list[str], Vault]:
        """The texts of one request, masked: placeholders are none that any of the texts contains.

        Args:
            texts: what to mask, in the order in which they are read.
            vault: one to go on with.
            labels: of each text the name of the field that it stands in, or None: it tells an
                account number from another number, as it does in front of a value in a text.
            where: of each text its place, or None, for the findings of "block".
        """
        given: Any = (texts,) if isinstance(texts, (str, bytes)) else texts
        for each in given:
            if each is texts or not isinstance(each, str):
                raise TypeError(
                    f"mask() takes a text, and mask_all() a list of texts, not {type(each).__name__}"
                )
        vault = Vault() if vault is None else vault
        labels = labels or [None] * len(texts)
        where = where or [None] * len(texts)
        found = [
            [*self._finder.parts(text, label)] for text, label in zip(texts, labels, strict=True)
        ]
        self._check(zip(where, found, strict=True))
        kinds = {each.type for parts in found for _, hits in parts for each in hits}
        if not kinds:
            return [*texts], vault
        between = (piece for parts in found for part in parts for piece in _between(*part))
        vault.reserve(between, kinds)
        return [
            "".join([self.masked(part, vault) for part in parts]) if any(h for _, h in parts) else t
            for t, parts in zip(texts, found, strict=True)
        ], vault

    def finder(self) -> Finder:
        """What finds the values."""
        return self._finder

    def blocks(self, kind: str) -> bool:
        """Whether a value of this type is not to be let through."""
        return self._operators.get(kind, self._otherwise) == "block"

    def masked(self, part: Part, vault: Vault, *, withheld: bool = False) -> str:
        """A part of a text with what was found in it masked.

        Args:
            part: a text, and what was found in it.
            vault: what placeholders are kept in.
            withheld: whether the text comes from the model: then what the vault holds is let be,
                since the reader gets it anyway, and what is masked is never restored.
        """
        text, found = part
        if not found:
            return text
        out: list[str] = []
        end = 0
        for each in found:
            if _marked(text, each):
                continue
            value = vault.restore(text[each.start : each.end])
            if withheld and vault.holds(each.type, value):
                continue
            out += (text[end : each.start], self._masked(value, each.type, vault, withheld))
            end = each.end
        return "".join([*out, text[end:]])

    def _masked(self, value: str, kind: str, vault: Vault, withheld: bool) -> str:  # noqa: FBT001
        operator = self._operators.get(kind, self._otherwise)
        if isinstance(operator, str):
            return vault.placeholder(kind, value, withheld=withheld)
        failed = "TypeError"
        try:
            new = cast("object", operator(value, kind))
            if isinstance(new, str):
                return new
        except Exception as error:
            failed = type(error).__name__
        # Raised out here it has no context, which would quote the value.
        raise MaskingFailed("a function given as strategy", failed)

    def _check(self, texts: Iterable[tuple[object, Sequence[Part]]]) -> None:
        findings: list[Finding] = []
        for place, parts in texts:
            at = 0
            for text, found in parts:
                if found:
                    where = None if place is None else str(place)
                    findings += self.refused((text, found), where, at)
                at += len(text)
        if findings:
            raise InputRejected(refusal(findings, "text"), findings=findings)

    def refused(
        self, part: Part, where: str | None, at: int, held: Vault | None = None
    ) -> Iterator[Finding]:
        """A finding for each value of a type that is blocked.

        Args:
            part: a text, and what was found in it.
            where: the place of the text.
            at: where in it the part begins.
            held: what this vault holds is let through: its reader gets it anyway.
        """
        text, found = part
        for each in found:
            if not self.blocks(each.type) or _marked(text, each):
                continue
            if held is None or not held.holds(each.type, text[each.start : each.end]):
                reason = f"it has a value of the type {each.type}"
                yield Finding(each.type, reason, where, at + each.start, at + each.end)

    def __repr__(self) -> str:
        return f"Masker({self._finder})"


def refusal(findings: Sequence[Finding], what: str) -> str:
    """A sentence about what is blocked, without values."""
    kinds = ", ".join(sorted({each.rule for each in findings}))
    return (
        f"the {what} has {len(findings)} value(s) that must not be let through, of the type {kinds} "
        "(error.findings has their places)"
    )


def _between(text: str, found: Sequence[Found]) -> Iterator[str]:
    """What is left of a text without its values: there a placeholder may stand that is not ours."""
    end = 0
    for each in found:
        yield text[end : each.start]
        end = each.end
    yield text[end:]


def _marked(text: str, found: Found) -> bool:
    """Whether a detector has taken for a value what masking had left there."""
    begin = max(0, found.start - _AROUND)
    return any(
        mark.start() <= found.start and found.end <= mark.end()
        for mark in MARK.finditer(text, begin, found.end + _AROUND)
    )
