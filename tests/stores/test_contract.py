"""What every store promises. Each test runs on memory, on SQLite and on a real Redis."""

from __future__ import annotations

import math
import threading

import pytest

from agentguard.stores.ledger import MOST, Ledger, Reserved, Settled, Status, Use, Window, Wish
from agentguard.stores.windows import rolling
from tests.stores.kit import DAY, LIMIT, Handles, account, take


def test_what_is_reserved_and_used_never_exceeds_the_limit(ledger: Ledger):
    """Reservations are granted up to the limit, the last unit included, and refused beyond it."""
    alice = account()
    assert ledger.reserve(alice.lease(), 600, LIMIT, 0, 60, "charge") == Reserved(
        True, 0, 600, LIMIT
    )
    assert ledger.reserve(alice.lease(), 401, LIMIT, 0, 60, "charge") == Reserved(
        False, 0, 600, LIMIT
    )
    assert ledger.reserve(alice.lease(), 400, LIMIT, 0, 60, "charge") == Reserved(
        True, 0, 1000, LIMIT
    )
    assert take(ledger, alice, 1) is None
    assert take(ledger, alice, 0) is not None


def test_settling_books_what_was_used(ledger: Ledger):
    """What a call did not use is free again, and what it used is not."""
    alice = account()
    lease = take(ledger, alice, 600)
    assert ledger.settle(lease, 250, LIMIT, 1) == Settled(250, LIMIT, 0, ())
    assert ledger.status(alice, 1) == Status(250, 0, 0)
    assert take(ledger, alice, 751) is None
    assert take(ledger, alice, 750) is not None


def test_an_overrun_is_booked_in_full(ledger: Ledger):
    """A call that used more than it reserved is charged all of it, beyond the limit too."""
    alice = account()
    lease = take(ledger, alice, 600)
    assert ledger.settle(lease, 1500, LIMIT, 1) == Settled(1500, LIMIT, 900, ())
    assert take(ledger, alice, 0) is None


def test_settling_and_releasing_are_done_once(ledger: Ledger):
    """A second settle or release of the same lease books nothing and reports nothing."""
    alice = account()
    lease, other = take(ledger, alice, 600), take(ledger, alice, 300)
    ledger.settle(lease, 700, LIMIT, 1)
    assert ledger.settle(lease, 700, LIMIT, 1, (50,)) == Settled(700, LIMIT, 0, ())
    ledger.release(lease, 1)
    ledger.release(other, 1)
    ledger.release(other, 1)
    assert ledger.settle(other, 300, LIMIT, 1).used == 700
    assert ledger.status(alice, 1) == Status(700, 0, 0)


def test_a_repeated_reservation_reserves_once(ledger: Ledger):
    """Asking again with the same lease, after an answer that got lost, sets nothing more aside."""
    alice = account()
    lease = alice.lease()
    for _ in range(3):
        assert ledger.reserve(lease, 600, LIMIT, 0, 60, "charge").granted
    assert ledger.status(alice, 0) == Status(0, 600, 0)


def test_several_units_are_set_aside_together_or_not_at_all(ledger: Ledger):
    """One that has no room keeps the others from being taken, and the answer says which it is."""
    tokens, requests = account(), account(unit="requests")
    take(ledger, tokens, 600)
    wishes = [Wish(tokens.lease(), 500, LIMIT), Wish(requests.lease(), 1, 5)]
    assert ledger.reserve_all(wishes, 0, 60, "charge") == [
        Reserved(False, 0, 600, LIMIT),
        Reserved(True, 0, 0, 5),
    ]
    assert ledger.status(requests, 0) == Status(0, 0, 0)
    wishes[0] = wishes[0]._replace(amount=400)
    for _ in range(2):  # asking again sets nothing more aside
        assert ledger.reserve_all(wishes, 0, 60, "charge") == [
            Reserved(True, 0, 1000, LIMIT),
            Reserved(True, 0, 1, 5),
        ]


