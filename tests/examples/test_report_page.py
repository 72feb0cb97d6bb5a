"""The example of a report as a page does what it says."""

from __future__ import annotations

from pathlib import Path

import report_page


def test_it_draws_what_happened(tmp_path: Path) -> None:
    """Two calls, the second from the cache and then another model's; no address is on the page."""
    path = tmp_path / "report.html"

    text = report_page.show(path)

    lines = [line.strip() for line in text.splitlines()]
    assert [line.split()[0] for line in lines if "  " in line and "|" not in line] == [
        "assistant",
        "find",
        "OpenAI.embeddings",
        "OpenAI.chat.completions",
        "assistant",
        "find",
        "OpenAI.chat.completions",
    ]
    assert sum("answered by the cache" in line for line in lines) == 1
    page = path.read_text(encoding="utf-8")
    assert "fell back to OpenAI.chat.completions (gpt-4o-mini) (overloaded)" in page
    assert "kim@example.com" not in page + text
