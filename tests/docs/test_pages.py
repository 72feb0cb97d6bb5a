"""Every policy has its page with every section, and every public name is in the reference."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import GenericAlias

import pytest

import agentguard as ag

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "policies").glob("*.md"))
REFERENCE = sorted((ROOT / "docs" / "api").glob("*.md"))
SECTIONS = ("About", "Usage", "Defaults", "Events", "Sync, async, streams", "Ordering")
NAVIGATION = (ROOT / "mkdocs.yml").read_text()


def headings(path: Path) -> list[str]:
    """Return the headings of a page's sections."""
    return re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE)


def shown() -> dict[str, str]:
    """Return what the reference shows: by the name it is given, where it is defined."""
    text = "\n".join(path.read_text() for path in REFERENCE)
    return {
        name: path
        for path, name in re.findall(
            r"^::: (\S+)\n    options:\n      heading: (\S+)$", text, re.MULTILINE
        )
    }


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_policys_page_has_every_section(path: Path) -> None:
    """A page says what it is for, how it is used, its events, shapes, order, failure and patterns."""
    found = headings(path)
    assert [section for section in SECTIONS if section not in found] == []
    assert any("fail" in heading.lower() for heading in found)
    assert any(heading.startswith("Patterns") for heading in found)
    assert any("nti-patterns" in heading for heading in found)


def test_every_policy_has_a_page() -> None:
    """Whatever is a policy and public has a page of its name."""
    policies = {
        file.stem
        for file in (ROOT / "src" / "agentguard" / "policies").glob("*.py")
        if file.stem in ag.__all__
    }
    assert {"retry", "metrics"} < policies
    assert policies - {page.stem for page in PAGES} == set()


def test_every_page_is_in_the_navigation() -> None:
    """Whoever looks for a page finds it in the site's navigation."""
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages == set(re.findall(r": ([\w/-]+\.md)$", NAVIGATION, re.MULTILINE))


def test_every_public_name_is_in_the_reference() -> None:
    """Each name of `agentguard.__all__` has its entry."""
    assert set(ag.__all__) - set(shown()) == set()


@pytest.mark.parametrize(("name", "path"), shown().items(), ids=shown())
def test_an_entry_of_the_reference_is_what_it_says(name: str, path: str) -> None:
    """An entry shows the very thing that its name stands for, and that is documented."""
    module, _, attribute = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (AttributeError, ModuleNotFoundError):  # it is a module itself
        found = importlib.import_module(path)
    public = getattr(ag, name, found)
    made_by_it = isinstance(found, type) and public.__doc__ == found.__doc__
    assert public is found or made_by_it
    assert found.__doc__ or isinstance(found, GenericAlias)
