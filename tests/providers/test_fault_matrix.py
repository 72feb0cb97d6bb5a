"""Every fault, through every installed SDK, over real HTTP: what its exception means.

One environment holds one generation of SDKs, so each runs its own rows: .venv the current one,
.venvs/previous and .venvs/litellm the others. What is not installed has no parameters here.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentguard.providers.failures import classify
from agentguard.testing.provider import FakeProvider
from tests.providers.fault_rows import STREAM, UNARY, Row
from tests.providers.sdk_targets import GENERATION, Target, let_go, stream_targets, unary_targets

TARGETS = {"unary": unary_targets(), "stream": stream_targets()}
ROWS = {"unary": UNARY, "stream": STREAM}
MATRIX = [
    pytest.param(name, target, row, id=f"{shape}-{fault}-{name}")
    for shape, targets in TARGETS.items()
    for fault, row in ROWS[shape].items()
    for name, target in targets.items()
]
TELLING = [case for case in MATRIX if case.values[2].expected(case.values[0], GENERATION)]
SILENT = [case for case in MATRIX if not case.values[2].expected(case.values[0], GENERATION)]

pytestmark = [
    # SDKs leave the connection of an answer that broke to the collector, and warn about
    # versions of each other: raised, such a warning would be taken for the provider's failure.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeProvider]:
    """One provider for the whole matrix."""
    with FakeProvider() as provider:
        yield provider
    let_go()


@pytest.fixture
def provider(server: FakeProvider) -> FakeProvider:
    """The provider, with nothing left of the test before."""
    return server.clear()


@pytest.mark.parametrize(("name", "target", "row"), TELLING)
def test_an_sdk_exception_has_the_kind_of_its_fault(
    provider: FakeProvider, name: str, target: Target, row: Row
):
    """What the SDK raises for a fault is classified as that fault, after one request."""
    provider.script(row.fault())

    with pytest.raises(Exception) as caught:
        target(provider, row.timeout)

    assert classify(caught.value).kind == row.expected(name, GENERATION)
    assert len(provider.journal) == 1


@pytest.mark.parametrize(("name", "target", "row"), SILENT)
def test_known_limit_the_bare_sdk_raises_nothing(
    provider: FakeProvider, name: str, target: Target, row: Row
):
    """These faults pass through the bare SDK unnoticed; `Row.engine` says which a guard finds."""
    provider.script(row.fault())

    target(provider, row.timeout)

    assert len(provider.journal) == 1


RATE_LIMITED = [
    case
    for case in MATRIX
    if case.id is not None and ("429 rate_limit" in case.id or "429 at" in case.id)
]
LOSES_HEADERS = {"litellm gemini/"}


@pytest.mark.parametrize(("name", "target", "row"), RATE_LIMITED)
def test_the_wait_that_a_provider_asks_for_is_found(
    provider: FakeProvider, name: str, target: Target, row: Row
):
    """Retry-After and the request's id are read from each SDK's exception."""
    provider.script(row.fault())

    with pytest.raises(Exception) as caught:
        target(provider, row.timeout)

    failure = classify(caught.value)
    assert failure.status == 429
    assert failure.retry_after == 2.0
    assert failure.request_id == provider.journal[0].request_id
