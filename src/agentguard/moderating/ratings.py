"""What classifiers and moderation endpoints say of a text: which categories they flag."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, Final, cast

__all__ = ["Threshold", "flagged"]

Threshold = float | Mapping[str, float]
"""From which score on a category counts as found; a mapping says it by category."""

_DEFAULT: Final = 0.5
_NAME: Final = re.compile(r"[\w/ .-]{1,48}")
FLAGGED: Final = "flagged"


def flagged(said: object, threshold: Threshold | None = None) -> list[str]:
    """The categories that were flagged, by name; "flagged" where none is named.

    Args:
        said: a truth value, a score, scores or truth values by category, names of categories, or the
            answer of OpenAI's moderation endpoint or of one of its shape, as an object or a dict.
        threshold: from which score on a category counts. For an endpoint that decides itself, its own
            decision counts unless a threshold is given.

    Raises:
        TypeError: for anything else.

    Examples:
        >>> flagged({"hate": 0.9, "threat": 0.1})
        ['hate']
        >>> flagged(True)
        ['flagged']
    """
    kind = type(said).__name__
    if isinstance(said, bool):
        return [FLAGGED] if said else []
    if isinstance(said, (int, float)):
        _checked(said)
        return [FLAGGED] if said >= _least(FLAGGED, threshold) else []
    known = _known(said)
    if known is not None:
        if isinstance(known.get("results"), (list, tuple)):
            results = cast("list[Any]", known["results"])
            if not results:
                raise TypeError("a moderation endpoint answered without a result")
            return list(dict.fromkeys(n for each in results for n in flagged(each, threshold)))
        if isinstance(known.get("flagged"), bool):
            return _decided(known, threshold)
        return _scored(known, threshold)
    if isinstance(said, Sequence) and not isinstance(said, (str, bytes)):
        names = cast("Sequence[object]", said)
        if all(isinstance(each, str) for each in names):
            return [_named(cast("str", each)) for each in names]
    raise TypeError(
        "a classifier answers with True or False, a score, a dict of scores by category, a list of "
        f"categories, or a moderation endpoint's result, not {kind}"
    )


def _known(said: object) -> Mapping[str, Any] | None:
    """The fields of a dict, or of an SDK's object under the names of its API."""
    if isinstance(said, Mapping):
        return cast("Mapping[str, Any]", said)
    dump = getattr(said, "model_dump", None)
    if dump is not None:
        return cast("Mapping[str, Any]", dump(by_alias=True))
    if hasattr(said, "results") or hasattr(said, "flagged"):
        return cast("Mapping[str, Any]", vars(said))
    return None


def _decided(known: Mapping[str, Any], threshold: Threshold | None) -> list[str]:
    scores = _known(known.get("category_scores"))
    if threshold is not None and scores:
        return _scored(scores, threshold)
    if not known["flagged"]:
        return []
    categories = _known(known.get("categories")) or {}
    return [_named(name) for name, value in categories.items() if value is True] or [FLAGGED]


def _scored(scores: Mapping[str, Any], threshold: Threshold | None) -> list[str]:
    found: list[str] = []
    for name, score in scores.items():
        if score is None:
            continue
        if not isinstance(score, (bool, int, float)):
            raise TypeError(
                "a classifier's dict has a score or a truth value for each category, not "
                f"{type(score).__name__}"
            )
        _checked(score)
        if score is True or (score is not False and score >= _least(name, threshold)):
            found.append(_named(name))
    return found


def _checked(score: float) -> None:
    if isnan(score):
        raise TypeError("a classifier's score is not a number")


def _least(name: str, threshold: Threshold | None) -> float:
    if isinstance(threshold, Mapping):
        return threshold.get(name, _DEFAULT)
    return _DEFAULT if threshold is None else threshold


def _named(name: str) -> str:
    """A category's name, unless it may be something else: findings quote nothing of a text."""
    return name if _NAME.fullmatch(name) else FLAGGED
