"""What a sentence states that can be looked up. A sentence is read by itself: nothing around it counts.

No claims: numbers of lists and footnotes, one and zero in words without a unit ("one of them"), and
small numbers that count parts of the text or stand behind their name ("two reasons", "step 3",
"두 가지"); what stands in code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from agentguard.grounding.dates import moments
from agentguard.grounding.figures import figures
from agentguard.grounding.names import names
from agentguard.grounding.words import normal, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentguard.grounding.dates import When
    from agentguard.grounding.figures import Figure
    from agentguard.grounding.names import Name

__all__ = ["EMAIL", "URL", "Claims", "address", "claims"]

URL: Final = re.compile(
    r"https?://[!#-&(-;=?-\[\]-_a-z~]{1,2000}"
    r"|(?<![\w@.-])(?:[a-z\d-]{1,63}\.){1,5}(?:com|org|net|io|kr|gov|edu|dev|app|ai|info|example|test|uk|de|jp|eu)(?![a-z\d])"
    r"(?:/[!#-&(-;=?-\[\]-_a-z~]{0,2000})?",
    re.IGNORECASE,
)
EMAIL: Final = re.compile(
    r"(?<![\w.+-])[a-z\d._+-]{1,64}@(?:[a-z\d-]{1,63}\.){1,5}[a-z]{2,24}", re.IGNORECASE
)
_CITED: Final = re.compile(
    r"\[\^?\d{1,3}(?:\s?[,-]\s?\d{1,3}){0,8}\]|\((?:출처|source):? ?\d{1,3}\)", re.IGNORECASE
)
_DOTTED: Final = re.compile(r"\w[.][a-z]|://", re.IGNORECASE)
_DIGIT: Final = re.compile(r"\d")
_CODE: Final = re.compile(r"`[^`\n]{1,500}`")
_QUOTED: Final = re.compile(
    r"(?<!\d)\"([^\"\n]{1,2000})\"|[「『《〈]([^」』》〉\n]{1,500})[」』》〉]|(?<![\w'])'(?=[^\s'])([^'\n]{1,300})(?<=\S)'(?![a-z\d])",
    re.IGNORECASE,
)
_IDENTIFIER: Final = re.compile(
    r"(?<![a-z\d])(?<![a-z]')(?!(?:usd|eur|gbp|jpy|krw|cny|inr|chf|us)\d|q[1-4](?![\w])|[kc]?m[23](?!\w))[a-z]{1,10}[-/]?\d[a-z\d]{0,30}(?:[-./]\d[a-z\d]{0,30}){0,6}"
    r"|(?<![\w.])\d{1,6}(?:\.\d{1,6}){2,5}(?![\w])"
    r"|(?<![\w-])\+?\d{1,4}[- ]\d{2,4}-\d{4}(?!\d)|(?<![\w-])\d{2,5}-0\d{1,6}(?![\d-])"
    r"|(?<![\w.,])0\d{2,15}(?![\d.,]\d|\d)",
    re.IGNORECASE,
)


class Claims(NamedTuple):
    """What one sentence states, by kind.

    Attributes:
        figures: numbers with their units.
        moments: dates and times.
        quotations: as words.
        identifiers: codes, versions, telephone numbers, as words.
        urls: in the form of `address`.
        emails: in lower case.
        names: capitalised ones, and of people in Hangul.
    """

    figures: list[Figure]
    moments: list[When]
    quotations: list[list[str]]
    identifiers: list[list[str]]
    urls: list[str]
    emails: list[str]
    names: list[Name]

    def __repr__(self) -> str:
        return f"<{sum(len(each) for each in self)} claims>"


def claims(sentence: str, *, heading: bool = False) -> Claims:
    """What a sentence states.

    Args:
        sentence: its text.
        heading: of a heading, in which capitals make no names.
    """
    text = normal(sentence)
    urls: list[str] = []
    emails: list[str] = []
    quoted: list[str] = []
    codes: list[str] = []
    if "`" in text:
        text = _take(_CODE, text, lambda _: None)
    if "@" in text:
        text = _take(EMAIL, text, lambda found: emails.append(found[0].casefold()))
    if _DOTTED.search(text) is not None:
        text = _take(URL, text, lambda found: urls.append(address(found[0])))
    text = _take(_CITED, text, lambda _: None)
    text = _take(_QUOTED, text, lambda found: quoted.append(found[1] or found[2] or found[3]))
    low = _lowered(text)
    dates = list(moments(low))
    text = _blanked(text, [(when.start, when.end) for when in dates if when.claims])
    if _DIGIT.search(text) is not None:
        text = _take(_IDENTIFIER, text, lambda found: codes.append(found[0]))
    numbers = figures(_lowered(text))
    parts = [part for each in quoted for part in re.split(r"\.\.\.|\[[^\]]{0,40}\]", each)]
    return Claims(
        [each for each in numbers if each.claims],
        [each for each in dates if each.claims],
        [found for part in parts if (found := words(part)) and not _number_alone(found)],
        [words(each) for each in codes],
        urls,
        emails,
        [] if heading else list(names(text)),
    )


def address(url: str) -> str:
    """A URL as it is compared: without its scheme, "www.", and what closes the sentence."""
    plain = re.sub(
        r"^https?://(?:www\.)?|^www\.", "", url.rstrip(".,;:!?)]'*_"), flags=re.IGNORECASE
    )
    host, slash, path = plain.partition("/")
    return (host.casefold() + slash + path).rstrip("/")


def _take(pattern: re.Pattern[str], text: str, keep: Callable[[re.Match[str]], None]) -> str:
    """Keep what matches, and leave in its place what nothing else matches."""

    def taken(found: re.Match[str]) -> str:
        keep(found)
        return "\x1f" * len(found[0])

    return pattern.sub(taken, text)


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end in spans:
        if start >= position:
            pieces += [text[position:start], "\x1f" * (end - start)]
            position = end
    return "".join([*pieces, text[position:]])


def _lowered(text: str) -> str:
    """In lower case, character by character: no letter becomes two."""
    low = text.lower()
    return (
        low
        if len(low) == len(text)
        else "".join(c if len(c.lower()) > 1 else c.lower() for c in text)
    )


def _number_alone(found: list[str]) -> bool:
    return len(found) == 1 and found[0].isdigit()
