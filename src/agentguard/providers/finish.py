"""Why an answer ended, in the words of every provider: whole, or what it lacks.

One table. A word that is not in it says nothing, which a careful reader takes as "not whole".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Ending", "ending"]

Ending = Literal["whole", "cut", "filtered", "failed", "unfinished"]

_WORDS: Final[Mapping[Ending, str]] = {
    # Chat completions; Responses; Anthropic and Bedrock; Google; Cohere; watsonx
    "whole": (
        "stop tool_calls function_call completed end_turn stop_sequence tool_use complete tool_call "
        "eos_token"
    ),
    # the same, and Mistral
    "cut": (
        "length max_tokens max_output_tokens model_context_window_exceeded incomplete model_length "
        "error_limit time_limit token_limit"
    ),
    "filtered": (
        "content_filter refusal guardrail_intervened content_filtered error_toxic "
        # Google: an answer, or a prompt
        "safety recitation blocklist prohibited_content spii language jailbreak model_armor "
        "image_safety image_prohibited_content image_recitation"
    ),
    "failed": (
        "failed error other malformed_function_call unexpected_tool_call too_many_tool_calls "
        "malformed_response missing_thought_signature image_other no_image malformed_model_output "
        "malformed_tool_use"
    ),
    # in the background, or to be gone on with: Responses, Anthropic's server tools and compaction
    "unfinished": (
        "queued in_progress cancelled pause_turn compaction continuation not_finished user_cancel"
    ),
}
"""Sources: the types of the packages openai 3.54 (chat completion, response status), anthropic 2.12
(StopReason, BetaStopReason) and google-genai 3.4 (FinishReason, BlockedReason); the API references of
Amazon Bedrock (MessageStopEvent), Mistral, Cohere's chat and watsonx.
"""

_ENDINGS: Final[Mapping[str, Ending]] = {
    word: end for end, words in _WORDS.items() for word in words.split()
}


def ending(word: str) -> Ending | None:
    """What a provider's word for the end of an answer means; None for an unknown one.

    Examples:
        >>> ending("end_turn"), ending("MAX_TOKENS"), ending("content_filter"), ending("?")
        ('whole', 'cut', 'filtered', None)
    """
    return _ENDINGS.get(word.lower())
