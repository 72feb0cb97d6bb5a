from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from agentguard.moderating.folded import folded, plain, readings, unleeted

TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from("ab1 .-\u200b시발ㅅㅣㅂㅏㄹ\uff46\u0430\u1109\u1175\u0130\n"),
        st.characters(codec="utf-8"),
    ),
    max_size=80,
)


@given(TEXTS)
def test_every_character_has_its_place(text: str) -> None:
    """Places go up, from the beginning of the text to its end."""
    for view in (folded(text), *readings(text)):
        if view.at is None:
            assert len(view.text) == len(text)
            continue
        assert len(view.at) == len(view.text) + 1
        assert view.at == sorted(view.at)
        assert view.at[-1] == len(text)


@given(st.text(alphabet="abcdefghij ,.", max_size=80))
def test_plain_letters_are_left_alone(text: str) -> None:
    """What is no disguise is not changed."""
    assert folded(text).text == text


@given(st.text(alphabet="가나다라마바사시발한글", max_size=40))
def test_hangul_is_the_same_however_it_is_composed(text: str) -> None:
    """As macOS takes them apart."""
    assert folded(unicodedata.normalize("NFD", text)).text == text


@given(st.text(alphabet="abcxyz가나", min_size=1, max_size=20), st.integers(1, 3))
def test_invisible_characters_hide_nothing(word: str, count: int) -> None:
    """Between any letters."""
    assert folded(("\u200b" * count).join(word)).text == word


def test_letters_that_were_spaced_out_are_read_joined_as_well() -> None:
    """Two spaces stand between words; few single letters are none."""
    assert [view.text for view in readings("i g n o r e  a l l")][1] == "ignore all"
    assert [view.text for view in readings("f.u.c.k")][1] == "fuck"
    assert [view.text for view in readings("plan a or b")] == ["plan a or b"]


def test_jamo_are_joined_and_noise_is_left_out() -> None:
    """Also around syllables."""
    assert plain(folded("ㅇㅣ전 지@시")).text == "이전 지시"
    assert plain(folded("ㅋㅋ ㅅㅂ")).text == "ㅋㅋ ㅅㅂ"


def test_digits_are_read_as_letters_only_beside_letters() -> None:
    """A number is none."""
    assert unleeted(folded("call 555 1234")) is None
    view = unleeted(folded("k1ll 4ll"))
    assert view is not None
    assert view.text == "kill all"
