"""What the tests of masking share: ways to cut a text, and vaults with something in them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from hypothesis import strategies as st

from agentguard import Vault


def cuts(text: str) -> Iterator[list[str]]:
    """Every way to cut a text into pieces."""
    for marks in itertools.product([False, True], repeat=max(0, len(text) - 1)):
        pieces = [text[:1]]
        for letter, cut in zip(text[1:], marks, strict=True):
            if cut:
                pieces.append(letter)
            else:
                pieces[-1] += letter
        yield pieces


def pieces_of(text: str, places: list[int]) -> list[str]:
    """A text cut at some places, which may repeat: then a piece is empty."""
    at = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[begin:end] for begin, end in itertools.pairwise(at)]


def through(step, pieces) -> str:
    """What comes out of a step for these pieces."""
    return "".join([*map(step.feed, pieces), step.flush()])


def vault_with(**counts: int) -> Vault:
    """A vault that holds so many values of each type: `email_1` is the first e-mail's."""
    vault = Vault()
    for kind, count in counts.items():
        for number in range(1, count + 1):
            assert vault.placeholder(kind, f"({kind} no {number})") == f"<{kind.upper()}_{number}>"
    return vault


places = st.lists(st.integers(0, 400), max_size=12)
"""Where to cut."""

FRAGMENTS = (
    *(
        "<",
        ">",
        "[",
        "]",
        "(",
        "\\",
        "\\\\",
        "&lt;",
        "&gt;",
        "&",
        "%3c",
        "%",
        "%3E",
        "&#60;",
        "&#x3C;",
        "\\u003c",
    ),
    *("\\u003E", "\uff1c", "\uff1e", "\u3008", "\u3009", "\uff3b", "\uff3d", "\u27e8", "{", "$"),
    *("EMAIL", "Email", "email", "EMAIL_1", "EMAIL_12", "<EMAIL_1>", "<email 2>", "IPV4_1", "IPV4"),
    *(
        "_",
        " ",
        "\xa0",
        "-",
        "1",
        "2",
        "12",
        "9",
        "x",
        "a",
        "로",
        "\n",
        ".",
        "PHONE",
        "E",
        "MAIL_1",
    ),
    *("[EMAIL_1]", "\uff1cEMAIL_2\uff1e", "\\<EMAIL\\_1\\>", "\\u003cEMAIL_12\\u003e", "\u212a"),
)
"""Of which texts are made that are full of what is nearly a placeholder."""

texts = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)