def test_several_units_are_settled_together(ledger: Ledger):
    """In their order, two leases of one account among them."""
    tokens, requests = account(), account(unit="requests")
    first, second, third = take(ledger, tokens, 300), take(ledger, tokens, 200), requests.lease()
    ledger.reserve(third, 1, 5, 0, 60, "charge")
    uses = [
        Use(first, 450, LIMIT, (30, 50)),
        Use(third, 1, 5, (20,)),
        Use(second, 100, LIMIT, (50,)),
    ]
    settled = [
        Settled(450, LIMIT, 150, (30,)),
        Settled(1, 5, 0, (20,)),
        Settled(550, LIMIT, 0, (50,)),
    ]
    assert ledger.settle_all(uses, 1) == settled
    assert [each.overrun for each in ledger.settle_all(uses, 1)] == [0, 0, 0]
    assert ledger.status(tokens, 1) == Status(550, 0, 0)


def test_accounts_are_apart(ledger: Ledger):
    """Another user, unit, window or budget has a limit of its own, however the names are cut."""
    accounts = [
        account(),
        account("bob"),
        account(unit="usd"),
        account(window=Window("day 2026-11-23", 172_800.0)),
        account()._replace(budget="sales"),
        account("a:b}{"),
        account("", unit="alicetokens"),
        account("alicetokens", unit=""),
    ]
    for each in accounts:
        assert take(ledger, each, LIMIT) is not None
    assert all(ledger.status(each, 0).reserved == LIMIT for each in accounts)


def test_the_limit_may_change_between_calls(ledger: Ledger):
    """Each reservation is judged by the limit it brings."""
    alice = account()
    assert take(ledger, alice, 800)
    assert take(ledger, alice, 100, limit=850) is None
    assert take(ledger, alice, 100, limit=500) is None
    assert take(ledger, alice, 100, limit=900)


@pytest.mark.parametrize(("lost", "used"), [("charge", 600), ("refund", 0)])
def test_the_lease_of_a_dead_holder_expires(ledger: Ledger, lost: str, used: int):
    """At its expiry a lease is charged or refunded, as was said when it was taken."""
    alice = account()
    take(ledger, alice, 600, expires=60.0, lost=lost)
    assert ledger.status(alice, 59.9) == Status(0, 600, 0)
    assert ledger.status(alice, 60.0) == Status(used, 0, 0)


def test_times_are_exact(ledger: Ledger):
    """A lease expires at its moment, and not at the next smaller one that a clock can show."""
    expires = 1_764_000_000.123_456_7
    alice = account(window=Window("day 2025-11-24", ends=1_764_028_800.0))
    take(ledger, alice, 600, now=1_764_000_000.0, expires=expires)
    assert ledger.status(alice, math.nextafter(expires, 0)).reserved == 600
    assert ledger.status(alice, expires) == Status(600, 0, 0)


def test_an_expired_lease_makes_room_in_the_reservation_that_wants_it(ledger: Ledger):
    """No operation in between is needed to sweep."""
    alice = account()
    take(ledger, alice, LIMIT, lost="refund")
    assert take(ledger, alice, LIMIT, now=59.9, expires=120) is None
    assert take(ledger, alice, LIMIT, now=60.0, expires=120) is not None


@pytest.mark.parametrize("lost", ["charge", "refund"])
@pytest.mark.parametrize("swept", [True, False])
def test_a_call_that_outlives_its_lease_is_booked_with_what_it_used(
    ledger: Ledger, lost: str, swept: bool
):
    """A late settle puts right what the expiry assumed, and does so once."""
    alice = account()
    lease = take(ledger, alice, 600, lost=lost)
    if swept:
        ledger.status(alice, 100)
    assert ledger.settle(lease, 700, LIMIT, 100) == Settled(700, LIMIT, 100, ())
    assert ledger.settle(lease, 700, LIMIT, 101).overrun == 0
    assert ledger.status(alice, 101) == Status(700, 0, 0)


@pytest.mark.parametrize("lost", ["charge", "refund"])
def test_a_late_release_refunds(ledger: Ledger, lost: str):
    """A call that turns out to have used nothing costs nothing, although its lease expired."""
    alice = account()
    lease = take(ledger, alice, 600, lost=lost)
    ledger.status(alice, 100)
    ledger.release(lease, 101)
    assert ledger.status(alice, 101) == Status(0, 0, 0)


def test_a_long_call_renews_its_lease(ledger: Ledger):
    """A renewed lease does not expire at its first time; one that has expired cannot be renewed."""
    alice = account()
    lease, dead = take(ledger, alice, 300), take(ledger, alice, 300)
    assert ledger.renew(lease, 50, 110)
    assert ledger.status(alice, 100) == Status(300, 300, 0)
    assert not ledger.renew(dead, 100, 200)
    assert ledger.renew(lease, 109, 170)
    ledger.settle(lease, 10, LIMIT, 111)
    assert not ledger.renew(lease, 112, 200)
    assert ledger.status(alice, 200) == Status(310, 0, 0)


