"""Which tokenizer, framing and picture rule each model has, and how a count is estimated without.

Only OpenAI publishes its tokenizers. For the others the count of tiktoken is multiplied by the
largest factor that was measured on English, Korean, Japanese, Chinese and code, rounded up; no
estimate is above the number of UTF-8 bytes, which no tokenizer with a byte alphabet can exceed.
The sources of each rule are in docs/tokens.md.
"""

from __future__ import annotations

import functools
import math
import re
from typing import TYPE_CHECKING, Final

from agentguard.tokens import images
from agentguard.tokens.encodings import EncodingName, count_text
from agentguard.tokens.names import bare

if TYPE_CHECKING:
    from agentguard.tokens.images import Rule

__all__ = ["Family", "family"]


class Family:
    """How the requests of some models are counted.

    Attributes:
        name: what the rule is called in the documentation.
        encoding: the tiktoken encoding that is counted with.
        image: the rule for pictures.
        factor: tokens for each token of `encoding`; 1 means it is the model's own.
        digits: every digit is a token of its own.
        foreign: other scripts than ASCII are counted by their bytes, the tokenizer being unknown.
        exact_chat: the framing is the published one, so that a chat's count is exact.
        per_message: tokens of framing around each message.
        per_request: tokens of framing around all of them.
        tools: what the presence of tools costs beyond their text.
        per_tool: tokens of framing around each tool.
        embeds: it makes vectors, and its input is text, not a message.
        schemas: tools are written out by OpenAI's rule, not as JSON.
    """

    def __init__(
        self,
        name: str,
        encoding: EncodingName,
        image: Rule,
        *,
        factor: float = 1,
        digits: bool = False,
        foreign: bool = False,
        exact_chat: bool = False,
        per_message: int = 3,
        per_request: int = 3,
        tools: int = 12,
        per_tool: int = 7,
        embeds: bool = False,
        schemas: bool = False,
    ) -> None:
        self.name = name
        self.encoding: EncodingName = encoding
        self.image = image
        self.factor = factor
        self.digits = digits
        self.foreign = foreign
        self.exact_chat = exact_chat
        self.per_message = per_message
        self.per_request = per_request
        self.tools = tools
        self.per_tool = per_tool
        self.embeds = embeds
        self.schemas = schemas

    def count(self, text: str) -> tuple[int, bool]:
        """Tokens of a text, and whether that is what the model itself would count.

        Args:
            text: any text.

        Examples:
            >>> family("gpt-4o").count("안녕하세요"), family("claude-sonnet-4-5").count("안녕하세요")
            ((2, True), (7, False))
        """
        count, exact = count_text(text, self.encoding)
        if self.factor == 1:
            return (count, True) if exact else (min(count, self.bound(text)), False)
        estimate = math.ceil(count * self.factor)
        if self.digits:
            estimate += sum(map(text.count, "0123456789"))
        if self.foreign and not text.isascii():
            estimate += self.bound(text) - len(text.encode("ascii", "ignore"))
        return min(estimate, self.bound(text)), False

    def bound(self, text: str) -> int:
        """No fewer than `count` gives, from the length in UTF-8 alone.

        Every token of a byte alphabet is at least one byte; one more is for the blank that some
        tokenizers put in front. Characters that stand for several after normalisation do not arise
        in the tokenizers of language models, which keep the text as it is.

        Args:
            text: any text.
        """
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        return size if self.factor == 1 else size + 1

    def __repr__(self) -> str:
        return f"Family({self.name!r})"


def _openai(name: str, encoding: EncodingName, image: Rule, *, exact_chat: bool = False) -> Family:
    per_tool = 10 if encoding == "cl100k_base" else 7
    return Family(name, encoding, image, exact_chat=exact_chat, per_tool=per_tool, schemas=True)


def _claude(name: str, factor: float, most: int, tools: int) -> Family:
    return Family(
        name,
        "cl100k_base",
        images.squares(most),
        factor=factor,
        per_message=5,
        per_request=10,
        tools=tools,
    )


_TILES: Final = images.tiles(85, 170)
_WORST: Final = images.patches(2.46, 10_000)

_UNKNOWN: Final = Family(
    "unknown",
    "cl100k_base",
    _WORST,
    factor=1.4,
    digits=True,
    foreign=True,
    per_message=8,
    per_request=16,
    tools=200,
    per_tool=16,
)
_OLD_CLAUDE: Final = _claude("Claude to 4.6", 1.4, 1600, 530)
_NEW_CLAUDE: Final = _claude("Claude from Opus 4.7", 1.9, 4784, 850)

