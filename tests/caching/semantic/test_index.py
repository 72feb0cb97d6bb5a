from __future__ import annotations

import os
import threading
import warnings

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agentguard.caching.semantic.index import Index

DIRECTIONS = np.eye(6, dtype=np.float32)


class Reference(RuleBasedStateMachine):
    """An index beside a dictionary that does the same slowly."""

    def __init__(self):
        super().__init__()
        self.index = Index(5)
        self.kept: dict[str, tuple[str, int]] = {}

    @rule(group=st.sampled_from("ab"), key=st.sampled_from("klmnopqr"), at=st.integers(0, 5))
    def add(self, group, key, at):
        self.index.add(group, key, DIRECTIONS[at], at)
        self.kept.pop(key, None)
        self.kept[key] = (group, at)
        if len(self.kept) > 5:
            del self.kept[next(iter(self.kept))]

    @rule(key=st.sampled_from("klmnopqr"))
    def forget(self, key):
        self.index.forget(key)
        self.kept.pop(key, None)

    @rule(key=st.sampled_from("klmnopqr"))
    def touch(self, key):
        self.index.touch(key)
        if key in self.kept:
            self.kept[key] = self.kept.pop(key)

    @rule()
    def clear(self):
        self.index.clear()
        self.kept.clear()

    @invariant()
    def the_same_is_found(self):
        assert len(self.index) == len(self.kept)
        for group in "ab":
            for at, vector in enumerate(DIRECTIONS):
                found = self.index.near(group, vector, 0.5, 9)
                assert {near.key for near in found} == {
                    key for key, place in self.kept.items() if place == (group, at)
                }
                assert all(near.item == at for near in found)


Reference.TestCase.settings = settings(max_examples=50, stateful_step_count=40)
TestReference = Reference.TestCase


def test_the_nearest_come_first_and_no_more_than_asked():
    """Results are sorted by cosine and cut to the best."""
    index = Index(100)
    for number in range(50):
        vector = np.array([1, number / 50], np.float32)
        index.add("g", str(number), vector / np.linalg.norm(vector), number)
    found = index.near("g", np.array([1, 0], np.float32), 0.9, 3)
    assert [near.item for near in found] == [0, 1, 2]
    assert index.near("other", np.array([1, 0], np.float32), 0.1, 3) == []


def test_vectors_of_another_length_are_never_compared():
    """A new encoder's vectors replace the old one's in a group, and a lookup between them is empty."""
    index = Index(10)
    index.add("g", "old", DIRECTIONS[0], "old")
    assert index.near("g", np.ones(3, np.float32), 0.1, 5) == []
    index.add("g", "new", np.array([1, 0, 0], np.float32), "new")
    assert len(index) == 1
    assert index.near("g", DIRECTIONS[0], 0.1, 5) == []


def test_a_thousand_small_groups_take_a_row_each():
    """A group of one question holds one row, and an emptied one nothing."""
    index = Index(5_000)
    for number in range(1_000):
        index.add(f"g{number}", f"k{number}", DIRECTIONS[0], number)
    assert sum(len(group.rows) for group in index._groups.values()) == 1_000
    for number in range(1_000):
        index.forget(f"k{number}")
    assert not index._groups


def test_room_shrinks_with_what_it_holds():
    """A group that grew gives its rows back."""
    index = Index(5_000)
    for number in range(1_000):
        index.add("g", f"k{number}", DIRECTIONS[number % 6], number)
    for number in range(990):
        index.forget(f"k{number}")
    assert len(index._groups["g"].rows) <= 40
    assert {near.item for near in index.near("g", DIRECTIONS[0], 0.5, 9)} == {990, 996}


def test_threads_at_once_find_nothing_that_is_not_there():
    """Searches beside additions and removals return only keys with their own vector and item."""
    index = Index(64)
    wrong: list[object] = []
    barrier = threading.Barrier(6)

    def change(seed: int) -> None:
        barrier.wait()
        for number in range(1_500):
            at = (number * seed) % 6
            index.add("ab"[number % 2], f"{number % 97}-{at}", DIRECTIONS[at], at)
            index.forget(f"{(number + seed) % 97}-{at}")

    def search() -> None:
        barrier.wait()
        for number in range(1_500):
            at = number % 6
            near = index.near("ab"[number % 2], DIRECTIONS[at], 0.5, 8)
            wrong.extend(each for each in near if each.item != at or each.key[-2:] != f"-{at}")

    threads = [threading.Thread(target=change, args=(seed,)) for seed in (5, 7, 11)]
    threads += [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(index) <= 64


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_can_search():
    """A lock held while the process forks is not held in the child."""
    index = Index(4)
    index.add("g", "k", DIRECTIONS[0], 0)
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            index.add("g", "k", DIRECTIONS[0], 0)

    thread = threading.Thread(target=busy)
    thread.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of threads
        child = os.fork()
    if child == 0:
        os._exit(0 if index.near("g", DIRECTIONS[0], 0.5, 2) else 1)
    stop.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
