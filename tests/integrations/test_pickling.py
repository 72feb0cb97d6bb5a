"""Providers' exceptions cross into another process whole, and without their request."""

from __future__ import annotations

import copy
import copyreg
import multiprocessing
import pickle
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import openai
import pytest

from agentguard import carry, errors, guard, retry
from agentguard.providers.failures import classify
from agentguard.providers.pickling import let_cross
from agentguard.testing import FakeProvider
from tests.integrations.crossing import METHODS, fail, fail_guarded, failure, here
from tests.providers.fault_rows import Row
from tests.providers.sdk_targets import Target, let_go
from tests.providers.test_fault_matrix import TELLING


class Mine(openai.RateLimitError):
    """A user's own, made in a way of its own."""

    def __new__(cls, message: str, tenant: str, response: Any) -> Any:
        """Ask for more than an exception takes."""
        return super().__new__(cls, message)

    def __init__(self, message: str, tenant: str, response: Any) -> None:
        super().__init__(message, response=response, body=None)
        self.tenant = tenant


SECRETS = (b"sk-test", b"test-key", b'"hi"', b"sk-secret", b"a secret prompt", b"set-cookie")

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # 3.12 warns of forks with threads
]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeProvider]:
    """One provider for all rows."""
    with FakeProvider() as provider:
        yield provider
    let_go()


def told(error: BaseException) -> dict[str, Any]:
    """Return all that `classify` says of an exception."""
    found = classify(error)
    return {name: getattr(found, name) for name in found.__slots__}


def raised(fn: Callable[[], object]) -> Exception:
    """Return what a guarded function lets out."""
    with pytest.raises(Exception) as caught:
        guard(retry(attempts=1))(fn)()
    return caught.value


@pytest.mark.parametrize(("name", "target", "row"), TELLING)
def test_every_fault_means_the_same_on_the_other_side(
    server: FakeProvider, name: str, target: Target, row: Row
):
    """What any SDK raises for any fault is pickled, means the same, and holds no secret."""
    provider = server.clear()
    provider.script(row.fault())
    error = raised(lambda: target(provider, row.timeout))

    sent = pickle.dumps(error)
    there = pickle.loads(sent)

    assert type(there) is type(error)
    assert told(there) == told(error)
    assert there.args == error.args
    assert str(error).startswith(str(there))  # LiteLLM adds what its original exception said
    assert not [secret for secret in SECRETS if secret in sent]
    assert told(pickle.loads(pickle.dumps(there))) == told(error)  # and once more


@pytest.fixture(params=METHODS)
def pool(request: pytest.FixtureRequest) -> Iterator[ProcessPoolExecutor]:
    """Run one worker process, started by each method."""
    start = multiprocessing.get_context(request.param)
    with ProcessPoolExecutor(1, mp_context=start) as running:
        yield running


KINDS = {
    "rate_limit": "rate_limited",
    "connection": "connection",
    "ours": "saturated",
    "group": "rate_limited",
}


def test_a_pool_survives_what_a_guarded_call_raises(pool: ProcessPoolExecutor):
    """Each exception comes out of `result()`, and the pool works on."""
    for kind, meaning in KINDS.items():
        for work in (fail_guarded, carry(fail), carry(fail_guarded)):
            error = pool.submit(work, kind).exception(60)
            assert error is not None
            assert classify(error).kind == meaning, kind
    assert pool.submit(here).result(60)["tags"] == {}


def test_without_a_guard_the_pool_breaks():
    """A bare function's exception breaks the whole pool: what guards and `carry` are here for."""
    start = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=start) as pool, pytest.raises(BrokenProcessPool):
        pool.submit(fail, "rate_limit").result(60)


@pytest.mark.parametrize("method", METHODS)
def test_multiprocessing_does_not_hang(method: str):
    """`multiprocessing.Pool` reads results in a thread, which such an exception used to end."""
    with multiprocessing.get_context(method).Pool(1) as workers:
        for kind, meaning in KINDS.items():
            with pytest.raises(Exception) as caught:
                workers.apply_async(fail_guarded, (kind,)).get(60)
            assert classify(caught.value).kind == meaning
        assert workers.apply(here)["tags"] == {}


