"""The page of measured results: each section holds the last run of one command."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "benchmarks" / "RESULTS.md"
INTRODUCTION = "# Results\n\nThe last run of each command, with its commit.\n"


def git(*arguments: str) -> str:
    """Return what git prints, or nothing outside a repository."""
    command = ["git", *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout.strip()


def provenance() -> str:
    """Say when, on which commit and on what machine something was measured."""
    commit = git("rev-parse", "--short=12", "HEAD") or "unknown"
    changed = git("status", "--porcelain", "--", ":!benchmarks/RESULTS.md")
    state = " with uncommitted changes" if changed else ""
    where = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit}{state}, {where}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Lay out rows as a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def record(title: str, body: str) -> None:
    """Replace one section of the page, or add it; the other sections stay as they are."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else INTRODUCTION
    section = f"## {title}\n\n{provenance()}\n\n{body.strip()}\n"
    old = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if old.search(page):
        # A function, because a replacement text would have its backslashes interpreted.
        page = old.sub(lambda _: f"{section}\n", page)
    else:
        page = f"{page.rstrip()}\n\n{section}"
    PAGE.write_text(f"{page.rstrip()}\n", encoding="utf-8")
