"""What a chain of policies does, written as plainly as possible: one call at a time, no shapes.

Nothing of agentguard is imported here: this is the yardstick, not the thing measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

TRANSIENT = {"rate_limited", "overloaded", "server", "timeout", "connection", "truncated"}
COUNTED = TRANSIENT | {"quota_exhausted", "unknown"}
CURED = COUNTED | {"circuit_open"}

Entry = tuple[int, str]
"""Seconds that an attempt takes, and "ok" or the kind of its failure."""


class Failed(Exception):
    """A call failed as `kind`."""

    def __init__(self, kind: str, retry_after: float | None = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.retry_after = retry_after
        self.given_up = False


class Endpoint:
    """A target with a script that begins again at its end."""

    def __init__(self, name: str, script: Sequence[Entry]) -> None:
        self.name = name
        self.script = script
        self.calls = 0


class World:
    """The clock, and the primary target."""

    def __init__(self, primary: Endpoint) -> None:
        self.now = 0.0
        self.primary = primary

    def late(self, deadline: float | None) -> bool:
        """Whether nothing may begin any more."""
        return deadline is not None and deadline <= self.now

    def attempt(self, target: Endpoint, deadline: float | None) -> str:
        """Invoke a target: its name, or how it failed."""
        if self.late(deadline):
            raise Failed("timeout")
        took, what = target.script[target.calls % len(target.script)]
        target.calls += 1
        if deadline is not None and self.now + took > deadline:
            self.now = deadline
            raise Failed("timeout")
        self.now += took
        if what != "ok":
            raise Failed(what)
        return target.name


Inner = Callable[[World, float | None], str]


class Retry:
    """Again, while it makes sense."""

    def __init__(self, attempts: int, wait: int) -> None:
        self.attempts = attempts
        self.wait = wait
        self.backed = False  # whether a fallback stands further out

    def call(self, world: World, deadline: float | None, inner: Inner) -> str:
        tries = 0
        while True:
            try:
                return inner(world, deadline)
            except Failed as failed:
                tries += 1
                wait = self.pause(failed, deadline)
                fits = wait is not None and (deadline is None or world.now + wait < deadline)
                if wait is not None and fits and tries < self.attempts:
                    world.now += wait
                    continue
                if failed.kind in TRANSIENT or tries > 1:
                    failed.given_up = True
                raise

    def pause(self, failed: Failed, deadline: float | None) -> float | None:
        if failed.given_up:
            return None
        if failed.kind == "circuit_open":
            return None if deadline is None or self.backed else failed.retry_after
        return self.wait if failed.kind in TRANSIENT else None


class Fallback:
    """Another target."""

    def __init__(self, target: Endpoint) -> None:
        self.target = target

    def call(self, world: World, deadline: float | None, inner: Inner) -> str:
        try:
            return inner(world, deadline)
        except Failed as failed:
            if failed.kind not in CURED or world.late(deadline):
                raise
            try:
                return world.attempt(self.target, deadline)
            except Failed:
                raise failed from None


class Breaker:
    """Not now."""

    def __init__(self, fail_max: int, reset: int) -> None:
        self.fail_max = fail_max
        self.reset = reset
        self.failures = 0
        self.open_until: float | None = None
        self.trial = False

    def call(self, world: World, deadline: float | None, inner: Inner) -> str:
        if world.late(deadline):
            return inner(world, deadline)
        if self.open_until is not None:
            if world.now < self.open_until:
                raise Failed("circuit_open", self.open_until - world.now)
            self.open_until, self.trial = None, True
        trial = self.trial
        try:
            answer = inner(world, deadline)
        except Failed as failed:
            if failed.kind in COUNTED:
                self.failures += 1
                if trial or self.failures >= self.fail_max:
                    self.open_until, self.trial = world.now + self.reset, False
            raise
        self.failures, self.trial = 0, False
        return answer


class Timeout:
    """Not longer."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def call(self, world: World, deadline: float | None, inner: Inner) -> str:
        mine = world.now + self.seconds
        return inner(world, mine if deadline is None else min(mine, deadline))


Policy = Retry | Fallback | Breaker | Timeout


def run(chain: Sequence[Policy], world: World) -> str:
    """One call through the chain, outermost first: who served, or the kind of the failure."""

    def link(position: int) -> Inner:
        if position == len(chain):
            return lambda world, deadline: world.attempt(world.primary, deadline)
        inner, policy = link(position + 1), chain[position]
        if isinstance(policy, Retry):
            policy.backed = any(isinstance(outer, Fallback) for outer in chain[:position])
        return lambda world, deadline: policy.call(world, deadline, inner)

    try:
        return link(0)(world, None)
    except Failed as failed:
        return failed.kind
