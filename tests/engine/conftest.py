"""No thread of the engine's own settles streams while a test counts what was settled."""

from __future__ import annotations

import math
import threading

import pytest

from agentguard.engine import streams
from agentguard.engine.lost import settle_lost


@pytest.fixture(autouse=True)
def no_reaper(monkeypatch):
    """Keep the reaper from running: tests call `reap` themselves."""
    settle_lost()
    streams.reap(math.inf)
    reaper = streams._reaper
    if reaper is not None and reaper.is_alive():
        reaper.join(10)
    monkeypatch.setattr(streams, "_reaper", threading.main_thread())
