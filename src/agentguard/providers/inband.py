"""Errors that a provider delivers as an ordinary item of an answer, where its SDK raises nothing."""

from __future__ import annotations

from agentguard import errors
from agentguard.providers.failure_kinds import kind_of_code, kind_of_phrase, vague_kind_of_code

_LONGEST = 300


def provider_error(code: object, message: object, request_id: str | None) -> errors.ProviderError:
    """The exception for an error that came in-band.

    Args:
        code: the provider's code or error type. What is unknown counts as a failure of the
            server, which may be retried.
        message: the provider's own sentence; cut off where it is long.
        request_id: the provider's id of the request, when known.
    """
    word = str(code or "")
    said = str(message or "")[:_LONGEST]
    kind = kind_of_code(word) or kind_of_phrase(said) or vague_kind_of_code(word) or "server"
    return errors.ProviderError(
        f"the provider reported an error inside its answer: {word or 'no code'}: {said}",
        kind=kind,
        request_id=request_id,
    )
