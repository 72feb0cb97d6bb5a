"""The simplest ledger there can be: it remembers everything and adds it up each time."""

from __future__ import annotations

from dataclasses import dataclass, field

from agentguard.stores.ledger import Reserved, Settled, Status, Window


@dataclass
class Taken:
    part: int
    amount: int
    expires: float
    lost: str
    ended: bool = False
    used: int | None = None

    def counts(self, now: float) -> int:
        if self.ended:
            return self.used or 0
        return self.amount if self.expires <= now and self.lost == "charge" else 0


@dataclass
class Reference:
    """One account. Times that it is asked for never go back."""

    since: int = -(2**53)  # near the epoch a rolling window has begun before it
    leases: dict[str, Taken] = field(default_factory=dict)
    grants: list[tuple[int, int]] = field(default_factory=list)
    told: dict[int, int] = field(default_factory=dict)

    def see(self, window: Window) -> None:
        self.since = max(self.since, window.since)

    def status(self, now: float) -> Status:
        taken = self.leases.values()
        return Status(
            sum(each.counts(now) for each in taken if each.part >= self.since),
            sum(each.amount for each in taken if not each.ended and each.expires > now),
            sum(amount for part, amount in self.grants if part >= self.since),
        )

    def reserve(
        self, window: Window, name: str, amount: int, limit: int, now: float, expires: float, lost
    ) -> Reserved:
        self.see(window)
        used, reserved, extra = self.status(now)
        if used + reserved + amount > limit + extra:
            return Reserved(False, used, reserved, limit + extra)
        part = max(window.part, self.since)
        self.leases[name] = Taken(part, amount, expires, lost)
        return Reserved(True, used, reserved + amount, limit + extra)

    def settle(
        self, window: Window, name: str, actual: int, limit: int, now: float, thresholds
    ) -> Settled:
        taken = self.leases.get(name)
        overrun, booked = 0, taken is not None and not taken.ended
        if booked:
            taken.ended, taken.used = True, actual
            overrun = max(actual - taken.amount, 0)
        used, _, extra = self.status(now)
        most, crossed = limit + extra, []
        for each in thresholds if booked else ():
            new = each not in self.told or self.told[each] < self.since
            if new and used > 0 and 100 * used >= each * most:
                self.told[each] = self.since + window.part - window.since
                crossed.append(each)
        return Settled(used, most, overrun, tuple(crossed))

    def renew(self, name: str, now: float, expires: float) -> bool:
        taken = self.leases.get(name)
        if taken is None or taken.ended or taken.expires <= now:
            return False
        taken.expires = expires
        return True

    def reset(self, window: Window, now: float) -> None:
        self.see(window)
        self.leases = {k: v for k, v in self.leases.items() if not v.ended and v.expires > now}
        self.grants.clear()
        self.told.clear()
