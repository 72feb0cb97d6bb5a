"""cache() against a simple model of it: any history of calls, time, failures and clearings."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from agentguard import cache, cache_bypass, cache_refresh, context
from agentguard.testing import FakeRuntime
from tests.policies.test_cache import answer, chunks
from tests.shapes import Harness

TTL, SPARE = 60, 30
QUESTIONS = st.sampled_from(["a", "b"])
USERS = st.sampled_from([None, "ann", "bob"])
MODELS = st.sampled_from(["m-1", "m-2"])
ENDS = st.sampled_from(["whole", "whole", "whole", "cut", "down"])
numbers = itertools.count()


class Histories(RuleBasedStateMachine):
    """The reference knows, for each request, the text that is kept and since when."""

    harness: Harness
    folder: Path | None

    def __init__(self) -> None:
        super().__init__()
        self.time = FakeRuntime()
        self.time.__enter__()
        store: dict[str, Any] = {}
        if self.folder is not None:
            store = {"store": f"sqlite:///{self.folder}/answers.db", "name": f"n{next(numbers)}"}
        self.policy = cache(
            ttl=TTL,
            stale_if_error=SPARE,
            early=0,
            tags=lambda call: (f"about {call.args[0]}",),
            **store,
        )
        self.script: list[Any] = []
        self.subject = self.harness.guard(
            self.policy, lambda *_, **__: self.script.pop(), repeat_last=True
        )
        self.kept: dict[tuple[str, str, str | None], tuple[str, float]] = {}
        self.asked = 0

    def teardown(self) -> None:
        self.time.__exit__(None, None, None)
        self.policy.entries.close()

    def next_answer(self, end: str) -> str:
        """What the model will say next."""
        self.asked += 1
        text = f"answer {self.asked}"
        if end == "down":
            self.script.append(ConnectionError("down"))
            return ""
        make = chunks if self.harness.streams else answer
        self.script.append(make(text, "length" if end == "cut" else "stop"))
        return text

    def text(self, run: Any) -> str:
        """The text of an answer in either shape."""
        parts = []
        for item in run.items:
            for choice in item["choices"]:
                part = choice.get("delta") or choice.get("message") or {}
                parts.append(part.get("content") or "")
        return "".join(parts)

    @rule(question=QUESTIONS, model=MODELS, user=USERS, end=ENDS, how=st.sampled_from("-----rb"))
    def ask(self, question: str, model: str, user: str | None, end: str, how: str) -> None:
        """One call, read to its end: in the ordinary way, or in a refresh or bypass block."""
        key, now = (question, model, user), self.time.now
        kept, since = self.kept.get(key, ("", float("-inf")))
        fresh = now < since + TTL and how == "-"
        new = "" if fresh else self.next_answer(end)
        block = {"r": cache_refresh, "b": cache_bypass}.get(how, context)()
        with block, context(user=user):
            run = self.subject.call(question, model=model)
        if fresh:
            assert (self.text(run), run.calls) == (kept, [])
            return
        assert len(run.calls) == 1
        if end == "down":
            if how == "-" and now < since + TTL + SPARE:
                assert self.text(run) == kept
            else:
                assert isinstance(run.error, ConnectionError)
            return
        assert (run.error, self.text(run)) == (None, new)
        if end == "whole" and how != "b":
            self.kept[key] = new, self.time.now

    @rule(question=QUESTIONS, model=MODELS, drop=st.booleans())
    def leave(self, question: str, model: str, drop: bool) -> None:
        """A stream that is left after its first item, closed or let go of, is not kept."""
        if not self.harness.streams:
            return
        _, since = self.kept.get((question, model, None), ("", float("-inf")))
        fresh = self.time.now < since + TTL
        if not fresh:
            self.next_answer("whole")
        run = self.subject.call(question, model=model, read=1, drop=drop)
        assert len(run.calls) == (0 if fresh else 1)

    @rule(seconds=st.sampled_from([1, 20, 59, 61, 95]))
    def later(self, seconds: int) -> None:
        """Time passes."""
        self.time.advance(seconds)

    @rule(question=QUESTIONS)
    def let_go_of_a_question(self, question: str) -> None:
        """By its tag."""
        self.policy.invalidate(tag=f"about {question}")
        self.kept = {key: each for key, each in self.kept.items() if key[0] != question}

    @rule(model=MODELS)
    def let_go_of_a_model(self, model: str) -> None:
        """By the model that was asked for."""
        self.policy.invalidate(model=model)
        self.kept = {key: each for key, each in self.kept.items() if key[1] != model}

    @rule()
    def clear(self) -> None:
        """All of it."""
        self.policy.cache_clear()
        self.kept.clear()

    @invariant()
    def nothing_is_under_way(self) -> None:
        """And the store holds what the reference does."""
        assert self.policy.flights._under_way == {}
        assert self.subject.model.opened == self.subject.model.ended + self.subject.model.closed
        now = self.time.now
        known = sum(now < since + TTL + SPARE for _, since in self.kept.values())
        assert self.policy.cache_info().entries == known


def run(shape: str, folder: Path | None, examples: int) -> None:
    """Run so many histories in one shape on one store."""
    kind = type("Subject", (Histories,), {"harness": Harness(shape), "folder": folder})
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("shape", ["sync", "coroutine", "generator", "asyncgen"])
def test_histories(shape: str, store: str, tmp_path: Path) -> None:
    """Whatever happens, each caller gets what the reference says, and nobody else's answer."""
    run(shape, tmp_path if store == "sqlite" else None, 6)


@pytest.mark.long
@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("shape", ["sync", "coroutine", "generator", "asyncgen"])
def test_many_histories(shape: str, store: str, tmp_path: Path) -> None:
    """The same, longer."""
    run(shape, tmp_path if store == "sqlite" else None, 150)
