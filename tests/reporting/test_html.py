"""A report as HTML: what is in it, what can never be, and how large it grows."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import itertools
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentguard as ag
from agentguard.reporting.style import STYLE
from agentguard.testing import FakeRuntime
from tests.reporting.drawn import busy, many

VOID = {"meta", "br", "hr", "img", "input", "link"}
MARKUP = "<script>alert(1)</script><img src=x onerror='alert(2)'>\"&'"


class Page(html.parser.HTMLParser):
    """The elements of a page, and its text; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"style", "title"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [
            given for _, given in self.elements if name in (given.get("class") or "").split(" ")
        ]


def harmless(page: Page) -> bool:
    """Nothing runs, nothing is fetched, nothing is styled by an attribute."""
    tags = {tag for tag, _ in page.elements}
    names = {name for _, given in page.elements for name in given}
    return (
        not tags
        & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "a", "use"}
        and not names & {"style", "src", "href", "srcset", "action", "xlink:href"}
        and not any(name.startswith("on") for name in names)
    )


def test_what_is_drawn():
    """A line for each call, attempt and word of a policy; waits, ticks and first contents."""
    page = Page(busy().to_html())
    assert len([tag for tag, _ in page.elements if tag == "details"]) == 4
    assert len(page.of("hatch")) == 1 + 3  # the legend's, two retries, one more of lookup
    assert len(page.of("cross")) == 1 + 5
    assert len(page.of("first")) == 4
    for words in (
        "상담원 completed",
        "masked 1 email",
        "answered by the cache: fresh",
        "retries attempt 1 (connection) in 250 ms",
        "gave up: attempts=3 are used up",
        "fell back to backup (connection)",
        "served by backup (gpt-4o-mini)",
        "412 + 80 tokens",
        "$0.00183",
        "41 items",
        "first content 350 ms",
        "4, 1 failed",
        "began, UTC",
    ):
        assert words in page.text.replace("\xa0", " "), words


def test_the_order_of_lines():
    """What happened first stands first, and calls stand under the attempt they were made inside."""
    page = busy().to_html()
    said = [
        "상담원</bdi> #1",
        "find</bdi> #1",
        "masked 1 email",
        "chat</bdi> #1",
        "answered by the cache",
        "chat</bdi> #3",
        "gave up",
        "fell back",
        "backup</bdi> #1",
        "lookup</bdi> #2",
    ]
    places = [page.index(each) for each in said]
    assert places == sorted(places)


def test_places_on_the_axis():
    """Bars lie where the clock says, in percent of their call."""
    with FakeRuntime() as time:

        @ag.retry(attempts=2, wait=lambda _: 5, budget=None)
        def ask():
            time.advance(2.5)
            if len(r.calls[0].attempts) < 2:
                raise ConnectionError
            return "42"

        with ag.report() as r:
            ask()
    drawn = [
        (given.get("class"), given["x"], given["width"])
        for tag, given in Page(r.to_html()).elements
        if tag == "rect" and "x" in given
    ]
    assert drawn[:6] == [
        ("completed", "0%", "100%"),
        (None, "0%", "25%"),
        ("cross", "0%", "25%"),
        ("hatch", "25%", "50%"),
        (None, "75%", "25%"),
        (None, "14", "14"),  # the legend
    ]


def test_nothing_comes_from_elsewhere():
    """No script, no link, no image, no font: the page's own policy forbids all but its style."""
    text = busy().to_html()
    page = Page(text)
    assert harmless(page)
    assert "http" not in re.sub(r"http-equiv", "", text)
    assert "url(" not in re.sub(r"url\(#agentguard-\w+\)", "", text)
    assert "@import" not in text
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = (given["content"] for _, given in page.elements if "http-equiv" in given)
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def planted(markup: str) -> ag.report:
    """A report in which everything that can be named is named `markup`."""

    class Odd(ag.Policy):
        async def around(self, call, next):
            call.emit(ag.events.FellBack, "server", markup)
            call.emit(ag.events.Rejected, markup, "answer", (markup,), "stop", False)
            call.emit(ag.events.CircuitOpened, markup, markup, 30.0)
            call.emit(ag.events.StoreFailed, markup, markup, markup)
            call.emit(ag.events.Masked, {markup: 1})
            return await next(call)

    def ask():
        yield {
            "object": "chat.completion.chunk",
            "model": markup,
            "choices": [{"index": 0, "delta": {"content": "42"}}],
        }

    ask.__name__ = ask.__qualname__ = markup
    with FakeRuntime(), ag.report() as r, ag.context(user=markup, **{markup: markup}):
        list(ag.guard(Odd())(ask)())
    r.calls[0].served_by = markup + "2"
    return r


