"""The gate against a reference model that remembers everything and computes nothing cleverly."""

from __future__ import annotations

import hypothesis.strategies as st
import pybreaker
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from agentguard.circuit.books import open_books
from agentguard.circuit.circuit import Circuit
from agentguard.circuit.gate import CLOSED, HALF_OPEN, OPEN, Gate
from agentguard.circuit.rules import Rules
from agentguard.circuit.votes import Vote

RESET, LEASE, GROWTH, LONGEST = 60, 20, 2.0, 200
OK, SLOW, BAD, NEUTRAL = "ok", "slow", "bad", "neutral"


class Model:
    """What a circuit must do, as a list of what happened since the last transition."""

    def __init__(self, fail_max: int, threshold: int, permits: int) -> None:
        self.fail_max, self.threshold, self.permits = fail_max, threshold, permits
        self.state, self.epoch, self.until, self.openings = CLOSED, 0, 0, 0
        self.votes: list[str] = []
        self.trials: dict[object, int] = {}

    def go(self, state: str, now: int, retry_after: int | None = None) -> None:
        if state == OPEN:
            grown = min(RESET * GROWTH**self.openings, LONGEST)
            self.until = now + (min(retry_after, LONGEST) if retry_after else grown)
            self.openings += 1
        if state == CLOSED:
            self.openings = 0
        self.state, self.votes, self.trials = state, [], {}
        self.epoch += 1

    def admits(self, now: int) -> bool:
        if self.state == OPEN and now >= self.until:
            self.go(HALF_OPEN, now)
        alive = [end for end in self.trials.values() if end > now]
        return self.state == CLOSED or (self.state == HALF_OPEN and len(alive) < self.permits)

    def hears(self, epoch: int, how: str, now: int, retry_after: int | None) -> None:
        if epoch != self.epoch or how == NEUTRAL:
            return
        self.votes.append(how)
        in_a_row = 0
        for each in reversed(self.votes):
            if each != BAD:
                break
            in_a_row += 1
        if (self.state == CLOSED and in_a_row >= self.fail_max) or (
            self.state == HALF_OPEN and how == BAD
        ):
            self.go(OPEN, now, retry_after)
        elif self.state == HALF_OPEN and len(self.votes) >= self.threshold:
            self.go(CLOSED, now)


class Circuits(RuleBasedStateMachine):
    permits = Bundle("permits")

    @initialize(fail_max=st.integers(1, 3), threshold=st.integers(1, 3), at_once=st.integers(1, 3))
    def begin(self, fail_max: int, threshold: int, at_once: int) -> None:
        self.now = 1000
        self.breaker = pybreaker.CircuitBreaker(fail_max, RESET, threshold)
        self.circuit = Circuit(
            "c",
            open_books(self.breaker),
            Rules(growth=GROWTH, max_reset_timeout=LONGEST),
            Gate(at_once, LEASE),
            None,
            foreign=False,
        )
        self.model = Model(fail_max, threshold, at_once)

    @rule(target=permits)
    def call(self):
        permit, change = self.circuit.admit(self.now)
        before = self.model.state
        assert (permit is not None) is self.model.admits(self.now)
        assert (change is not None) is (before != self.model.state)
        if permit is None:
            assert 0 <= self.circuit.gate.retry_after(self.now) <= LONGEST
            if self.model.state == OPEN:
                assert self.circuit.gate.retry_after(self.now) == self.model.until - self.now
            return None
        assert permit.trial is (self.model.state == HALF_OPEN)
        if permit.trial:
            self.model.trials[permit] = self.now + LEASE
        return permit, self.model.epoch

    @rule(
        taken=permits,
        how=st.sampled_from([OK, BAD, NEUTRAL]),
        retry_after=st.sampled_from([None, 5, 1000]),
    )
    def end(self, taken, how: str, retry_after: int | None) -> None:
        if taken is None:
            return
        permit, epoch = taken
        vote = {
            OK: Vote(None, ""),
            BAD: Vote(OSError(), "connection", retry_after=retry_after),
            NEUTRAL: None,
        }[how]
        self.circuit.settle(permit, vote, self.now, 1e9 + self.now)
        self.model.trials.pop(permit, None)
        self.model.hears(epoch, how, self.now, retry_after)

    @rule(seconds=st.sampled_from([1, 5, 20, 60, 120, 200]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "model"):
            return
        circuit, model = self.circuit, self.model
        assert circuit.gate.state == model.state
        assert self.breaker.current_state == self.breaker.state.name == model.state
        if model.state == OPEN:
            assert circuit.gate.until == model.until
        if circuit.quiet:
            assert model.state == CLOSED
            assert self.breaker.fail_counter == 0
        assert len(circuit.gate.trials) <= circuit.gate.permits


Circuits.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestCircuits = Circuits.TestCase


def test_exactly_the_permits_pass_at_half_open() -> None:
    """Of fifty that ask, as many pass as there are permits, and places come back."""
    gate = Gate(3, 60)
    gate.move(OPEN, 10)
    passed = [permit for _ in range(50) if (permit := gate.admit(10))]
    assert len(passed) == 3
    gate.settle(passed[0])
    assert gate.admit(10) is not None
    assert gate.admit(10) is None


def test_a_hung_trial_makes_room_and_may_still_vote() -> None:
    """When its lease is over another trial passes; the late vote of the first one counts."""
    gate = Gate(1, 30)
    gate.move(OPEN, 0)
    hung = gate.admit(0)
    assert gate.admit(29) is None
    assert gate.admit(30) is not None
    assert gate.settle(hung) is True


def test_a_permit_of_an_earlier_epoch_does_not_vote() -> None:
    """What began before a transition has no say after it."""
    gate = Gate(1, 30)
    early = gate.admit(0)
    gate.move(OPEN, 5)
    assert gate.settle(early) is False
