"""Answers that come item by item, taken apart and put together again."""

from __future__ import annotations

import types
from typing import Any

import pytest
from hypothesis import given as tried
from hypothesis import strategies as st

from agentguard.engine.target import Target
from agentguard.providers.embeddings import (
    argument,
    given,
    items_of,
    joined,
    lacking,
    split,
    with_items,
)


def embed(texts: list[str], size: int = 8) -> list[Any]:
    """A user's own function."""
    return [[float(len(text)), size] for text in texts]


def response(texts: list[str], tokens: int = 0) -> dict[str, Any]:
    """An answer of OpenAI's protocol, as JSON."""
    data = [{"index": at, "embedding": text * 2} for at, text in enumerate(texts)]
    return {"model": "m", "data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def test_a_user_s_function_is_no_call_for_embeddings() -> None:
    """Unless it says so by `each=`."""
    assert argument(Target(embed)) is None
    assert given(Target(embed), (["a"],), {}, "texts") == ["a"]
    assert given(Target(embed), (), {"texts": ["a"]}, "texts") == ["a"]
    assert given(Target(embed), (), {}, "texts") is None
    assert given(Target(embed), (["a"],), {}, "words") is None


def test_the_items_of_a_function_s_list_are_its_members() -> None:
    """Numbers too, and nothing that can be read only once."""
    target = Target(embed)
    assert items_of(target, ["a", "b"]) == ["a", "b"]
    assert items_of(target, (1, 2)) == [1, 2]
    assert items_of(target, []) == []
    assert items_of(target, iter(["a"])) is None
    assert items_of(target, "text") is None


def test_items_are_replaced_where_they_were_given() -> None:
    """By position or by name."""
    target = Target(embed)
    assert with_items(target, (["a"], 9), {}, "texts", ["b"]) == ((["b"], 9), {})
    assert with_items(target, (), {"texts": ["a"], "size": 9}, "texts", ["b"]) == (
        (),
        {"texts": ["b"], "size": 9},
    )


ITEMS = st.lists(st.text("abc", min_size=1, max_size=3), max_size=8)


@tried(ITEMS, st.sets(st.text("abc", min_size=1, max_size=3)), st.booleans())
def test_what_is_put_together_is_what_one_call_would_answer(
    texts: list[str], kept: set[str], plain: bool
) -> None:
    """Whatever is known already: the same items in the same order, each asked for once."""

    def ask(asked: list[str]) -> Any:
        return [text * 2 for text in asked] if plain else response(asked, tokens=len(asked))

    known = {text: split(ask([text]), [text], "texts")[0] for text in kept}
    missing = lacking(texts, texts, known)
    assert len({*missing.values()}) == len(missing)
    assert not missing.keys() & kept
    sent = ask([*missing.values()]) if missing else None
    if sent is not None:
        known |= zip(missing, split(sent, [*missing.values()], "texts"), strict=True)
    whole = joined([known[text] for text in texts], sent)
    if plain or not texts:
        assert whole == [text * 2 for text in texts]
        return
    alone = response(texts, tokens=len(missing))
    assert whole == alone


def test_an_answer_of_another_length_is_refused() -> None:
    """In words that say what is needed."""
    for answer, told in (
        [["a"], "1 items"],
        [None, "a NoneType"],
        ["ab", "a str"],
        [response(["a"]), "1 items"],
    ):
        with pytest.raises(TypeError, match=rf"each='texts'.*each of the 2 items.*not {told}"):
            split(answer, ["a", "b"], "texts")


def test_parts_come_in_the_order_of_their_index() -> None:
    """Whichever order the server sent them in."""
    answer = response(["a", "b"], 10)
    answer["data"].reverse()
    parts = split(answer, ["a", "b"], "input")
    assert [part["data"][0] for part in parts] == [
        {"index": 0, "embedding": "aa"},
        {"index": 0, "embedding": "bb"},
    ]
    assert [part["usage"]["prompt_tokens"] for part in parts] == [5, 5]


def test_nothing_is_changed_that_somebody_else_holds() -> None:
    """Neither answers nor parts."""
    answer = types.SimpleNamespace(
        data=[types.SimpleNamespace(index=0, embedding=[1.0])],
        usage=types.SimpleNamespace(prompt_tokens=3, total_tokens=3),
    )
    (part,) = split(answer, ["a"], "input")
    whole = joined([part, part])
    assert [each.index for each in whole.data] == [0, 1]
    assert (whole.usage.prompt_tokens, part.usage.prompt_tokens) == (0, 3)
    assert part.data[0].index == answer.data[0].index == 0
    assert answer.usage.prompt_tokens == 3
