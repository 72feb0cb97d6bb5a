"""A clean environment: nothing is set but what a test sets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentguard import settings
from agentguard.testing import reset

Config = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take all our variables away, and leave nothing switched."""
    for name in [each for each in os.environ if each.startswith("AGENTGUARD_")]:
        monkeypatch.delenv(name)
    yield
    monkeypatch.delenv("AGENTGUARD_CONFIG", raising=False)
    settings.reload()
    reset()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Write the file that AGENTGUARD_CONFIG names."""
    path = tmp_path / "agentguard.toml"

    def write(text: str) -> Path:
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("AGENTGUARD_CONFIG", str(path))
        return path

    return write
