"""The texts of one request, masked together, so that no placeholder is one that any of them has."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.providers.sent import rewrite, rewritten

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentguard.engine.call import Call
    from agentguard.masking.masker import Masker
    from agentguard.masking.vault import Vault
    from agentguard.providers.attached import Attachment
    from agentguard.providers.sent import Change, Where

__all__ = ["LONG", "Texts", "is_large"]

LONG: Final = 8_192
"""Characters from which on a text is not masked on an event loop."""

_MANY: Final = 50
"""Members from which on an argument is not walked through there."""


class Texts:
    """The texts of something that is sent, each once, in order.

    Attributes:
        attachments: what is no text, and goes out as it is.
    """

    __slots__ = ("_given", "_places", "_read", "_walk", "attachments")

    def __init__(self, walk: Callable[[Change, bool], Any], given: Any) -> None:
        self._walk = walk
        self._given = given
        self._places: dict[tuple[str, str | None], Where] = {}
        self.attachments: list[Attachment] = []
        # Tells of attachments; in place of what is read only later, a generator, stands another.
        self._read = walk(self._note, True) is given

    @classmethod
    def of_call(cls, call: Call, pieces: Callable[[Any], Any]) -> Texts:
        """Those of a call's arguments.

        Args:
            call: about to be made.
            pieces: what an argument becomes that brings its text in pieces.
        """
        attachments: list[Attachment] = []
        given = call.args, call.kwargs

        def walk(change: Change, first: bool) -> Any:  # noqa: FBT001
            told = attachments.append if first else None
            new = rewrite(call.target, *given, change, attached=told, pieces=pieces)
            return given if new[0] is given[0] and new[1] is given[1] else new

        texts = cls(walk, given)
        texts.attachments = attachments
        return texts

    @classmethod
    def of_value(cls, value: Any) -> Texts:
        """Those of what a tool has answered.

        Args:
            value: anything.
        """
        return cls(lambda change, _: rewritten(value, change), value)

    @property
    def size(self) -> int:
        """Characters in all."""
        return sum(len(text) for text, _ in self._places)

    def masked(self, masker: Masker, vault: Vault, count: bool) -> tuple[Any, Counter[str]]:  # noqa: FBT001
        """What is sent instead, and how many hits of each type it lacks.

        Args:
            masker: finds and replaces.
            vault: keeps.
            count: whether anybody wants to know how many.
        """
        asked = [*self._places]
        finder = masker.finder()
        if self._read and finder.rules_out((text, _words(label)) for text, label in asked):
            return self._given, Counter()
        told, _ = masker.mask_all(
            [text for text, _ in asked],
            vault,
            labels=[_words(label) for _, label in asked],
            where=[*self._places.values()],
        )
        table = {key: new for key, new in zip(asked, told, strict=True) if new != key[0]}
        if not table and self._read:
            return self._given, Counter()
        counts: Counter[str] = Counter()
        for text, label in table if count else ():
            for _, found in finder.parts(text, _words(label)):
                counts.update(each.type for each in found)

        def change(text: str, where: Where) -> str:
            key = (text, where.label)
            if key in self._places:
                return table.get(key, text)
            return masker.mask(text, vault)[0]  # of a generator, which is read only now

        return self._walk(change, False), counts

    def _note(self, text: str, where: Where) -> str:
        self._places.setdefault((text, where.label), where)
        return text


def is_large(call: Call) -> bool:
    """Whether a call's arguments are too many to be walked through on an event loop.

    Args:
        call: about to be made.
    """
    return any(
        isinstance(each, (list, tuple, dict)) and len(cast("Any", each)) > _MANY
        for each in (*call.args, *call.kwargs.values())
    )


def _words(label: str | None) -> str | None:
    return None if label is None else label.replace("_", " ")
