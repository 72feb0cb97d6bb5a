"""Orders of policies that are known to go wrong, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentguard.engine.chain import Policy

__all__ = ["CANONICAL", "place", "unsafe"]

CANONICAL: Final[tuple[str, ...]] = (
    "deadline",
    "model",
    "metrics",
    "log",
    "trace",
    "validate_input",
    "mask_pii",
    "cache",
    "screen_injection",
    "moderate",
    "validate_output",
    "ground",
    "budget",
    "fallback",
    "retry",
    "breaker",
    "timeout",
    "prompt_cache",
)
"""Outermost first. `timeout` may stand outermost as well: then it bounds all the rest."""

_OF_PRESETS: Final = ("deadline", "model")  # which nobody writes into a guard

_UNSAFE: Final[Mapping[tuple[str, str], str]] = {
    ("cache", "mask_pii"): (
        "mask_pii inside cache leaves personal data in the cache, in the answers that it keeps"
    ),
    ("fallback", "mask_pii"): (
        "mask_pii inside fallback does not mask what the fallback targets are sent, which are called "
        "past it"
    ),
    ("moderate", "mask_pii"): (
        "mask_pii inside moderate leaves personal data in what a classifier or judge is sent"
    ),
    ("fallback", "budget"): (
        "budget inside fallback does not count the fallback targets, which are called past it: they "
        "spend and nobody sees it"
    ),
    ("retry", "fallback"): (
        "retry outside fallback repeats the fallback targets too, so that every target is called "
        "attempts times and the primary is tried again after its substitute failed"
    ),
    ("prompt_cache", "fallback"): (
        "prompt_cache outside fallback sends the marks that were made for the primary to the fallback "
        "targets, which may refuse them"
    ),
    ("breaker", "retry"): (
        "breaker outside retry sees one failure where the provider saw several, opens late, and "
        "its trial call is retried against a provider that is down"
    ),
    ("breaker", "cache"): (
        "breaker outside cache counts what the cache answers as the provider's successes, and while "
        "it is open refuses answers that are there"
    ),
    ("breaker", "fallback"): (
        "breaker outside fallback counts the fallback's answers as the primary's successes and "
        "never opens"
    ),
}


def unsafe(policies: Sequence[Policy]) -> Iterator[str]:
    """A sentence for each pair of policies that stands in an order known to be wrong."""
    for position, outer in enumerate(policies):
        for inner in policies[position + 1 :]:
            reason = _UNSAFE.get((outer.name, inner.name))
            if reason is not None:
                order = ", ".join(f"{name}()" for name in CANONICAL if name not in _OF_PRESETS)
                yield f"{reason}. Write the outermost first: guard({order})"


def place(policy: Policy, policies: Sequence[Policy]) -> int:
    """Where `policy` goes among `policies`: before the first that belongs further in, else last."""
    if policy.name in CANONICAL:
        further_in = CANONICAL[CANONICAL.index(policy.name) + 1 :]
        for position, each in enumerate(policies):
            if each.name in further_in:
                return position
    return len(policies)
