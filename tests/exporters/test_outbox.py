"""Outbox: what it delivers, what it drops, and that whoever puts something in never waits."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from agentguard import flush
from agentguard.engine.flush import waiting
from agentguard.exporters import outbox as module
from agentguard.exporters.outbox import Outbox
from tests.engine.test_fork import in_child


class Gate:
    """A delivery that hangs until it is opened."""

    def __init__(self) -> None:
        self.opened, self.entered = threading.Event(), threading.Event()
        self.items: list[Any] = []

    def __call__(self, item: Any) -> None:
        self.entered.set()
        assert self.opened.wait(30)
        self.items.append(item)


def until(true: Callable[[], bool]) -> None:
    """Wait for a condition that another thread makes true."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_items_are_delivered_in_order_on_another_thread():
    """All that is put arrives, first in first out, and never on the thread that put it."""
    items, threads = [], []

    def deliver(item: int) -> None:
        items.append(item)
        threads.append(threading.current_thread())

    outbox = Outbox("here", deliver)
    assert all(outbox.put(number) for number in range(500))
    assert outbox.flush(30)
    assert items == list(range(500))
    assert threading.current_thread() not in threads
    assert {thread.daemon for thread in threads} == {True}
    assert outbox.dropped == 0


def test_without_flush_it_delivers_by_itself():
    """Nobody has to flush: what was put arrives a moment later."""
    items: list[int] = []
    outbox = Outbox("here", items.append)
    outbox.put(1)
    until(lambda: items == [1])
    outbox.put(2)
    until(lambda: items == [1, 2])


def test_what_does_not_fit_is_dropped_and_counted():
    """While the receiver hangs, `size` items wait, the rest is dropped; later ones arrive again."""
    gate = Gate()
    outbox = Outbox("hung", gate, size=10)
    assert outbox.put("first")
    assert gate.entered.wait(30)
    taken = [outbox.put(number) for number in range(25)]
    assert taken == [True] * 10 + [False] * 15
    assert outbox.dropped == 15
    assert repr(outbox) == "<outbox hung: 10 waiting, 15 dropped>"
    assert not outbox.flush(0.01)
    gate.opened.set()
    assert outbox.flush(30)
    assert gate.items == ["first", *range(10)]
    assert outbox.put("last")
    assert outbox.flush(30)
    assert gate.items[-1] == "last"
    assert outbox.dropped == 15


def test_a_failure_is_told_once_and_every_lost_item_is_counted(caplog):
    """One message for a receiver that fails, without its words; what is lost counts as dropped."""
    items, words = [], "my secret"

    def deliver(item: int) -> None:
        if item % 2:
            raise ValueError(words)
        items.append(item)

    outbox = Outbox("a receiver", deliver)
    with caplog.at_level(logging.ERROR, logger="agentguard"):
        for number in range(10):
            outbox.put(number)
        assert outbox.flush(30)
    assert items == [0, 2, 4, 6, 8]
    assert outbox.dropped == 5
    (told,) = caplog.records
    assert "sending to a receiver failed (ValueError)" in told.getMessage()
    assert "my secret" not in caplog.text


def test_even_exit_does_not_end_its_thread(caplog):
    """A receiver that calls `sys.exit` loses its item, and the next one still arrives."""
    items: list[int] = []

    def deliver(item: int) -> None:
        if not item:
            sys.exit(3)
        items.append(item)

    outbox = Outbox("exits", deliver)
    outbox.put(0)
    outbox.put(1)
    assert outbox.flush(30)
    assert (items, outbox.dropped) == ([1], 1)


