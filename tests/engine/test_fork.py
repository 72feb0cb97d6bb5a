"""A forked child works, and leaves its parent's streams and workers alone."""

from __future__ import annotations

import gc
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable

import pytest

from agentguard import errors, flush, guard, retry, timeout
from agentguard.engine import streams
from agentguard.engine.lost import lost
from tests.engine.kit import SdkStream, Through, Watch, callables

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def in_child(work: Callable[[], None]) -> None:
    """Run `work` in a forked child and fail if it fails there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of threads
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_child_works():
    """Calls, streams, workers and retries work in a child of a parent that used them before."""
    ask = guard(retry(), timeout(30))(lambda: "a")
    stream = Through()(callables("a", "b")["generator"])
    assert ask() == "a"
    assert list(stream()) == ["a", "b"]

    def work():
        assert ask() == "a"
        assert list(stream()) == ["a", "b"]
        next(stream())
        assert ask() == "a"
        assert flush(1)

    in_child(work)
    assert ask() == "a"


def test_the_parents_streams_are_left_alone():
    """A child neither closes nor settles streams that its parent has open or has dropped."""
    watch = Watch()
    made = []

    def ask():
        made.append(SdkStream("a", "b"))
        return made[-1]

    held = watch(ask)()
    next(held)
    next(watch(ask)())
    assert len(lost) == 1

    def work():
        assert not lost
        assert not streams._open
        Through()(lambda: "a")()
        assert watch.kinds == []
        assert [each.closed for each in made] == [0, 0]

    in_child(work)
    Through()(lambda: "a")()
    assert watch.kinds == ["abandoned"]
    assert list(held) == ["b"]
    assert watch.kinds == ["abandoned", "completed"]


def test_workers_that_hang_in_the_parent_do_not_count_in_the_child():
    """A child has none of its parent's threads: hung workers there take no room here."""
    go_on = threading.Event()

    @timeout(0.02, max_abandoned=1)
    def ask(hang):
        if hang:
            go_on.wait(30)
        return "a"

    with pytest.raises(errors.Timeout):
        ask(True)
    with pytest.raises(errors.Overloaded):
        ask(False)
    bounded = timeout(30, max_abandoned=1)

    def work():
        assert ask(False) == "a"
        assert bounded(lambda: "a")() == "a"

    try:
        in_child(work)
    finally:
        go_on.set()


def test_a_child_of_a_thread_that_holds_nothing():
    """Forked from a thread while others call, the child works."""
    stop = threading.Event()
    ask = guard(retry(), timeout(30))(lambda: "a")

    def busy():
        while not stop.is_set():
            ask()

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for each in threads:
        each.start()
    try:
        for _ in range(5):
            in_child(lambda: ask() == "a" or pytest.fail("no answer"))
    finally:
        stop.set()
        for each in threads:
            each.join(60)
    gc.collect()
