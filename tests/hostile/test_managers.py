"""SDK helpers that make their request only in a `with` block, where a guard sees nothing of it."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from agentguard import fallback, retry

OPENAI = openai.OpenAI(api_key="test-key")
AOPENAI = openai.AsyncOpenAI(api_key="test-key")
ANTHROPIC = anthropic.Anthropic(api_key="test-key")
AANTHROPIC = anthropic.AsyncAnthropic(api_key="test-key")

LATE: dict[str, Any] = {
    "messages": ANTHROPIC.messages.stream,
    "async messages": AANTHROPIC.messages.stream,
    "chat": OPENAI.chat.completions.stream,
    "async responses": AOPENAI.responses.stream,
    "raw": OPENAI.chat.completions.with_streaming_response.create,
    "async raw": AOPENAI.chat.completions.with_streaming_response.create,
    "anthropic raw": ANTHROPIC.messages.with_streaming_response.create,
}


@pytest.mark.parametrize("method", LATE.values(), ids=LATE)
def test_a_method_that_only_prepares_its_request_is_refused(method: Any) -> None:
    """Guarded, it would always succeed: no retry, and a breaker that counts outages as successes."""
    with pytest.raises(TypeError, match=r"stream=True"):
        retry(method)
    with pytest.raises(TypeError, match=r"stream=True"):
        fallback(method)


def test_methods_that_make_their_request_are_not() -> None:
    """Those beside them, and a function of the user's own that is called `stream`."""

    def stream(question: str) -> str:
        return question

    for each in (
        stream,
        ANTHROPIC.messages.create,
        OPENAI.responses.create,
        AOPENAI.chat.completions.create,
        OPENAI.chat.completions.with_raw_response.create,
    ):
        retry(each)
