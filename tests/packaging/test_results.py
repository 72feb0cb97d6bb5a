from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import results


def test_a_section_is_replaced_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run of a command replaces its own section of the page and no other."""
    page = tmp_path / "RESULTS.md"
    monkeypatch.setattr(results, "PAGE", page)
    results.record("first", "old figures")
    results.record("second", r"a \1 backslash")
    results.record("first", results.table(["a"], [["new figures"]]))
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Results\n")
    assert "old figures" not in text
    assert text.index("| new figures |") < text.index("## second") < text.index(r"a \1 backslash")
    assert text.count(", commit ") == 2