def test_thresholds_are_reported_once_in_a_window(handles: Handles):
    """The booking that reaches a threshold reports it; no other does, through whatever handle."""
    alice, marks = account(), (50, 80, 100)
    crossed = []
    for amount in (499, 1, 200, 99, 1, 200, 300):
        ledger = handles()
        lease = take(ledger, alice, amount, limit=2000)
        crossed.append(ledger.settle(lease, amount, LIMIT, 1, marks).crossed)
    assert crossed == [(), (50,), (), (), (80,), (100,), ()]
    tomorrow = account(window=Window("day 2026-11-23", 172_800.0))
    lease = take(handles(), tomorrow, LIMIT)
    assert handles().settle(lease, LIMIT, LIMIT, 1, marks).crossed == marks


def test_a_threshold_reached_by_a_dead_holder_is_reported_by_the_next_booking(ledger: Ledger):
    """An expiry has nobody to tell, so the next one to book is told."""
    alice = account()
    take(ledger, alice, 900, expires=60.0)
    lease = take(ledger, alice, 10, now=100, expires=160)
    assert ledger.settle(lease, 0, LIMIT, 100, (50, 80, 100)).crossed == (50, 80)


def test_a_release_takes_no_report_away(ledger: Ledger):
    """Releases report nothing, and the next booking still does."""
    alice = account()
    take(ledger, alice, 900, expires=60.0)
    released, booked = (take(ledger, alice, 10, now=100, expires=160) for _ in range(2))
    ledger.release(released, 100)
    assert ledger.settle(booked, 1, LIMIT, 100, (50,)).crossed == (50,)


def test_nothing_used_reaches_no_threshold(ledger: Ledger):
    """A limit of 0 is not reached by using nothing."""
    lease = take(ledger, account(), 0, limit=0)
    assert ledger.settle(lease, 0, 0, 1, (50, 100)).crossed == ()


def test_a_grant_adds_to_the_limit_of_this_window_alone(ledger: Ledger):
    """What was granted counts for reservations and thresholds until the window ends."""
    alice = account()
    ledger.grant(alice, 500, 0)
    assert ledger.status(alice, 0) == Status(0, 0, 500)
    lease = take(ledger, alice, 1500)
    assert lease is not None
    assert take(ledger, alice, 1) is None
    assert ledger.settle(lease, 1199, LIMIT, 1, (50, 80)) == Settled(1199, 1500, 0, (50,))
    assert take(ledger, account(window=Window("day 2026-11-23", 172_800.0)), 1001) is None


def test_a_reset_begins_the_window_anew(ledger: Ledger):
    """Use, grants and reports are forgotten; calls under way keep their room and still settle."""
    alice = account()
    ledger.grant(alice, 500, 0)
    dead = take(ledger, alice, 200, expires=10.0)
    ledger.settle(take(ledger, alice, 600), 600, LIMIT, 1, (50,))
    running = take(ledger, alice, 300)
    ledger.status(alice, 20)
    ledger.reset(alice, 20)
    assert ledger.status(alice, 20) == Status(0, 300, 0)
    assert ledger.settle(dead, 0, LIMIT, 21) == Settled(0, LIMIT, 0, ())
    assert ledger.settle(running, 600, LIMIT, 21, (50,)) == Settled(600, LIMIT, 300, (50,))


def test_a_rolling_window_lets_go_part_by_part(ledger: Ledger):
    """What was used leaves the window with its part, and the oldest part counts in full."""

    def at(now: float):
        return account(window=rolling(60, now, parts=6))

    for now in (0, 15, 30):  # the parts 0, 1 and 3
        lease = take(ledger, at(now), 300, now=now, expires=now + 60)
        ledger.settle(lease, 300, LIMIT, now)
    assert ledger.status(at(60), 60).used == 900  # the part of 0 to 10 s is partly in
    assert ledger.status(at(69.9), 69.9).used == 900
    assert ledger.status(at(70), 70).used == 600
    assert ledger.status(at(80), 80).used == 300
    assert ledger.status(at(1000), 1000).used == 0


