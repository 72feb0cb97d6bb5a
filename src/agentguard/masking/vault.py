"""What stands for what in one request or one conversation."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, NoReturn

from agentguard.detect import TYPES
from agentguard.masking import placeholder
from agentguard.masking.alike import alike
from agentguard.masking.restoring import Restoring

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Vault"]


class Vault:
    """Knows which placeholder stands for which value.

    A vault belongs to one request, or to one conversation: whoever has it can restore what it
    holds. It may be used by several threads and tasks at once. Its values appear in no `repr`, it
    cannot be pickled or copied, and nothing of it is ever logged.

    Examples:
        >>> from agentguard import Masker
        >>> masked, vault = Masker().mask("write to kim@example.com")
        >>> masked, vault
        ('write to <EMAIL_1>', Vault(email=1))
        >>> vault.restore("I wrote to <EMAIL_1>.")
        'I wrote to kim@example.com.'
    """

    __slots__ = (
        "__weakref__",
        "_last",
        "_lock",
        "_numbers",
        "_taken",
        "_withheld",
        "live",
    )

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[tuple[str, str], int] = {}  # by type and what its spellings share
        self._last: dict[str, int] = {}
        self._taken: set[str] = set()  # what texts contained before anything was masked
        self._withheld: set[tuple[str, str]] = set()
        self.live = placeholder.Live()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many values of each type it can restore."""
        with self._lock:
            return self._counts()

    @property
    def size(self) -> int:
        """How many values it can restore."""
        return len(self._numbers) - len(self._withheld)

    def restore(self, text: str) -> str:
        """The text with the values that its placeholders stand for, also where a model changed them.

        A placeholder that stands for nothing stays as it is.
        """
        step = Restoring(self)
        return step.feed(text) + step.flush()

    def reserve(self, texts: Iterable[str], kinds: Iterable[str] = TYPES) -> None:
        """Never give out the placeholders that these texts contain.

        `Masker.mask_all` does it for the texts of a request.

        Args:
            texts: what nothing has been masked in yet.
            kinds: the types that will be masked.
        """
        words = {placeholder.word(kind) for kind in kinds}
        for text in texts:
            mentions = placeholder.mentions(text, words)
            if mentions:
                with self._lock:
                    self._taken |= mentions

    def placeholder(self, kind: str, value: str, *, withheld: bool = False) -> str:
        """The placeholder that stands for a value: one for all its spellings.

        Args:
            kind: the value's type, as in "email".
            value: as it was written.
            withheld: whether it must never be restored, as what a model made up.
        """
        key = (kind, alike(kind, value))
        name = placeholder.word(kind)
        with self._lock:
            number = self._numbers.get(key)
            if number is None:
                number = self._last.get(name, 0) + 1
                while not self._taken.isdisjoint(placeholder.names(name, number)):
                    number += 1
                self._numbers[key] = self._last[name] = number
                if withheld:
                    self._withheld.add(key)
                else:
                    self.live.add(name, number, value)
            elif not withheld and key in self._withheld:
                self._withheld.discard(key)  # now the user has written it as well
                self.live.add(name, number, value)
        return placeholder.of(name, number)

    def holds(self, kind: str, value: str) -> bool:
        """Whether it can restore this value, in whatever spelling."""
        key = (kind, alike(kind, value))
        with self._lock:
            return key in self._numbers and key not in self._withheld

    def _counts(self) -> Counter[str]:
        return Counter(key[0] for key in self._numbers if key not in self._withheld)

    def __repr__(self) -> str:
        return (
            f"Vault({', '.join(f'{kind}={count}' for kind, count in sorted(self.counts.items()))})"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Vault holds personal data: it is neither pickled nor copied. Keep the Vault object "
            "itself for as long as its conversation lasts"
        )