# OpenAI's models by the beginning of their names; the first that fits counts.
_OPENAI: Final = (
    (
        r"gpt-oss",
        Family(
            "gpt-oss",
            "o200k_harmony",
            _WORST,
            per_request=80,  # the system message that the harmony format begins with
            schemas=True,
        ),
    ),
    (
        r"(?:chat)?gpt-4o-mini",
        _openai("GPT-4o mini", "o200k_base", images.tiles(2833, 5667), exact_chat=True),
    ),
    (
        r"gpt-4\.1-nano",
        _openai("GPT-4.1 nano", "o200k_base", images.patches(2.46, 1536), exact_chat=True),
    ),
    (
        r"gpt-4\.1-mini",
        _openai("GPT-4.1 mini", "o200k_base", images.patches(1.62, 1536), exact_chat=True),
    ),
    (r"(?:chat)?gpt-4o|gpt-4\.[15]", _openai("GPT-4o", "o200k_base", _TILES, exact_chat=True)),
    (r"gpt-(?:4|3\.5|35)(?![.\d])", _openai("GPT-4", "cl100k_base", _TILES, exact_chat=True)),
    (r"gpt-5(?:[.-]\d)?-nano", _openai("GPT-5 nano", "o200k_base", images.patches(2.46, 1536))),
    (
        r"gpt-5(?:[.-]\d)?-mini|gpt-5[.-]1-codex-mini",
        _openai("GPT-5 mini", "o200k_base", images.patches(1.62, 1536)),
    ),
    (r"gpt-5[.-][23](?!\d)", _openai("GPT-5.2", "o200k_base", images.patches(1.2, 1536))),
    (r"gpt-5[.-]4(?!\d)", _openai("GPT-5.4", "o200k_base", images.patches(1.2, 2500))),
    (r"gpt-5[.-][5-9](?!\d)", _openai("GPT-5.5", "o200k_base", images.patches(1.2, 10_000))),
    (r"gpt-5", _openai("GPT-5", "o200k_base", images.tiles(70, 140))),
    (r"o4-mini", _openai("o4-mini", "o200k_base", images.patches(1.72, 1536))),
    (r"o[134](?:-|$)", _openai("o-series", "o200k_base", images.tiles(75, 150))),
    (
        r"text-embedding-(?:3|ada-002)",
        Family("embeddings", "cl100k_base", _WORST, embeds=True),
    ),
    (r"(?:davinci|babbage)-002", _openai("base models", "cl100k_base", _TILES)),
    (
        # No tokenizer was published for what follows GPT-5; measured, it is o200k_base.
        r"gpt-\d",
        Family("GPT-6", "o200k_base", images.patches(1.2, 40_000), factor=1.1, schemas=True),
    ),
)

_GEMINI: Final = {
    old: Family(
        "Gemini",
        "o200k_base",
        images.crops() if old else images.flat(),
        factor=1.4,
        digits=True,
        per_message=4,
        per_request=4,
        tools=20,
        per_tool=8,
    )
    for old in (True, False)
}
_OPEN: Final = Family(
    "open models",
    "cl100k_base",
    _WORST,
    factor=1.4,
    digits=True,
    per_message=8,
    per_request=32,
    tools=200,
    per_tool=16,
)


@functools.lru_cache(maxsize=1024)
def family(model: str) -> Family:
    """How a model counts, found by its name however a gateway spells it.

    Args:
        model: the name as it is sent or as it comes back.

    Examples:
        >>> family("openai/gpt-4o-2024-08-06"), family("us.anthropic.claude-opus-4-7-v1:0")
        (Family('GPT-4o'), Family('Claude from Opus 4.7'))
    """
    name = bare(model)
    if "claude" in name:
        return _OLD_CLAUDE if (0, 0) < _version(name) < (4, 7) else _NEW_CLAUDE
    if name.startswith("gemini"):
        return _GEMINI[(0, 0) < _version(name) < (3, 0)]
    if re.match(r"llama-?[34]|qwen-?[23]|deepseek", name):
        return _OPEN
    return next((found for pattern, found in _OPENAI if re.match(pattern, name)), _UNKNOWN)


def _version(name: str) -> tuple[int, int]:
    """The first number of a name with what follows it, dates left aside; zeros if there is none."""
    found = re.search(r"(?<!\d)(\d{1,2})(?!\d)(?:[.-](\d{1,2})(?!\d))?", name)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)