@pytest.mark.filterwarnings("ignore:no price is known")
def test_markup_in_names_stays_text():
    """Names of functions, models, tags, rules and stores are text, in the page and the fragment."""
    r = planted(MARKUP)
    page = Page(r.to_html(tags=("user", MARKUP)))
    assert harmless(page)
    assert f"user={MARKUP}" in page.text
    assert page.text.count("<script>alert(1)</script>") > 10
    assert harmless(Page(r._repr_html_()))


@pytest.mark.filterwarnings("ignore:no price is known")
@given(name=st.text(max_size=400))
def test_any_name_makes_a_page(name: str):
    """Whatever a name is made of, the page is well-formed, encodes, and keeps its elements."""
    r = planted(name)
    text = r.to_html(tags=("user", name))
    page = Page(text)
    assert harmless(page)
    assert not set(text) & {*map(chr, range(32)), "\x7f", "\u202e", "\u2029"} - {"\n"}
    assert len(text.encode()) < 100_000
    assert [tag for tag, _ in page.elements] == [
        tag for tag, _ in Page(planted("a").to_html(tags=("user", "a"))).elements
    ]


def test_no_prompt_no_answer_no_user():
    """What was asked and answered, errors' texts and whose call it was are not in it."""
    r = busy(tag="checkout")
    for text in (r.to_html(), r._repr_html_(), str(r)):
        assert "sesame" not in text
        assert "swordfish" not in text
        assert "example.com" not in text
        assert "checkout" not in text


def test_tags_that_are_asked_for():
    """A tag is shown when it is named, that one alone."""
    text = busy(tag="checkout").to_html(tags=("feature", "absent"))
    assert text.count("feature=checkout") == 4 + 4
    assert "example.com" not in text
    assert "absent" not in text


def test_the_same_again():
    """The same calls make the same page, to the letter, and looking at it changes nothing."""
    first, second = busy(), busy()
    page = first.to_html()
    assert page == second.to_html() == first.to_html()
    assert first._repr_html_() == second._repr_html_()


def test_a_file(tmp_path: Path):
    """`to_html(path)` writes the page, and returns it too."""
    path = tmp_path / "report.html"
    page = busy().to_html(path)
    assert path.read_text(encoding="utf-8") == page
    assert busy().to_html(str(path)) == page


def test_nothing_was_called():
    """An empty report says so."""
    assert "no guarded call was made" in Page(ag.report().to_html()).text
    assert "no guarded call was made" in Page(ag.report()._repr_html_()).text


def test_in_the_middle_of_a_call():
    """A page can be made while calls and streams run; what is known by then is drawn."""
    with FakeRuntime() as time, ag.report() as r:

        @ag.retry
        def ask():
            time.advance(1)
            yield "a"
            time.advance(3)
            yield "b"

        stream = ask()
        next(stream)
        next(stream)
        page = Page(r.to_html())
        list(stream)
    assert "ask running" in page.text
    assert "2 items" in page.text.replace("\xa0", " ")
    (bar,) = (given for given in page.of("before") if given.get("x") == "0%")
    assert bar["width"] == "100%"


def test_a_thousand_calls_and_ten_thousand_chunks():
    """Stay a small page: less than two kilobytes a call."""
    r = many(1000, 10)
    text = r.to_html()
    assert len([tag for tag, _ in Page(text).elements if tag == "details"]) == 1000
    assert text.count(" open>") == 0
    assert len(text) < 1_750_000
    assert len(r._repr_html_()) < 200_000


def test_one_long_stream():
    """Ten thousand chunks of one stream are drawn as some hundreds of ticks, and counted."""
    text = many(1, 10_000).to_html()
    assert "10,000\xa0items" in text
    assert len(text) < 25_000
    (path,) = re.findall(r'class="ticks" d="(M\d+ 0v4M[^"]*)"', text)
    assert 200 < path.count("M") <= 512


def test_more_calls_than_are_drawn():
    """A page has 2,000 calls, a notebook 100; the figures above them are of all."""
    r = many(2100, 1)
    page, fragment = r.to_html(), r._repr_html_()
    assert page.count("<details") == 2000
    assert "100 more calls are not drawn" in page
    assert fragment.count("<details") == 100
    assert "2,000 more calls are not drawn" in fragment
    for each in (page, fragment):
        assert "<dd>2,100</dd>" in each
        assert "<dd>21,000 + 2,100</dd>" in each


