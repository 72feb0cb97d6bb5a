"""The list of examples is whole, and every one of them is run."""

from __future__ import annotations

import re
from pathlib import Path

from tests.examples.running import EXAMPLES

ROOT = Path(__file__).parents[2]


def test_every_example_is_listed() -> None:
    """Each program and notebook has a line of its own, and each line something to link to."""
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| \[[\w.]+\]\(([\w.]+)\)", text, re.MULTILINE))
    there = {path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".ipynb"}}
    assert listed - {"monitoring"} == {each for each in there if not each.startswith("demo_")}
    assert all((EXAMPLES / each).exists() for each in re.findall(r"\]\(([^)]+)\)", text))


def test_every_example_is_run() -> None:
    """Each has a test that names it."""
    tests = (ROOT / "tests" / "examples").glob("test_*.py")
    named = "".join(path.stem + path.read_text(encoding="utf-8") for path in tests)
    named += (ROOT / "tests" / "integrations" / "test_jupyter.py").read_text(encoding="utf-8")
    missing = {
        path.name
        for path in EXAMPLES.iterdir()
        if path.suffix in {".py", ".ipynb"} and path.stem not in named
    }
    assert not missing
