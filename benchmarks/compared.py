"""The page of comparisons: its tables are rows of the page of results.

A table of `docs/compare.md` stands under a comment that names a section of the results, the columns
and the rows; `python -m benchmarks.compared` fills it in, and a test holds it to that.
"""

from __future__ import annotations

import re

from benchmarks.results import PAGE, ROOT, table

COMPARED = ROOT / "docs" / "compare.md"
_TABLE = re.compile(
    r"(?P<ask><!-- results: (?P<title>[^\n]+)\n(?P<columns>[^\n]+)\n(?P<rows>.*?)-->\n).*?(?=<!-- end -->)",
    re.DOTALL,
)


def filled(page: str, results: str) -> str:
    """Return the page of comparisons with what the page of results says now."""
    return _TABLE.sub(lambda match: f"{match['ask']}\n{_answer(match, results)}\n\n", page)


def _answer(match: re.Match[str], results: str) -> str:
    title = match["title"]
    section = re.search(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", results, re.MULTILINE | re.DOTALL
    )
    if section is None:
        return "Not measured yet."
    columns = [column.strip() for column in match["columns"].split("|")]
    rows = [_row(section[1], title, line, columns) for line in match["rows"].strip().splitlines()]
    when = section[1].strip().partition(" UTC, ")
    commit = when[2].partition(",")[0]
    return f"{table(columns, rows)}\n\nMeasured on {when[0]} UTC, {commit}."


def _row(section: str, title: str, line: str, columns: list[str]) -> list[str]:
    """The cells of the one row that begins with what stands before `=>`; its name stands behind."""
    key, _, name = (part.strip() for part in line.partition("=>"))
    header: list[str] = []
    found: list[dict[str, str]] = []
    for text in section.splitlines():
        cells = [cell.strip() for cell in text.split("|")[1:-1]]
        if not cells:
            header = []
        elif not header:
            header = cells
        elif " | ".join(cells).startswith(key):
            found.append(dict(zip(header, cells, strict=True)))
    if len(found) != 1:
        raise LookupError(f"{len(found)} rows of {title!r} begin with {key!r}: one is wanted")
    (row,) = found
    row[next(iter(row))] = name or next(iter(row.values()))
    return [re.sub(r" \(.* on the reference\)", "", row[column]) for column in columns]


def write() -> None:
    """Fill in the page."""
    results = PAGE.read_text(encoding="utf-8")
    COMPARED.write_text(filled(COMPARED.read_text(encoding="utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    write()
