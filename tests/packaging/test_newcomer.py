"""What a newcomer does: install the wheel into a new environment and paste the README's code."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentguard.testing import FakeProvider
from tests.docs.test_snippets import PRINTED, bad_day

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAME = "agentguard-decorators"
BETWEEN = "-- next block --"

pytestmark = pytest.mark.timeout(400)  # a dozen packages are installed


def commands() -> list[str]:
    """The README's lines that install something."""
    return [line[2:] for line in README.splitlines() if line.startswith("$ pip install")]


def blocks() -> list[tuple[str, str | None]]:
    """The README's Python code, block by block, and what each is said to print."""
    found: list[tuple[str, str | None]] = []
    for language, body in re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE):
        if language == "python":
            found.append((body, None))
        elif language == "output":
            found[-1] = (found[-1][0], body)
    return found


class Newcomer:
    """Somebody with an empty environment and an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        venv.create(folder / "venv", with_pip=True)
        scripts = "Scripts" if sys.platform == "win32" else "bin"
        self.executable = folder / "venv" / scripts / "python"

    def python(self, *arguments: str, **env: str) -> str:
        """Run Python with these arguments and return what it prints; a warning is an error."""
        run = self._run("-W", "error", *arguments, **env)
        assert not run.stderr
        return run.stdout

    def pip(self, *arguments: str) -> None:
        """Run pip, quietly."""
        self._run("-m", "pip", "--disable-pip-version-check", "--quiet", "--retries=10", *arguments)

    def _run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        hidden = ("PYTHON", "VIRTUAL_ENV", "AGENTGUARD", "OPENAI", "COV_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        run = subprocess.run(
            [self.executable, *arguments],
            cwd=self.folder,
            env={**kept, "PYTHONIOENCODING": "utf-8", **env},
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """Build the wheel, make an environment and run the README's first line there."""
    folder = tmp_path_factory.mktemp("newcomer")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (wheel,) = folder.glob("*.whl")
    newcomer = Newcomer(folder)
    _, *wanted = shlex.split(commands()[0])
    wanted[wanted.index(NAME)] = str(wheel)
    newcomer.pip(*wanted, "openai", "--constraint", str(ROOT / ".ci" / "constraints.txt"))
    return newcomer


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Answer in the stead of OpenAI."""
    with FakeProvider(answer="42") as running:
        running.schedule(bad_day)
        yield running


def test_the_code_prints_what_the_readme_says(newcomer: Newcomer, provider: FakeProvider) -> None:
    """Pasted into a file, block by block, the README's code prints what stands below it."""
    code, said = zip(*blocks(), strict=True)
    file = newcomer.folder / "pasted.py"
    file.write_text(f"print({BETWEEN!r})\n".join(code), encoding="utf-8")

    printed = newcomer.python(
        "pasted.py", OPENAI_BASE_URL=provider.openai_url, OPENAI_API_KEY="test-key"
    )

    parts = printed.split(f"{BETWEEN}\n")
    assert len(parts) == len(said)
    assert any(said)
    for wanted, got in zip(said, parts, strict=True):
        if wanted is not None:
            assert doctest.OutputChecker().check_output(wanted, got, PRINTED), (wanted, got)
    assert provider.journal


def test_the_environment_has_what_was_installed(newcomer: Newcomer) -> None:
    """The package comes from there, typed, and everything in the environment fits together."""
    where = newcomer.python("-c", "import agentguard; print(agentguard.__file__)").strip()
    assert Path(where).is_relative_to(newcomer.executable.parent.parent)
    assert (Path(where).parent / "py.typed").exists()
    newcomer.pip("check")


def test_what_is_missing_says_how_to_install_it(newcomer: Newcomer) -> None:
    """A store in Redis, without the extra, fails with the line that installs it."""
    code = (
        "import agentguard as ag\n"
        "try:\n"
        "    ag.budget(usd=1, per='day', name='b', store='redis://localhost')(lambda: 1)()\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    assert f"pip install '{NAME}[redis]'" in newcomer.python("-c", code)


def test_the_readme_says_how_to_install() -> None:
    """The first command installs the distribution; every extra that is named exists."""
    assert NAME in shlex.split(commands()[0])
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in re.findall(r"\[(\w[\w-]*)\]`", README):
        assert re.search(rf"^{extra} = \[", pyproject, re.MULTILINE), extra