def test_what_crosses():
    """Message, status, codes, body, id, notes and the answer's telling headers; not the request."""
    error = raised(lambda: fail("rate_limit"))
    assert isinstance(error, openai.RateLimitError)
    error.add_note("while asking")
    assert b"sk-secret" in pickle.dumps(error.request), "there is something to lose"

    there = pickle.loads(pickle.dumps(error))

    assert isinstance(there, openai.RateLimitError)
    assert str(there) == there.message == "slow down"
    assert (there.status_code, there.code, there.request_id) == (
        429,
        "rate_limit_exceeded",
        "req_1",
    )
    assert there.body == {"code": "rate_limit_exceeded", "message": "slow down"}
    assert there.__notes__ == error.__notes__
    assert type(there.response) is type(error.response)
    assert there.response.status_code == 429
    assert dict(there.response.headers)["retry-after"] == "7"
    assert "set-cookie" not in there.response.headers
    assert there.response.content == b""
    assert there.request is None
    assert error.request is not None, "the exception itself is left as it was"


def test_the_partial_text_crosses():
    """What a failed stream had delivered is still there on the other side."""

    @guard(retry(attempts=1))
    def tell():
        yield "half an "
        raise failure("connection")

    with pytest.raises(Exception) as caught:
        list(tell())
    found = errors.partial(pickle.loads(pickle.dumps(caught.value)))
    assert found is not None
    assert found.text == "half an "


def test_a_copy_is_made_too():
    """`copy.copy` works on what it used to refuse, and leaves the request behind likewise."""
    error = raised(lambda: fail("rate_limit"))
    assert told(copy.copy(error)) == told(error)
    assert b"sk-secret" not in pickle.dumps(vars(copy.deepcopy(error)))


def test_what_is_no_providers_is_left_alone():
    """Other exceptions are pickled as ever: nothing is registered for their classes."""

    class Mine(Exception):
        pass

    def work():
        raise Mine

    raised(work)
    raised(lambda: int("x"))
    raised(lambda: __import__("json").loads("{"))
    import json

    assert {Mine, ValueError, json.JSONDecodeError} & copyreg.dispatch_table.keys() <= {
        json.JSONDecodeError
    }
    error = raised(lambda: json.loads("{"))
    there = pickle.loads(pickle.dumps(error))
    assert (there.args, there.doc, there.pos) == (error.args, "{", 1)
    assert classify(there).kind == "unknown", "the caller's own parsing failed"


def test_a_way_of_the_users_own_stays():
    """A class that somebody has registered with copyreg keeps that."""

    class Mine(openai.APIError):
        def __init__(self) -> None:
            Exception.__init__(self, "mine")

    def reduced(error: Mine) -> Any:
        return ValueError, ("mine",)

    copyreg.pickle(Mine, reduced)  # type: ignore[arg-type]
    try:

        def work():
            raise Mine

        there = pickle.loads(pickle.dumps(raised(work)))
    finally:
        del copyreg.dispatch_table[Mine]
    assert type(there) is ValueError


def test_args_that_are_no_data_stay_behind():
    """Of an SDK's exception made with objects, only plain data crosses."""

    def work():
        raise openai.OpenAIError("no", object(), {"a": [1, {"b": None}]}, warnings)

    there = pickle.loads(pickle.dumps(raised(work)))
    assert there.args == ("no", None, {"a": [1, {"b": None}]}, None)


def test_a_subclass_with_arguments_of_its_own_is_rebuilt():
    """Neither its __new__ nor its __init__ is asked: they want what did not cross."""
    error = raised(lambda: fail("rate_limit"))
    assert isinstance(error, openai.RateLimitError)
    mine = Mine(str(error), "ann", error.response)
    let_cross(mine)

    there = pickle.loads(pickle.dumps(mine))

    assert type(there) is Mine
    assert str(there) == str(mine)
    assert classify(there).kind == "rate_limited"


def test_what_an_exception_holds_crosses_with_it():
    """An exception of the user's own around a provider's breaks no pool either."""
    error = raised(lambda: fail("rate_limit"))
    copyreg.dispatch_table.pop(type(error), None)
    outer = ValueError("outer", error)
    let_cross(outer)

    there = pickle.loads(pickle.dumps(outer))

    assert classify(there.args[1]).kind == "rate_limited"
    assert b"sk-secret" not in pickle.dumps(outer)
