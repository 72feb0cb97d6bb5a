"""Run every suite that `make test` leaves out, and record its figures.

The current environment runs everything, soak and races included; the environments of the other
SDK generations, and each other Python found on this machine, run what is not marked long.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import results  # noqa: E402  (the project's root is not on the path of a script)

OTHER_PYTHONS = ("3.12", "3.13", "3.14")


@dataclass
class Suite:
    """One environment and the tests that it runs."""

    name: str
    environment: Path
    only: str = "not long"
    interpreter: str | None = None  # makes the environment; None if make has made it

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.environment / "bin" / "python"

    def prepare(self) -> None:
        """Make the environment, or bring it up to date."""
        if self.interpreter is None:
            return
        if not self.python.exists():
            subprocess.run([self.interpreter, "-m", "venv", self.environment], check=True)
        install = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        pinned = ["-c", ".ci/constraints.txt", "-e", ".[dev]"]
        subprocess.run([self.python, *install, *pinned], cwd=ROOT, check=True)


@dataclass
class Figures:
    """What one environment's tests came to."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    broken: bool = False

    def add(self, report: Path, code: int) -> None:
        """Add a pytest run by its JUnit report; no tests (5) is fine for one of two passes."""
        self.broken |= code not in {0, 5} or not report.exists()
        if not report.exists():
            return
        for suite in ET.parse(report).getroot().iter("testsuite"):
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped = int(suite.get("skipped", 0))
            self.failed += failed
            self.skipped += skipped
            self.passed += int(suite.get("tests", 0)) - failed - skipped


def find(version: str) -> str | None:
    """Return an interpreter of this version that really starts, or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))
    for candidate in (f"python{version}", *map(str, reversed(installed))):
        try:
            subprocess.run([candidate, "-c", ""], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue  # absent, or a shim whose version is not switched on
        return candidate
    return None


def suites() -> Iterator[Suite]:
    """Yield every suite that this machine can run."""
    yield Suite("current", ROOT / ".venv", only="")
    yield Suite("previous SDKs", ROOT / ".venvs" / "previous")
    yield Suite("LiteLLM", ROOT / ".venvs" / "litellm")
    for version in OTHER_PYTHONS:
        if sys.version.startswith(f"{version}."):
            continue
        interpreter = find(version)
        if interpreter is None:
            print(f"no Python {version} found: its suite does not run")
            continue
        environment = ROOT / ".venvs" / f"py{version}"
        yield Suite(f"Python {version}", environment, interpreter=interpreter)


def run(suite: Suite, workers: int) -> list[str]:
    """Run a suite in two passes, and return its row of the table."""
    print(f"\n=== {suite.name}", flush=True)
    suite.prepare()
    figures, started = Figures(), time.monotonic()
    # Skips are judged in CI's own environment; here they say what an environment lacks.
    environ = {name: value for name, value in os.environ.items() if name != "CI"}
    with tempfile.TemporaryDirectory() as folder:
        for mark, parallel in (("serial", "0"), ("not serial", str(workers))):
            report = Path(folder) / f"{parallel}.xml"
            chosen = f"{mark} and {suite.only}" if suite.only else mark
            command = ["-m", "pytest", "-q", "-m", chosen, "-n", parallel, f"--junitxml={report}"]
            code = subprocess.run([suite.python, *command], cwd=ROOT, env=environ, check=False)
            figures.add(report, code.returncode)
    asked = [suite.python, "-c", "import platform; print(platform.python_version())"]
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    verdict = "failed" if figures.broken or not figures.passed else "passed"
    counts = [str(figures.passed), str(figures.failed), str(figures.skipped)]
    return [suite.name, version, verdict, *counts, f"{time.monotonic() - started:.0f}"]


def main() -> int:
    """Run the suites asked for; record a complete run only."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="run the one suite of this name, record nothing")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    chosen = (suite for suite in suites() if options.only in {None, suite.name})
    rows = [run(suite, options.workers) for suite in chosen]
    header = ["environment", "Python", "verdict", "passed", "failed", "skipped", "seconds"]
    figures = results.table(header, rows)
    print(f"\n{figures}")
    if options.only is None:
        results.record("make test-all", figures)
    return 0 if rows and all(row[2] == "passed" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
