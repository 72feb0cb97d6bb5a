"""Links between the documents lead somewhere, and both READMEs say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README, KOREAN = (ROOT / name for name in ("README.md", "README.ko.md"))


def prose(path: Path) -> str:
    """Return a document without its code."""
    return re.sub(r"^( *)```.*?^\1```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def links(path: Path) -> list[str]:
    """Return what a document links to, but for other sites."""
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(path)))
    return [link for link in found if not link.startswith(("http", "mailto:"))]


def anchors(path: Path) -> set[str]:
    """Return the anchors that a document's headings have on the site."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", heading.lower()).strip() for heading in headings]
    return {re.sub(r"[-\s]+", "-", heading) for heading in plain}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path: Path) -> None:
    """Every file that a document links to is there, and has the heading that is meant."""
    lost = []
    for link in links(path):
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        known = (
            target.suffix != ".md" or not anchor or (target.exists() and anchor in anchors(target))
        )
        if not target.exists() or not known:
            lost.append(link)
    assert lost == []


def test_both_readmes_have_the_same_code() -> None:
    """The Korean README shows the code and the output of the English one."""
    assert code(README) == code(KOREAN)


def test_both_readmes_link_to_the_same_documents() -> None:
    """What one README leads to, the other does, too."""
    own = {"README.md", "README.ko.md"}
    assert set(links(README)) - own == set(links(KOREAN)) - own


def code(path: Path) -> list[str]:
    """Return a document's Python, what it prints, and what installs it."""
    text = path.read_text()
    blocks = re.findall(r"^```(?:python|output)\n.*?^```$", text, re.DOTALL | re.MULTILINE)
    return [*blocks, *re.findall(r"^\$ pip .*$", text, re.MULTILINE)]