def test_grants_and_thresholds_of_a_rolling_window_leave_it_too(ledger: Ledger):
    """A grant ends with its part, and a threshold can be reported again after a whole window."""

    def at(now: float):
        return account(window=rolling(60, now, parts=6))

    def spend(now: float, amount: int):
        lease = take(ledger, at(now), amount, now=now, expires=now + 60)
        return ledger.settle(lease, amount, LIMIT, now, (50,)).crossed

    ledger.grant(at(0), 200, 0)
    assert spend(5, 700) == (50,)
    assert ledger.status(at(65), 65) == Status(700, 0, 200)
    assert ledger.status(at(75), 75) == Status(0, 0, 0)
    assert spend(76, 600) == (50,)
    assert spend(77, 100) == ()
    assert spend(100, 100) == ()
    assert spend(140, 100) == ()
    assert spend(150, 500) == (50,)


def test_a_call_that_outlives_its_rolling_window_keeps_its_room_until_it_settles(ledger: Ledger):
    """It counts as reserved while it runs, and its use in the part where it began."""

    def at(now: float):
        return account(window=rolling(60, now, parts=6))

    lease = take(ledger, at(0), 600, expires=500)
    assert ledger.status(at(200), 200) == Status(0, 600, 0)
    assert take(ledger, at(200), 401, now=200, expires=500) is None
    assert ledger.settle(lease, 600, LIMIT, 201) == Settled(0, LIMIT, 0, ())
    assert ledger.status(at(201), 201) == Status(0, 0, 0)


def test_a_clock_that_is_behind_a_whole_window_is_still_counted(ledger: Ledger):
    """A host whose clock is far behind reserves in the oldest part there is, not outside of all."""

    def at(now: float):
        return account(window=rolling(60, now, parts=6))

    assert take(ledger, at(1000), 500, now=1000, expires=2000)
    assert take(ledger, at(100), 501, now=100, expires=2000) is None
    lease = take(ledger, at(100), 500, now=100, expires=2000)
    assert ledger.settle(lease, 500, LIMIT, 101).used == 500
    assert ledger.status(at(1001), 1001) == Status(500, 500, 0)


def test_large_amounts_are_exact(ledger: Ledger):
    """Nine million dollars in nano-dollars are counted to the last one; more is refused by name."""
    alice = account()
    lease = take(ledger, alice, MOST - 1, limit=MOST)
    assert take(ledger, alice, 2, limit=MOST) is None
    assert ledger.settle(lease, MOST - 3, MOST, 1).used == MOST - 3
    assert take(ledger, alice, 4, limit=MOST) is None
    assert take(ledger, alice, 3, limit=MOST)
    for amount, limit in ((MOST + 1, MOST), (1, MOST + 1), (-1, 5), (1, -1)):
        with pytest.raises(ValueError, match=r"from 0 to 2 \*\* 53"):
            take(ledger, alice, amount, limit=limit)
    with pytest.raises(ValueError, match=r"from 0 to 2 \*\* 53"):
        ledger.settle(lease, -1, LIMIT, 1)
    with pytest.raises(ValueError, match=r"from 0 to 2 \*\* 53"):
        ledger.grant(alice, -1, 1)


def test_handles_share_one_store(handles: Handles):
    """What one handle reserved another one settles."""
    alice = account()
    lease = take(handles(), alice, 600)
    assert take(handles(), alice, 401) is None
    assert handles().settle(lease, 100, LIMIT, 1).used == 100
    assert handles().status(alice, 1) == Status(100, 0, 0)


def test_a_closed_ledger_opens_again(ledger: Ledger):
    """Closing lets go of connections, not of the ledger."""
    alice = account()
    lease = take(ledger, alice, 600)
    ledger.close()
    assert ledger.settle(lease, 600, LIMIT, 1).used == 600


def test_nothing_shows_a_key(ledger: Ledger):
    """Neither an account nor a lease tells in its repr whose it is."""
    lease = account("alice@example.com").lease()
    assert "alice" not in repr(lease) + repr(lease.account) + repr(ledger)
    assert "support tokens day 2026-11-22" in repr(lease)


def test_ids_of_leases_are_never_repeated():
    """Threads that ask at the same time get different leases."""
    alice, ids = account(window=DAY), []

    def ask():
        ids.extend([alice.lease().id for _ in range(1000)])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(ids)) == 8000
