"""A report in a terminal: what is drawn, in which order, how wide, with which characters."""

from __future__ import annotations

import io
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentguard as ag
from agentguard.testing import FakeRuntime
from tests.reporting.drawn import busy


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")


def writing(encoding: str, monkeypatch: pytest.MonkeyPatch) -> io.TextIOWrapper:
    """Have what is printed go to a terminal of this encoding."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    monkeypatch.setattr(sys, "stdout", out)
    return out


def test_what_is_drawn():
    """Calls, attempts and what policies said, in order; waits, first content and work in bars."""
    assert str(busy()).splitlines() == [
        "상담원  completed, 2.98 s, 824 + 160 tokens, $0.0019398 and 1 attempt of unknown cost",
        "  |██████████████████████████████| 상담원 #1: completed, 2.98 s",
        "    find  completed, 80 ms",
        "      |█                             | find #1: completed, 80 ms",
        "    chat  completed, 1.39 s, first content 350 ms (gpt-4o), 412 + 80 tokens, $0.00183",
        "      - masked 1 email",
        "      | ░░░███████████               | chat #1: completed, 1.39 s",
        "    find  completed, 0 ms",
        "      - answered by the cache: fresh, 1.39 s old",
        (
            "    chat  completed, 1.51 s, first content 1.06 s, served by backup (gpt-4o-mini), "
            "412 + 80 tokens, $0.0001098"
        ),
        "      |               █              | chat #1: connection, 120 ms",
        "      |                ···█          | chat #2: connection, 120 ms after a wait of 250 ms",
        "      |                    ··█       | chat #3: connection, 120 ms after a wait of 250 ms",
        "      - gave up: attempts=3 are used up",
        "      - fell back to backup (connection)",
        "      |                       ░░█████| backup #1: completed, 650 ms",
        "chat  completed, 1.39 s, first content 350 ms (gpt-4o), 412 + 80 tokens, $0.00183",
        "  |░░░░░░░░██████████████████████| chat #1: completed, 1.39 s",
        "chat  abandoned, 350 ms, first content 350 ms (gpt-4o), about 2 + 2 tokens, $0.000025",
        "  |░░░░░░░░░░░░░░░░░░░░░░░░░░░░░█| chat #1: abandoned, 350 ms",
        "lookup  failed: connection, 200 ms",
        "  |█                             | lookup #1: connection, 0 ms",
        "  |·····························█| lookup #2: connection, 0 ms after a wait of 200 ms",
        "  - gave up: attempts=2 are used up",
    ]


@pytest.mark.parametrize("columns", [20, 60, 80, 120, 400])
def test_as_wide_as_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch):
    """Bars take a third of the terminal, but no fewer than 20 and no more than 50 columns."""
    monkeypatch.setenv("COLUMNS", str(columns))
    bars = re.findall(r"\|(.*)\|", str(busy()))
    assert {len(bar) for bar in bars} == {max(20, min(50, columns // 3))}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_where_the_terminal_cannot_write_it(encoding: str, monkeypatch: pytest.MonkeyPatch):
    """Bars are ASCII there, names are escaped, and printing does not fail."""
    r = busy()
    out = writing(encoding, monkeypatch)
    print(r)  # noqa: T201  what a user does
    out.flush()
    text = out.buffer.getvalue().decode(encoding)
    assert "\\uc0c1\\ub2f4\\uc6d0  completed" in text
    assert "| ---###########               | chat #1" in text
    assert "|                ...#          | chat #2" in text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp949"])
def test_where_the_terminal_can_write_it(encoding: str, monkeypatch: pytest.MonkeyPatch):
    """Korean names are printed as they are where the terminal has them."""
    r = busy()
    out = writing(encoding, monkeypatch)
    print(r)  # noqa: T201  what a user does
    out.flush()
    assert "상담원  completed" in out.buffer.getvalue().decode(encoding)


def test_without_any_terminal(monkeypatch: pytest.MonkeyPatch):
    """A process that has no standard output can still make the text."""
    monkeypatch.setattr(sys, "stdout", None)
    assert str(busy()) == str(busy())


def test_no_colours():
    """Not one escape sequence: whatever reads the text reads only text."""
    assert "\x1b" not in str(busy())


@pytest.mark.filterwarnings("ignore:no price is known")
@given(name=st.text(max_size=300), target=st.text(max_size=300), model=st.text(max_size=300))
def test_names_cannot_move_the_cursor(name: str, target: str, model: str):
    """Names from elsewhere, the provider's included, break no line and send no escape sequence."""

    def ask() -> dict[str, object]:
        return {"model": model, "choices": [{"message": {"content": "42"}}]}

    ask.__name__ = ask.__qualname__ = name
    with ag.report() as r:
        ag.retry(ask)()
    r.calls[0].attempts[0].target = target
    text = str(r)
    assert len(text.split("\n")) == 2
    assert not set(text) & {*map(chr, range(32)), "\x7f", "\x9b", "\u202e", "\u2028"} - {"\n"}
    assert max(map(len, text.split("\n"))) < 500
    text.encode()


@given(
    waits=st.lists(st.floats(0, 1e6), max_size=4),
    works=st.lists(st.floats(0, 1e6), min_size=5, max_size=5),
)
def test_every_bar_has_its_width_and_its_work(waits: list[float], works: list[float]):
    """However long anything took, each bar fills its place and shows that there was an attempt."""
    with FakeRuntime() as time:
        left = list(waits)

        @ag.retry(attempts=len(waits) + 1, wait=lambda _: left.pop(0), budget=None, within=1e9)
        def ask() -> str:
            time.advance(works[len(left)])
            if left:
                raise ConnectionError
            return "42"

        with ag.report() as r:
            ask()
    bars = re.findall(r"\|(.*)\|", str(r))
    assert len(bars) == len(waits) + 1
    assert {len(bar) for bar in bars} == {30}
    assert all("█" in bar for bar in bars)
    assert all(re.fullmatch(r" *·*█+ *", bar) for bar in bars)
