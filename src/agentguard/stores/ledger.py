"""What every store of budgets promises: reserve before the call, settle after it.

    used + reserved + amount <= limit        or the reservation is refused

That is decided and written in one step, whatever the number of threads, processes and hosts. So
what is granted never exceeds the limit, and what is settled exceeds it only where a call used more
than was reserved for it.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, runtime_checkable

from agentguard.stores.packed import digest
from agentguard.stores.unavailable import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    OnExpiry = Literal["charge", "refund"]

__all__ = [
    "GRACE",
    "MOST",
    "Account",
    "Lease",
    "Ledger",
    "Reserved",
    "Settled",
    "Status",
    "StoreUnavailable",
    "Use",
    "Window",
    "Wish",
    "check",
]

MOST: Final = 2**53
"""The largest amount: Redis computes in doubles, which are exact up to here (9 million dollars)."""
GRACE: Final = 60.0
"""Seconds for which an ended window is kept: the clocks of two hosts may differ that much."""


class Window(NamedTuple):
    """The time in which a limit holds.

    A calendar window is its id and its end. A rolling one has parts, which leave it one by one;
    `agentguard.stores.windows.rolling` makes it.

    Attributes:
        id: its name, which says its length too: "day 2026-11-22".
        ends: wall-clock seconds after which nothing asks for it any more.
        part: what is reserved now counts in this part.
        since: the oldest part that counts, in full.
    """

    id: str
    ends: float
    part: int = 0
    since: int = 0


class Account(NamedTuple):
    """What is counted together.

    Attributes:
        budget: the name of the budget.
        key: whose share of it: a user, a tenant. Never written anywhere as it is.
        unit: what is counted: "usd" (in nano-dollars), "tokens", "requests".
        window: when.
    """

    budget: str
    key: str
    unit: str
    window: Window

    def __repr__(self) -> str:
        """Without the key, which may be personal data."""
        return f"<account {self.title!r}>"

    @property
    def title(self) -> str:
        """What an operator may read."""
        return f"{self.budget} {self.unit} {self.window.id}"

    @property
    def digest(self) -> str:
        """The name under which stores keep it: tells no key, and has no sign with a meaning."""
        return digest(self.budget, self.key, self.unit, self.window.id)

    @property
    def owner(self) -> str:
        """A name for all accounts of this budget and key."""
        return digest(self.budget, self.key)

    def lease(self) -> Lease:
        """A new lease: the same id never comes twice, in any process."""
        return Lease(self, f"{_origin}{next(_numbers):x}")


class Lease(NamedTuple):
    """The name of one reservation, given by who asks, so that asking twice reserves once."""

    account: Account
    id: str


class Wish(NamedTuple):
    """What is to be set aside.

    Attributes:
        lease: made by `account.lease()`.
        amount: of the account's unit, from 0 to 2 ** 53.
        limit: as it is now; it may change between calls.
    """

    lease: Lease
    amount: int
    limit: int


class Use(NamedTuple):
    """What is to be booked.

    Attributes:
        lease: of the reservation.
        actual: what was used.
        limit: as it is now, for the thresholds.
        thresholds: percents of the limit. Each is reported once in a window, by whichever process
            books what reaches it.
    """

    lease: Lease
    actual: int
    limit: int
    thresholds: Sequence[int] = ()


class Reserved(NamedTuple):
    """Whether an account has room for what was asked, and how it stands afterwards."""

    granted: bool
    used: int
    reserved: int
    limit: int


class Settled(NamedTuple):
    """What `settle` booked.

    Attributes:
        used: of the account, after it.
        limit: with what was granted on top.
        overrun: how much more was used than reserved.
        crossed: the thresholds that were reached and that nobody has been told of in this window.
    """

    used: int
    limit: int
    overrun: int
    crossed: tuple[int, ...]


class Status(NamedTuple):
    """How an account stands; `extra` was granted on top of its limit."""

    used: int
    reserved: int
    extra: int


@runtime_checkable
class Ledger(Protocol):
    """A store of budgets.

    Its methods block, at most 0.2 s where the store is `remote`, and raise `StoreUnavailable` then.
    All times are wall-clock seconds. A lease that is neither settled nor renewed expires: its
    holder died. What happens then was said when it was reserved, and is done by the next operation
    on the account.

    Attributes:
        remote: whether its methods may block, so that an event loop must not call them.
        place: where it is, for `explain`; never with a password.
    """

    remote: bool
    place: str

    def reserve_all(
        self, wishes: Sequence[Wish], now: float, expires: float, lost: OnExpiry
    ) -> list[Reserved]:
        """Set every amount aside, or none: if each limit, and what was granted on top, allows it.

        A lease that is held already has room, and nothing is set aside again. What a call needs
        beyond its reservation takes a lease of its own.

        Args:
            wishes: for different accounts of one budget and one key.
            now: the time.
            expires: when the leases do.
            lost: what happens to the amounts then: "charge" counts them as used, "refund" does not.

        Returns:
            For each wish whether there is room. Something was set aside only if there is for all.
        """
        ...

    def settle_all(self, uses: Sequence[Use], now: float) -> list[Settled]:
        """Book what was used, in full, where the call began, and end the leases.

        Also after a lease expired, for as long as the window lasts; a second time it does nothing.

        Args:
            uses: of one budget and one key, in the order in which they are booked.
            now: the time.
        """
        ...

    def reserve(
        self, lease: Lease, amount: int, limit: int, now: float, expires: float, lost: OnExpiry
    ) -> Reserved:
        """`reserve_all` for one."""
        return self.reserve_all((Wish(lease, amount, limit),), now, expires, lost)[0]

    def settle(
        self, lease: Lease, actual: int, limit: int, now: float, thresholds: Sequence[int] = ()
    ) -> Settled:
        """`settle_all` for one."""
        return self.settle_all((Use(lease, actual, limit, thresholds),), now)[0]

    def release(self, lease: Lease, now: float) -> None:
        """End the lease: nothing was used."""
        self.settle(lease, 0, MOST, now)

    def renew(self, lease: Lease, now: float, expires: float) -> bool:
        """Let the lease expire later; False when it has expired or ended."""
        ...

    def status(self, account: Account, now: float) -> Status:
        """How the account stands."""
        ...

    def reset(self, account: Account, now: float) -> None:
        """Begin the window anew: nothing used, granted or reported. Calls under way still settle."""
        ...

    def grant(self, account: Account, amount: int, now: float) -> None:
        """Add to the limit of this window."""
        ...

    def close(self) -> None:
        """Let go of connections; the next operation opens them again."""


def check(amount: int, limit: int = 0) -> None:
    """Refuse amounts that no store can add up."""
    if not (0 <= amount <= MOST and 0 <= limit <= MOST):
        raise ValueError("amounts and limits are whole numbers from 0 to 2 ** 53")


def _renew_origin() -> None:
    global _origin  # noqa: PLW0603  a forked child must not give out its parent's ids
    _origin = f"{os.urandom(8).hex()}-"


_origin = ""
_numbers: Final = itertools.count(1)
_renew_origin()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_origin)