def test_many_threads_lose_nothing():
    """Eight threads at once: every item is delivered once, or counted as dropped."""
    items: list[tuple[int, int]] = []
    outbox = Outbox("here", items.append, size=200)
    kept: list[int] = []

    def work(thread: int) -> None:
        kept.append(sum(outbox.put((thread, number)) for number in range(500)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outbox.flush(30)
    assert len(items) == len(dict.fromkeys(items)) == sum(kept)
    assert sum(kept) + outbox.dropped == 4000
    for thread in range(8):
        mine = [number for which, number in items if which == thread]
        assert mine == sorted(mine)


def test_flush_waits_for_what_was_put_before_it_and_not_for_a_flood():
    """A receiver that keeps feeding itself does not keep `flush` from coming back."""
    outbox: Outbox[int] = Outbox("endless", lambda item: outbox.put(item + 1))
    outbox.put(0)
    assert outbox.flush(30)


def test_its_thread_ends_when_nothing_comes_and_another_begins(monkeypatch):
    """An idle outbox holds no thread; the next item starts one."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    items: list[int] = []
    outbox = Outbox("rare", items.append)
    outbox.put(1)
    until(lambda: outbox._thread is None)
    outbox.put(2)
    until(lambda: items == [1, 2])


def test_the_library_flush_drains_all():
    """`agentguard.flush` sends what every outbox holds, and says when one could not in time."""
    items: list[str] = []
    gate = Gate()
    outboxes = [Outbox("a", items.append), Outbox("b", items.append)]
    for outbox in outboxes:
        outbox.put(outbox.name)
    assert flush(30)
    assert sorted(items) == ["a", "b"]
    hung = Outbox("hung", gate)
    hung.put(1)
    assert not flush(0.01)
    gate.opened.set()
    assert flush(30)
    assert gate.items == [1]


def test_one_that_hangs_takes_no_time_from_the_others(monkeypatch):
    """What comes behind it is sent all the same, and one that is slow gets what time is left."""
    given: dict[str, list[float]] = {"hangs": [], "quick": [], "slow": []}

    class Exporter:
        def __init__(self, name: str, takes: float) -> None:
            self.name, self.takes = name, takes

        def flush(self, timeout: float) -> bool:
            given[self.name].append(timeout)
            time.sleep(min(self.takes, max(timeout, 0)))
            return self.takes <= timeout

    kinds = [Exporter("hangs", 60), Exporter("quick", 0), Exporter("slow", 0.25)]
    monkeypatch.setattr(sys.modules["agentguard.engine.flush"], "waiting", kinds)
    assert not flush(0.6)
    assert len(given["quick"]) == 1
    assert given["quick"][0] > 0
    monkeypatch.setattr(sys.modules["agentguard.engine.flush"], "waiting", kinds[1:])
    assert flush(30)


async def test_flush_does_not_block_an_event_loop():
    """On a loop `flush` says what is open without waiting; in a thread it waits."""
    gate = Gate()
    outbox = Outbox("hung", gate)
    outbox.put(1)
    began = asyncio.get_running_loop().time()
    assert not flush(60)
    assert asyncio.get_running_loop().time() - began < 30
    gate.opened.set()
    assert await asyncio.to_thread(flush, 30)


def test_a_finalizer_may_put_inside_of_put():
    """The lock is reentrant: the collector may run where it is held, and a finalizer make a call."""
    outbox: Outbox[str] = Outbox("here", lambda _: None)
    with outbox._lock:
        assert outbox.put("from a finalizer")
    assert outbox.flush(30)


def test_an_outbox_that_is_let_go_is_forgotten(monkeypatch):
    """Nothing holds one whose owner is gone, once its thread has ended."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    outbox: Outbox[int] = Outbox("let go of", lambda _: None)
    outbox.put(1)
    threads = [each for each in threading.enumerate() if each.name == "agentguard-let go of"]
    del outbox
    for each in threads:
        each.join(30)
    until(
        lambda: (
            not gc.collect() and "let go of" not in [getattr(each, "name", "") for each in waiting]
        )
    )


def test_a_forked_child_delivers_what_is_its_own():
    """A child begins empty, with a thread and a lock of its own; the parent loses nothing."""
    gate = Gate()
    items: list[Any] = []
    busy: Outbox[Any] = Outbox("busy", gate)
    busy.put("parent's")
    assert gate.entered.wait(30)
    busy.put("parent's, too")
    holding, held = threading.Event(), threading.Event()

    def hold() -> None:
        with busy._lock:
            held.set()
            holding.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)

    def work() -> None:
        assert repr(busy) == "<outbox busy: 0 waiting, 0 dropped>"
        busy._deliver = items.append
        assert busy.put("child's")
        assert busy.flush(30)
        assert items == ["child's"]

    in_child(work)
    holding.set()
    holder.join()
    gate.opened.set()
    assert busy.flush(30)
    assert gate.items == ["parent's", "parent's, too"]


def test_a_log_that_raises_ends_no_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure of an item cannot be told, and the next one is delivered."""

    class Full(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError

    def deliver(item: int) -> None:
        delivered.append(1 // item)

    delivered: list[int] = []
    monkeypatch.setattr(logging.getLogger("agentguard"), "handlers", [Full()])
    outbox = Outbox("a list", deliver)
    outbox.put(0)
    outbox.put(1)
    assert outbox.flush(30)
    assert (delivered, outbox.dropped) == ([1], 1)


EXITING = """
import atexit, threading, time
from agentguard.exporters.outbox import Outbox
print("set up", flush=True)
atexit.register(lambda: print("shut down", flush=True))
def deliver(item):
    if item == "hang":
        threading.Event().wait()
    print("sent", item, flush=True)
Outbox("out", deliver).put("{item}")
"""


@pytest.mark.parametrize(
    ("item", "says"),
    [("it", ["set up", "sent it", "shut down"]), ("hang", ["set up", "shut down"])],
)
def test_the_end_of_a_process_sends_what_waits(item: str, says: list[str]):
    """A script that ends at once still sends, before its receiver shuts; one that hangs ends too."""
    done = subprocess.run(
        [sys.executable, "-c", EXITING.replace("{item}", item)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split("\n")[:-1] == says
    assert not done.stderr
