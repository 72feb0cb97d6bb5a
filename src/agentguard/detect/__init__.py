"""Personal data and secrets in a text: where, of what type, and how surely.

Reading order: `found` (what is found, and what finds it), `view` (a text as a detector reads it),
`cuts` and `scan` (a text in parts), `builtin` (which detectors there are), then one family a file.
A detector of ours is a function of a text that yields places; it costs next to nothing where what
it looks for begins with a literal that is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentguard.detect.builtin import TYPES
from agentguard.detect.engines import KoPii, Presidio
from agentguard.detect.found import Detector, Found
from agentguard.detect.pattern import Pattern

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["TYPES", "Detector", "Found", "KoPii", "Pattern", "Presidio", "find"]


def find(
    text: str, entities: Collection[str] | None = None, detectors: Sequence[Detector] = ()
) -> list[Found]:
    """What there is in a text of personal data and secrets, in order, nothing twice.

    Args:
        text: of any length; between the parts of a long one other threads get their turn.
        entities: which types of `TYPES` to look for; None for all.
        detectors: others to ask as well, each a line at a time.

    Raises:
        ValueError: a type is not known.

    Examples:
        >>> from agentguard import detect
        >>> detect.find("write to jane@example.com")
        [Found(start=9, end=25, type='email', confidence=0.95)]
    """
    from agentguard.detect.scan import Scan

    scan = Scan(known(entities), detectors)
    found: list[Found] = []
    at = 0
    for parts in (scan.feed(text), scan.flush()):
        for part, here in parts:
            found.extend(
                each if at == 0 else each._replace(start=at + each.start, end=at + each.end)
                for each in here
            )
            at += len(part)
    return found


def known(entities: Collection[str] | None) -> frozenset[str] | None:
    """The types as a set; a ValueError names those that there are, where one is not among them."""
    if entities is None:
        return None
    if isinstance(entities, str):
        raise TypeError(f'entities is a set of types, as in {{"{entities}"}}, not a text')
    unknown = sorted(set(entities) - TYPES)
    if unknown:
        raise ValueError(
            f"{', '.join(map(repr, unknown))} is not found by what is built in, which finds "
            f"{', '.join(sorted(TYPES))}; others come with detectors="
        )
    return frozenset(entities)
