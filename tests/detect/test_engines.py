"""Engines for names and addresses, behind the same protocol as one's own detectors."""

from __future__ import annotations

import sys
from typing import NamedTuple

import pytest

from agentguard import detect


class Result(NamedTuple):
    """What Presidio returns, as far as it is read."""

    start: int
    end: int
    entity_type: str
    score: float


class Analyzer:
    """Answers as an `AnalyzerEngine` does, and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def analyze(self, text, language, entities=None, score_threshold=None):
        """Find Jane."""
        self.asked.append((text, language, entities, score_threshold))
        at = text.find("Jane")
        return [Result(at, at + 4, "PERSON", 0.85)] if at >= 0 else []


def found(text, *detectors):
    """Return what is found, by its text."""
    return [(text[s:e], kind) for s, e, kind, _ in detect.find(text, detectors=detectors)]


def test_ko_pii_finds_names_and_addresses_beside_ours():
    """A name and an address of ko-pii's, the telephone of ours, lines and places right."""
    text = "어제 일입니다.\n김민수 고객님은 서울특별시 강남구 테헤란로 123 에 살아요. 010-1234-5678"
    assert found(text, detect.KoPii()) == [
        ("김민수", "name"),
        ("서울특별시 강남구 테헤란로 123", "address"),
        ("010-1234-5678", "phone"),
    ]


def test_ko_pii_reports_what_is_asked_for_and_sure_enough():
    """Labels choose and rename; what it is less sure of is left."""
    text = "김민수 고객님은 서울특별시 강남구 테헤란로 123 에 살아요."
    assert found(text, detect.KoPii({"PERSON": "customer"})) == [("김민수", "customer")]
    assert found(text, detect.KoPii({"PERSON": "customer"}, least=0.99)) == []


def test_without_ko_pii_its_extra_is_named(monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "ko_pii", None)
    with pytest.raises(ImportError, match=r"pip install 'agentguard-decorators\[pii-ko\]'"):
        detect.KoPii()


def test_presidio_is_asked_line_by_line_for_what_is_wanted():
    """Its places are brought back to the whole, its names to ours."""
    engine = Analyzer()
    text = "hello\nit is Jane who called"
    assert found(text, detect.Presidio(engine, language="de", least=0.6)) == [("Jane", "name")]
    assert engine.asked[0] == ("hello\n", "de", ["PERSON", "LOCATION"], 0.6)


def test_what_is_no_engine_is_refused():
    """A model's name, as other libraries take it, would be downloaded."""
    with pytest.raises(TypeError, match="AnalyzerEngine with its model, not str"):
        detect.Presidio("en_core_web_sm")
