"""The guides for those who come from another library: no option of it is forgotten."""

from __future__ import annotations

import importlib
import inspect
import os
import re
from pathlib import Path

import pytest

from tests.providers.sdk_targets import version

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would ask the network at import
GUIDES = Path(__file__).parents[2] / "docs" / "migrate"
MOVED = [
    ("tenacity.md", "tenacity", "tenacity", "BaseRetrying"),
    ("pybreaker.md", "pybreaker", "pybreaker", "CircuitBreaker"),
    *(
        ("langchain.md", "langchain", "langchain.agents.middleware", name)
        for name in (
            "ModelRetryMiddleware",
            "ModelFallbackMiddleware",
            "PIIMiddleware",
            "ToolRetryMiddleware",
            "ModelCallLimitMiddleware",
            "ToolCallLimitMiddleware",
        )
    ),
    ("litellm-router.md", "litellm", "litellm", "Router"),
]
HERE = [each for each in MOVED if version(each[1]) >= 0]


@pytest.mark.parametrize(
    ("guide", "module", "name"),
    [(guide, module, name) for guide, _, module, name in HERE],
    ids=[name for *_, name in HERE],
)
def test_every_option_has_its_counterpart(guide: str, module: str, name: str) -> None:
    """The guide's table names every option of what one comes from, as it is installed."""
    made = getattr(importlib.import_module(module), name)
    table = "\n".join(re.findall(r"^\|.*\|$", (GUIDES / guide).read_text(), re.MULTILINE))
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", table))))
    options = [option for option in inspect.signature(made).parameters if option != "self"]
    assert name in named | {"BaseRetrying", "CircuitBreaker", "Router"}
    assert [option for option in options if option not in named] == []


def test_every_pybreaker_method_has_its_counterpart() -> None:
    """The guide from pybreaker names what its breakers can do, too."""
    import pybreaker

    text = (GUIDES / "pybreaker.md").read_text()
    public = [each for each in dir(pybreaker.CircuitBreaker) if not each.startswith("_")]
    alike = re.compile(r"(add|remove)_|excluded_exceptions|is_system_error|state$")
    assert [each for each in public if each not in text and not alike.match(each)] == []


@pytest.mark.parametrize("guide", sorted(GUIDES.glob("*.md")), ids=lambda path: path.name)
def test_every_guide_goes_step_by_step(guide: Path) -> None:
    """A guide shows before and after, every option, what differs, and the way from one to the other."""
    headings = re.findall(r"^## (.+)$", guide.read_text(), re.MULTILINE)
    wanted = ["Before", "After", "Every option", "What is different", "Step by step"]
    assert list(dict.fromkeys(heading.partition(",")[0] for heading in headings)) == wanted
