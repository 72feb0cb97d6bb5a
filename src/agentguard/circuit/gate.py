"""Who passes a circuit: its state, the permits of its trial calls, and the epoch of its votes.

The gate has neither clock nor lock. Its caller brings the time and keeps other threads out.
"""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["CLOSED", "HALF_OPEN", "OPEN", "Gate", "Permit", "State"]

State = Literal["closed", "open", "half-open"]  # pybreaker's words

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half-open"

TRIAL_POLL: Final = 1.0
"""Seconds told to those refused while a trial runs: its verdict may come at any moment."""


class Permit:
    """The right to pass once at half-open, or any number of times while closed.

    Attributes:
        epoch: the state of affairs it was given in. Its vote counts only while that lasts.
        trial: whether it was given at half-open.
        holder: the guarded call that has it, for a trial; calls made inside pass with it.
        lease: where the permission of other processes is kept, see `books.Redis`.
        dropped: its caller went away before it had the lease.
    """

    __slots__ = ("dropped", "epoch", "holder", "lease", "trial")

    def __init__(self, epoch: int, *, trial: bool) -> None:
        self.epoch = epoch
        self.trial = trial
        self.holder: object = None
        self.lease: tuple[str, str] | None = None
        self.dropped = False


class Gate:
    """Decides who passes.

    Attributes:
        state: closed, open or half-open.
        epoch: grows with every transition.
        free: the permit that all calls share while closed, else None.
        until: when an open gate lets trials through.
        openings: how often in a row it opened without closing between.
        permits: trials at once.
        lease: seconds after which a trial that has not come back gives its place to another.
        trials: the permits of trials under way, with the end of their leases.
    """

    __slots__ = ("epoch", "free", "lease", "openings", "permits", "state", "trials", "until")

    def __init__(self, permits: int, lease: float) -> None:
        self.permits = permits
        self.lease = lease
        self.state: State = CLOSED
        self.epoch = 0
        self.until = 0.0
        self.openings = 0
        self.trials: dict[Permit, float] = {}
        self.free: Permit | None = Permit(0, trial=False)

    def admit(self, now: float) -> Permit | None:
        """A permit, or None for a refusal. An open gate whose time is over turns half-open."""
        if self.free is not None:
            return self.free
        if self.state == OPEN:
            if now < self.until:
                return None
            self.move(HALF_OPEN)
        for permit in [each for each, end in self.trials.items() if end <= now]:
            del self.trials[permit]
        if len(self.trials) >= self.permits:
            return None
        permit = Permit(self.epoch, trial=True)
        self.trials[permit] = now + self.lease
        return permit

    def settle(self, permit: Permit) -> bool:
        """Take a permit back; True while its vote still counts.

        A trial whose lease is over may still vote: it only had to make room for another.
        """
        self.trials.pop(permit, None)
        return permit.epoch == self.epoch

    def move(self, state: State, until: float = 0.0) -> None:
        """Go over to `state`: a new epoch, in which no earlier permit votes."""
        self.state = state
        self.epoch += 1
        self.until = until
        self.trials.clear()
        self.free = Permit(self.epoch, trial=False) if state == CLOSED else None
        if state == OPEN:
            self.openings += 1
        elif state == CLOSED:
            self.openings = 0

    def retry_after(self, now: float) -> float:
        """Seconds until a refused caller should try again."""
        if self.state == OPEN:
            return max(self.until - now, 0.0)
        ends = [end - now for end in self.trials.values()]
        return max(min([TRIAL_POLL, *ends]), 0.0)
