"""Inputs of LangChain's runnables that arrive in pieces: a value cut in two is still one value."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.runnables import RunnableGenerator

from agentguard import guard, mask_pii

KIM = "kim@example.com"


def runnable(given: list[str]):
    """A runnable that remembers its input and passes it on as it comes."""

    def sync(texts):
        for text in texts:
            given.append(getattr(text, "content", text))
            yield text

    async def later(texts):
        async for text in texts:
            given.append(getattr(text, "content", text))
            yield text

    return guard(mask_pii())(RunnableGenerator(sync, later))


@pytest.mark.parametrize("size", range(1, 8))
def test_texts_in_pieces(size: int) -> None:
    """However the input is cut, what is inside sees a placeholder and the reader the value."""
    given: list[str] = []
    text = f"write to {KIM}, please"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    said = "".join(runnable(given).transform(iter(pieces)))
    assert "".join(given) == "write to <EMAIL_1>, please"
    assert said == text


async def test_messages_in_pieces() -> None:
    """Chunks of messages, asynchronously."""
    given: list[str] = []

    async def pieces():
        for piece in ("to kim@exa", "mple.com", "!"):
            yield AIMessageChunk(piece)

    said = [chunk.content async for chunk in runnable(given).atransform(pieces())]
    assert "".join(given) == "to <EMAIL_1>!"
    assert "".join(said) == f"to {KIM}!"
