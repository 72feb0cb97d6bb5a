from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

import agentguard

ROOT = Path(__file__).parents[2]

PRINT_LOADED = """
import sys
before = set(sys.modules)
import agentguard
print(*sorted(set(sys.modules) - before))
"""


# These build on LangChain's own classes; nothing imports them before an object of it is met.
NEEDS = {
    "agentguard.integrations.langchain_answers": "langchain_core",
    "agentguard.integrations.langchain_middleware": "langchain",
    "agentguard.integrations.langchain_objects": "langchain_core",
}


def modules() -> list[ModuleType]:
    """Import every module of the package, but for those whose subject is not installed."""
    found = (info.name for info in pkgutil.walk_packages(agentguard.__path__, "agentguard."))
    known = (name for name in found if find_spec(NEEDS.get(name, "agentguard")) is not None)
    return [agentguard, *map(importlib.import_module, known)]


def by_isort(name: str) -> tuple[int, str]:
    """Order names as the linter does: CONSTANTS, Classes, the rest."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def test_every_exported_name_exists_and_all_is_sorted() -> None:
    """`__all__` of each module is sorted, has no double, and names only what is there."""
    for module in modules():
        exported = getattr(module, "__all__", [])
        assert list(exported) == sorted(set(exported), key=by_isort), module.__name__
        for name in exported:
            assert hasattr(module, name), f"{module.__name__}.{name}"


def public_objects() -> dict[str, object]:
    """Every public function and class, and their public methods, by their full name."""
    found: dict[str, object] = {}
    for module in modules():
        if any(part.startswith("_") for part in module.__name__.split(".")):
            continue
        for name, value in vars(module).items():
            ours = getattr(value, "__module__", None) == module.__name__
            if name.startswith("_") or not ours or not callable(value):
                continue
            found[f"{module.__name__}.{name}"] = value
            if not inspect.isclass(value):
                continue
            for member, method in vars(value).items():
                if not member.startswith("_") and inspect.isroutine(method):
                    # getattr, so that a docstring may come from the method it overrides
                    found[f"{module.__name__}.{name}.{member}"] = getattr(value, member)
    return found


def test_everything_public_is_documented() -> None:
    """Every module, and every public function, class and method, has a docstring."""
    missing = [module.__name__ for module in modules() if not module.__doc__]
    missing += [name for name, value in public_objects().items() if not inspect.getdoc(value)]
    assert not missing


def test_importing_the_package_loads_nothing_heavy() -> None:
    """A fresh `import agentguard` loads no third-party module, event loop, pool or logging."""
    run = subprocess.run(
        [sys.executable, "-c", PRINT_LOADED], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = run.stdout.split()
    roots = {name.partition(".")[0] for name in loaded}
    assert roots - sys.stdlib_module_names <= {"agentguard"}
    assert not {"asyncio", "concurrent.futures", "logging"} & set(loaded)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel that would be published."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """The wheel has `py.typed`, the licence and every module, and no tests or examples."""
    names = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    ours = {path.relative_to(source).as_posix() for path in (source / "agentguard").rglob("*.py")}
    assert ours | {"agentguard/py.typed"} <= names
    assert {name.partition("/")[0] for name in names} == {
        "agentguard",
        f"agentguard_decorators-{agentguard.__version__}.dist-info",
    }
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_wheel_imports_without_any_dependency(wheel: Path) -> None:
    """The built wheel, alone on the path, can be imported: everything else is loaded on need."""
    code = f"import sys; sys.path.insert(0, {str(wheel)!r}); import agentguard; print(agentguard)"
    command = [sys.executable, "-I", "-S", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    assert wheel.name in run.stdout


def test_the_version_is_the_one_in_the_changelog() -> None:
    """The changelog has a section for the version, or for what is unreleased."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {agentguard.__version__}" in changelog or "## Unreleased" in changelog


def committed_files() -> list[Path]:
    """Every text file that is part of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file() and path.stat().st_size < 500_000]


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    """No committed file holds a path that exists only on the machine it was written on."""
    place = re.compile(r"(?<![\w.])/(?:work|root|home|Users|opt)/\w|\.\./shared\b")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in committed_files()
        for match in place.finditer(path.read_text(encoding="utf-8", errors="ignore"))
        if path != Path(__file__)
    ]
    assert not found
