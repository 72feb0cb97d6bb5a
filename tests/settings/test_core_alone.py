"""Presets where nothing but the core is installed: no extra is asked for, and none is missed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

# Nothing that an extra or a provider's SDK installs can be imported.
CHILD = """
import importlib.metadata, json, re, sys, warnings

warnings.simplefilter("error")
distribution = importlib.metadata.distribution("agentguard-decorators")
core = {re.split(r"[^\\w-]", each)[0] for each in distribution.requires if "extra ==" not in each}
assert "pydantic" in core and "redis" not in core, core
EXTRAS = {
    "redis", "langsmith", "opentelemetry", "re2", "langchain", "langchain_core", "celery", "starlette",
    "openai", "anthropic", "google", "litellm", "numpy", "jsonschema", "ko_pii", "fuse",
}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import agentguard as ag
assert "pydantic" not in sys.modules, "presets are not made yet"
told = {}
for kind in ("production", "staging", "development", "internal_tool"):
    preset = getattr(ag.presets, kind)("s", usd_per_day=1, scope="process", model="gpt-4o-mini")
    @preset
    def ask(question, model=None):
        usage = {"prompt_tokens": 30, "completion_tokens": 10}
        return {"model": model, "choices": [{"message": {"content": question}}], "usage": usage}
    @preset.without("budget")
    def stream(question):
        yield from question
    answer = ask("mail kim@example.com")
    assert answer["choices"][0]["message"]["content"] == "mail kim@example.com"
    assert answer["model"] == "gpt-4o-mini"
    assert "".join(stream("hello")) == "hello"
    values = {each["key"]: each for each in ag.describe(preset)["settings"]}
    told[kind] = [[each.name for each in preset.policies], values["trace.enabled"]["source"]]
print(json.dumps(told))
"""


@pytest.mark.parametrize(
    ("switch", "why"),
    [
        ({}, "pip install 'agentguard-decorators[otel]'"),
        ({"LANGSMITH_TRACING": "true"}, "pip install 'agentguard-decorators[langsmith]'"),
    ],
    ids=["nothing", "langsmith"],
)
def test_every_preset_works_and_says_what_is_not_traced(switch: dict[str, str], why: str) -> None:
    """A variable of LangSmith alone is no reason to break a service."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AGENTGUARD_")}
    run = subprocess.run(
        [sys.executable, "-c", CHILD],
        capture_output=True,
        text=True,
        env={**clean, **switch},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    for kind, (policies, source) in json.loads(run.stdout.splitlines()[-1]).items():
        assert "trace" not in policies, kind
        assert {"mask_pii", "budget", "retry", "timeout"} <= set(policies)
        assert why in source
