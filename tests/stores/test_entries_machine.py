"""Random histories: each store of answers must do exactly what a dict with the time does."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from agentguard.stores.entries import Entry, Size
from tests.stores.entries_kit import NOW, Open

SPACES = st.sampled_from(["faq", "other"])
KEYS = st.sampled_from(["a", "b", "c", "d"])
TAGS = st.sampled_from(["t", "u", "t u", ""])
ENTRIES = st.builds(
    lambda value, fresh, stale, tags: (value, fresh, stale, tuple(tags)),
    st.binary(max_size=20),
    st.sampled_from([0, 60, 600]),  # real seconds to Redis, which deletes by its own clock
    st.sampled_from([0, 60, 6000, float("inf")]),
    st.lists(TAGS, max_size=3),
)
histories = itertools.count()


class History(RuleBasedStateMachine):
    """Two spaces of one store, seen through two handles."""

    open_one: Open

    def __init__(self) -> None:
        super().__init__()
        self.both = [self.open_one(), self.open_one()]
        self.number = next(histories)
        self.now = NOW
        self.held: dict[str, dict[str, Entry]] = {"faq": {}, "other": {}}

    def entries(self):
        self.both.reverse()
        return self.both[0]

    def name(self, space: str) -> str:
        return f"{space} {self.number}"

    def alive(self, space: str) -> dict[str, Entry]:
        return {key: each for key, each in self.held[space].items() if self.now < each.keeps}

    def made(self, drawn) -> Entry:
        value, fresh, stale, tags = drawn
        return Entry(value, self.now, self.now + fresh, self.now + fresh + stale, 0.1, tags)

    @rule(space=SPACES, key=KEYS, drawn=ENTRIES)
    def put(self, space, key, drawn):
        entry = self.made(drawn)
        self.entries().put(self.name(space), key, entry, self.now)
        self.held[space][key] = entry

    @rule(space=SPACES, drawn=st.dictionaries(KEYS, ENTRIES, max_size=4))
    def put_many(self, space, drawn):
        many = {key: self.made(each) for key, each in drawn.items()}
        self.entries().put_many(self.name(space), many, self.now)
        self.held[space].update(many)

    @rule(space=SPACES, key=KEYS)
    def delete(self, space, key):
        self.entries().delete(self.name(space), key)
        self.held[space].pop(key, None)

    @rule(space=SPACES, tag=TAGS)
    def invalidate(self, space, tag):
        gone = self.entries().invalidate(self.name(space), tag)
        over = sum(tag in each.tags for each in self.held[space].values())
        assert sum(tag in each.tags for each in self.alive(space).values()) <= gone <= over
        kept = {key: each for key, each in self.held[space].items() if tag not in each.tags}
        self.held[space] = kept

    @rule(space=SPACES)
    def clear(self, space):
        gone = self.entries().clear(self.name(space))
        assert len(self.alive(space)) <= gone <= len(self.held[space])
        self.held[space] = {}

    @rule(seconds=st.sampled_from([0.5, 59.0, 60.0, 700.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule(space=SPACES, tag=TAGS)
    def scan(self, space, tag):
        found = self.entries().scan(self.name(space), tag, self.now)
        tagged = {key: each for key, each in self.alive(space).items() if tag in each.tags}
        assert len(found) == len(tagged)
        assert dict(found) == tagged

    @rule(space=SPACES, key=KEYS)
    def get(self, space, key):
        expected = self.alive(space).get(key)
        assert self.entries().get(self.name(space), key, self.now) == expected

    @rule(space=SPACES, keys=st.lists(KEYS))
    def get_many(self, space, keys):
        alive = self.alive(space)
        expected = [alive.get(key) for key in keys]
        assert self.entries().get_many(self.name(space), keys, self.now) == expected

    @invariant()
    def it_holds_what_the_dict_does(self):
        for space in self.held:
            alive = self.alive(space).values()
            expected = Size(len(alive), sum(len(each.value) for each in alive))
            assert self.entries().size(self.name(space), self.now) == expected

    def teardown(self):
        for each in self.both:
            each.close()


def run(open_one: Open, examples: int) -> None:
    """Run that many histories on one store."""
    machine = type("History", (History,), {"open_one": staticmethod(open_one)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            derandomize=examples < 100,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_histories(open_one: Open):
    """Any history of operations leaves a store as it leaves a dict."""
    run(open_one, 25)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_many_histories(open_one: Open):
    """The same, longer and at random."""
    run(open_one, 300)
