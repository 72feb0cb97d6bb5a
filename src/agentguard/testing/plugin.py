"""The pytest plugin: fixtures, a clean state after each test, no live providers on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.report import report
    from agentguard.testing.clock import FakeRuntime
    from agentguard.testing.live import NoLive
    from agentguard.testing.provider import FakeProvider

__all__ = ["fake_provider", "fake_runtime", "guard_report"]

_no_live: pytest.StashKey[NoLive] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--agentguard-no-live` and the ini option of the same name."""
    parser.getgroup("agentguard").addoption(
        "--agentguard-no-live",
        action="store_true",
        default=False,
        help="make connections to live model providers fail at once",
    )
    parser.addini(
        "agentguard_no_live",
        "make connections to live model providers fail at once",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Forbid live providers, if asked to."""
    if config.getoption("--agentguard-no-live") or config.getini("agentguard_no_live"):
        from agentguard.testing.live import NoLive

        guard = config.stash[_no_live] = NoLive(pytest.fail.Exception)
        guard.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Allow them again, for whoever runs pytest in a longer-lived process."""
    guard = config.stash.get(_no_live, None)
    if guard is not None:
        guard.stop()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Forget after each test what the process knows, see `agentguard.testing.reset`."""
    from agentguard.testing.reset import reset

    reset()


@pytest.fixture
def fake_runtime() -> Iterator[FakeRuntime]:
    """Virtual time for one test: waits take no real time, see `agentguard.testing.FakeRuntime`."""
    from agentguard.testing.clock import FakeRuntime

    with FakeRuntime() as time:
        yield time


@pytest.fixture
def fake_provider() -> Iterator[FakeProvider]:
    """A provider of its own for one test, see `agentguard.testing.FakeProvider`."""
    from agentguard.testing.provider import FakeProvider

    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def guard_report() -> Iterator[report]:
    """What the test's guarded calls did, see `agentguard.report`.

    Calls of a sync test are all in it. An async test runs in a context of its own and enters
    `report()` itself.
    """
    from agentguard.report import report

    with report() as told:
        yield told
