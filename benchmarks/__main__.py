"""Ask each question in a process of its own and put the answers on the page of results.

In a process of its own, because an imported framework makes every garbage collection dearer, and
LiteLLM cannot even be installed beside the others.
"""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks import compared
from benchmarks.results import ROOT, record

HERE = sys.executable
PII = str(ROOT / ".venvs" / "pii" / "bin" / "python")
LITELLM = str(ROOT / ".venvs" / "litellm" / "bin" / "python")

QUESTIONS: dict[str, tuple[str, str]] = {
    "calls": (HERE, "What a call costs when nothing fails"),
    "metrics": (HERE, "What counting a call costs"),
    "runs": (HERE, "What a run in LangSmith costs"),
    "stack": (HERE, "What a whole stack costs"),
    "stack re2": (HERE, "What a whole stack costs with google-re2"),
    "langchain": (HERE, "What a call costs beside LangChain"),
    "router": (LITELLM, "What a call costs beside LiteLLM"),
    "failing": (HERE, "What a failure costs"),
    "streams": (HERE, "What a chunk of a stream costs"),
    "concurrency": (HERE, "How many calls run at once"),
    "budgets": (HERE, "What a budget costs"),
    "caching": (HERE, "What a cached answer costs"),
    "imports": (HERE, "What importing costs"),
    "semantic": (HERE, "What a semantic cache finds and refuses"),
    "safety": (HERE, "What moderation and screening find"),
    "answers": (HERE, "What keeping an answer costs"),
    "prompts": (HERE, "What marking a prompt costs"),
    "spans": (HERE, "What tracing a call costs"),
    "lines": (HERE, "What a log line costs"),
    "pii.speed": (PII, "What searching for personal data costs"),
}
"""By name: which interpreter answers it, and its title on the page."""


def ask(name: str) -> str:
    """Run one question and return its answer, in Markdown."""
    interpreter, _ = QUESTIONS[name]
    run = subprocess.run(
        [interpreter, "-m", *f"benchmarks.{name}".split()],
        cwd=ROOT,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return run.stdout


def main(names: list[str]) -> None:
    """Answer the questions that are named, or all."""
    unknown = [name for name in names if name not in QUESTIONS]
    if unknown:
        sys.exit(f"no question {', '.join(unknown)}; there are {', '.join(QUESTIONS)}")
    for name in names or QUESTIONS:
        answer = ask(name)
        title = QUESTIONS[name][1]
        print(f"## {title}\n\n{answer}", flush=True)
        record(title, answer)
    compared.write()


if __name__ == "__main__":
    main(sys.argv[1:])
