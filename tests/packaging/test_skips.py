from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"


def run(folder: Path, test: str, *, ci: bool, workers: int) -> subprocess.CompletedProcess[str]:
    """Run a test file under a copy of the suite's conftest whose list holds one reason."""
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "allowed_skips.txt").write_text("# a comment\nno such service here\n")
    (folder / "test_it.py").write_text(test)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    env |= {"CI": "true" if ci else "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "xdist",
        "-n",
        str(workers),
        "--rootdir=.",
        ".",
    ]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=100, check=False
    )


LISTED = "import pytest\n\ndef test_it():\n    pytest.skip('no such service here')\n"
UNLISTED = "import pytest\n\ndef test_it():\n    pytest.skip('did not feel like it')\n"
MODULE = "import pytest\n\npytest.importorskip('no_such_module')\n"


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("test", [UNLISTED, MODULE])
def test_ci_fails_on_a_skip_that_is_not_listed(tmp_path: Path, test: str, workers: int) -> None:
    """A test or a module skipped for an unlisted reason fails the run in CI and is named."""
    result = run(tmp_path, test, ci=True, workers=workers)
    assert result.returncode == 1, result.stdout
    assert "skips that CI does not accept" in result.stdout


def test_ci_accepts_a_listed_skip(tmp_path: Path) -> None:
    """A skip whose reason is in the list passes in CI."""
    result = run(tmp_path, LISTED, ci=True, workers=0)
    assert result.returncode == 0, result.stdout


def test_a_developer_may_skip(tmp_path: Path) -> None:
    """Outside CI any skip passes."""
    result = run(tmp_path, UNLISTED, ci=False, workers=0)
    assert result.returncode == 0, result.stdout
