"""A report in a real browser: it is seen, nothing overflows or overlaps, and nothing is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentguard import report
from tests.chromium import CHROMIUM, Chromium, colours
from tests.reporting.drawn import busy, many

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")

DARK = "--blink-settings=preferredColorScheme=0"
PAPER = {"light": (255, 255, 255), "dark": (20, 23, 28)}
COMPLETED = {"light": (26, 127, 75), "dark": (63, 178, 127)}
FAILED = {"light": (194, 48, 58), "dark": (240, 117, 124)}

BOXES = """
const root = document.querySelector('.agentguard-report');
%s
const inner = root.getBoundingClientRect();
const box = (each) => { const b = each.getBoundingClientRect();
  return [b.left - inner.left, b.top - inner.top, b.right - inner.left, b.bottom - inner.top]; };
return {
  width: inner.width,
  wide: [...root.querySelectorAll('*')].filter((each) => !each.closest('.patterns'))
    .filter((each) => each.getBoundingClientRect().right > inner.right + 1).map((each) => each.outerHTML.slice(0, 99)),
  rows: [...root.querySelectorAll('.row')].filter((each) => each.checkVisibility({contentVisibilityAuto: true})).map((row) => [...row.children].map(box)),
  bars: [...root.querySelectorAll('rect')].map(box),
  heights: [...root.querySelectorAll('.track')].map((each) => each.getBoundingClientRect().height),
  fill: getComputedStyle(root.querySelector('rect.completed')).fill,
  paper: getComputedStyle(root).backgroundColor,
  red: [...root.querySelectorAll(':not(svg, svg *, style)')].map((each) => getComputedStyle(each))
    .filter((each) => each.color === 'rgb(255, 0, 0)' || each.borderLeftWidth !== '0px').length,
  open: root.querySelectorAll('details[open]').length,
};
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Chromium:
    """A browser for all tests."""
    return Chromium(tmp_path_factory.mktemp("chromium"))


@pytest.fixture(scope="module")
def seen() -> report:
    """The report that is looked at."""
    return busy()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_picture(chromium: Chromium, seen: report, theme: str):
    """Bars of both colours on the theme's own ground; the console is silent, so nothing is blocked."""
    options = [DARK] if theme == "dark" else []
    found = colours(chromium.picture(seen.to_html(), *options, width=800, height=700))
    assert sum(found.values()) == 800 * 700
    assert found[PAPER[theme]] > 400_000
    assert found[COMPLETED[theme]] > 2_000
    assert found[FAILED[theme]] > 50
    assert len(found) > 50


@pytest.mark.parametrize("width", [1600, 800, 400, 320])
def test_nothing_overflows(chromium: Chromium, seen: report, width: int):
    """In a wide window and on a telephone: all is inside, and no column lies on another."""
    got = chromium.measure(
        seen.to_html(), BOXES % f"document.body.style.width = '{width}px';", width=max(width, 500)
    )
    assert got["width"] == width
    assert got["wide"] == []
    assert got["open"] == 4
    assert set(got["heights"]) == {19}
    assert len(got["rows"]) > 20
    for name, track, figures in got["rows"]:
        assert track[2] - track[0] > 50
        parts = [each for each in (name, track, figures) if each[2] > each[0]]
        for one, other in zip(parts, parts[1:] + parts[:1], strict=True):
            apart = one[2] <= other[0] or other[2] <= one[0]
            above = one[3] <= other[1] + 1 or other[3] <= one[1] + 1
            assert one is other or apart or above, (one, other)
    assert all(right > left and bottom > top for left, top, right, bottom in got["bars"])


def test_a_thousand_calls(chromium: Chromium):
    """A large page is laid out whole, folded."""
    got = chromium.measure(many(1000, 10).to_html(), BOXES % "")
    assert len(got["rows"]) == 1000
    assert got["open"] == 0
    assert got["wide"] == []


HOSTILE = """<!doctype html><meta charset="utf-8">
<style>li { list-style: square; color: red; margin: 0 40px } h1 { font-size: 60px; color: red }
dl, dd, p, summary, details { border: 3px solid red; color: red; margin: 30px; padding: 30px }
svg { width: 10px; height: 10px } div { line-height: 3 } .row, .name, .first { color: red }</style>
<body %s><p id="other">text</p>"""


@pytest.mark.parametrize(
    ("theme", "attribute"),
    [
        ("light", 'data-jp-theme-light="true"'),
        ("dark", 'data-jp-theme-light="false"'),
        ("dark", 'class="vscode-dark"'),
    ],
)
def test_in_a_notebook(chromium: Chromium, seen: report, theme: str, attribute: str):
    """A fragment follows the notebook's theme, keeps its looks there, and leaves the rest alone."""
    before = (
        "const other = getComputedStyle(document.getElementById('other'));"
        "return [other.color, other.fontSize, other.margin];"
    )
    page = HOSTILE % attribute
    alone = chromium.measure(page, before)
    beside = chromium.measure(page + seen._repr_html_() * 2, before)
    assert alone == beside
    other = DARK if theme == "light" else "--blink-settings=preferredColorScheme=1"
    got = chromium.measure(page + seen._repr_html_(), BOXES % "", other)
    assert got["paper"] == "rgb({}, {}, {})".format(*PAPER[theme])
    assert got["fill"] == "rgb({}, {}, {})".format(*COMPLETED[theme])
    assert got["red"] == 0
    assert got["wide"] == []
    assert set(got["heights"]) == {19}


def test_the_picture_of_nothing_is_one_colour(chromium: Chromium, tmp_path: Path):
    """The check above would see a page on which nothing is drawn, and one that complains."""
    assert (
        len(colours(chromium.picture("<!doctype html><body></body>", width=500, height=100))) == 1
    )
    with pytest.raises(AssertionError, match="CONSOLE"):
        chromium.picture("<!doctype html><script>console.error('no')</script>")