def test_more_lines_than_are_drawn():
    """A call with a thousand calls inside shows the first 500 lines and says how many more."""
    inner = ag.retry(lambda: "a")
    with ag.report() as r:
        ag.retry(lambda: [inner() for _ in range(1000)])()
    text = r.to_html()
    assert text.count("<li ") == 500
    assert "1,501 more lines are not drawn" in text


def test_deeply_nested():
    """Calls inside calls inside calls are drawn as far in as there is room."""

    def nested(depth: int) -> str:
        return ag.retry(nested)(depth - 1) if depth else "42"

    with ag.report() as r:
        nested(40)
    text = r.to_html()
    assert text.count('<li class="d6') > 30
    assert "d7" not in text


def test_what_failed_is_unfolded():
    """Of many calls those that did not complete are open, at most five of them."""
    fails = itertools.cycle([False, False, True])

    @ag.retry(attempts=1)
    def ask() -> str:
        if next(fails):
            raise ConnectionError
        return "42"

    def answered() -> None:
        try:
            ask()
        except ConnectionError:
            return

    with ag.report() as r:
        for _ in range(9):
            answered()
    assert ["open" in given for tag, given in Page(r.to_html()).elements if tag == "details"] == [
        False,
        False,
        True,
    ] * 3
    with r:
        for _ in range(30):
            answered()
    assert r.to_html().count("<details open>") == 5


def test_more_than_colour():
    """How each attempt ended is said by a sign and a word, and each bar has a text of its own."""
    page = Page(busy().to_html())
    for sign, outcome in (("✓", "completed"), ("✕", "connection"), ("⊘", "abandoned")):
        assert re.search(rf"{sign} \w+ (#1 )?{outcome}", page.text), outcome
    drawn = page.of("track")
    assert drawn
    assert all(given.get("aria-hidden") or given["role"] == "img" for given in drawn)
    titles = [tag for tag, _ in page.elements].count("title") - 1
    assert titles == sum(given.get("role") == "img" for given in drawn)
    assert "<title>from 0 ms to 2.98 s</title>" in busy().to_html()


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Between 1 and 21."""
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast(theme: int):
    """Texts stand out 4.5 to 1 from what is behind them, what is drawn 3 to 1; in both themes."""
    pairs = re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", STYLE)
    colours = {name: pair[theme] for name, *pair in pairs}
    for behind in ("paper", "hover"):
        for text in ("ink", "muted", "completed", "failed", "abandoned", "running", "said"):
            assert contrast(colours[text], colours[behind]) >= 4.5, (text, behind)
        assert contrast(colours["wait"], colours[behind]) >= 3


def test_a_fragment_keeps_to_itself():
    """Every rule is about what is inside, every id has our name: a notebook keeps its looks."""
    text = busy()._repr_html_()
    assert text.startswith('<div class="agentguard-report">')
    rules = re.sub(r"@container[^{]*\{(.*?\})\s*\}", r"\1", STYLE, flags=re.DOTALL)
    rules = re.sub(
        r"\([^(){}]*\([^()]*\)\)|\([^(){}]*\)", "", rules
    )  # commas inside are of one selector
    selectors = [each for block in re.findall(r"([^{}]+)\{", rules) for each in block.split(",")]
    assert len(selectors) > 50
    assert all(".agentguard-" in each for each in selectors)
    ids = {given["id"] for _, given in Page(text).elements if "id" in given}
    assert ids == {"agentguard-hatch", "agentguard-cross"}
    assert "<html" not in text
    assert "<meta" not in text


def test_a_wait_of_a_policy_that_is_no_retry():
    """What lets a call wait, as a budget with `exceeded="wait"` does, is hatched for that long."""
    with FakeRuntime():

        @ag.budget(requests=1, per="10s", exceeded="wait")
        def ask() -> str:
            return "42"

        with ag.report() as r:
            ask()
            ask()
    waits = [given for given in Page(r.to_html()).of("hatch") if "x" in given]
    assert [(given["x"], given["width"]) for given in waits] == [("0%", "100%")]


def test_while_other_threads_call():
    """Pages and texts can be made over and over while calls and streams run in other threads."""
    ask = ag.retry(lambda: iter(["a", "b", "c"]))
    nested = ag.retry(lambda: list(ask()))
    done = threading.Event()
    r = ag.report()

    def work() -> None:
        with r:
            while not done.is_set() and len(r.calls) < 1500:
                nested()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    try:
        while len(r.calls) < 400:
            Page(r._repr_html_())
            assert str(r)
    finally:
        done.set()
        for each in threads:
            each.join(60)
    assert r._repr_html_().count(" running") <= 4 * 3 + 4
