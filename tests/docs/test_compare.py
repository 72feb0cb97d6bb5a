"""The page of comparisons says what was measured, and nothing else."""

from __future__ import annotations

import re

import pytest

from benchmarks.compared import COMPARED, filled
from benchmarks.results import PAGE

ASKED = """<!-- results: Speed
case | peer
fast => the fast one
-->
<!-- end -->
"""


def test_every_table_is_what_was_measured() -> None:
    """Each table is filled from the page of results: `python -m benchmarks.compared` does it."""
    page = COMPARED.read_text(encoding="utf-8")
    assert page == filled(page, PAGE.read_text(encoding="utf-8"))


def test_no_table_is_written_by_hand() -> None:
    """Outside of what is filled in there is no table, and no figure in microseconds."""
    page = COMPARED.read_text(encoding="utf-8")
    prose = re.sub(r"<!-- results: .*?<!-- end -->", "", page, flags=re.DOTALL)
    assert re.findall(r"^\|.*|\d (?:us|ms)\b", prose, re.MULTILINE) == []


def test_losses_are_told() -> None:
    """Wherever a peer was faster, the page says so below the table."""
    page = COMPARED.read_text(encoding="utf-8")
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    lost = [s for s in sections if re.search(r"us \| (?:[2-9]|\d\d)\.\d+ \|$", s, re.MULTILINE)]
    assert lost
    assert [s.partition("\n")[0] for s in lost if "**Where we lose:**" not in s] == []


def test_a_new_measurement_replaces_the_old() -> None:
    """What is measured anew stands on the page after it was filled in again."""
    for figure in ("1.00", "2.00"):
        results = f"## Speed\n\n2026-01-02 03:04 UTC, commit abc, Linux\n\n| case | peer |\n| --- | --- |\n| fast: x | {figure} |\n"
        page = filled(ASKED, results)
        assert f"| the fast one | {figure} |" in page
        assert filled(page, results) == page


def test_a_row_that_is_gone_is_told() -> None:
    """A case that is measured no more cannot stand on the page."""
    with pytest.raises(LookupError, match="0 rows of 'Speed' begin with 'fast'"):
        filled(ASKED, "## Speed\n\n2026-01-02 03:04 UTC, commit abc, Linux\n")


def test_what_was_never_measured_is_told() -> None:
    """A section that nobody has measured yet says so."""
    assert "Not measured yet." in filled(ASKED, "")
