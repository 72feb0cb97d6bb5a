"""One process of a race: threads that reserve, sometimes die, and settle.

Arguments: the store, the limit, threads, the largest amount, the seconds of a lease, a file, and what happens to a lease that expires.

Each settled amount is written to the file *before* it is settled: what the file adds up to, after
whatever deaths, is what was spent for certain.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time

from agentguard.stores.ledger import Account, StoreUnavailable, Window
from agentguard.stores.open import open_store

WINDOW = Window("race", ends=4e9)


def main(
    store: str, limit: int, threads: int, most: int, lasts: float, journal: str, lost: str
) -> None:
    """Race until the account refuses again and again."""
    ledger = open_store(store)
    account = Account("race", "all", "usd", WINDOW)
    log = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def run() -> None:
        chance, refused = random.Random(), 0
        while refused < 20:
            lease, amount = account.lease(), chance.randint(1, most)
            now = time.time()
            try:
                granted = ledger.reserve(lease, amount, limit, now, now + lasts, lost).granted
            except StoreUnavailable:
                os.write(log, b"0 unavailable\n")
                continue
            if not granted:
                refused += 1
                time.sleep(0.002)
                continue
            refused = 0
            time.sleep(chance.random() * 0.002)
            actual = chance.choice([0, amount // 2, amount])
            os.write(log, f"{actual} spent\n".encode())
            while True:
                try:
                    ledger.settle(lease, actual, limit, time.time())
                except StoreUnavailable:
                    os.write(log, b"0 unavailable\n")
                else:
                    break

    running = [threading.Thread(target=run) for _ in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join()


if __name__ == "__main__":
    store, limit, threads, most, lasts, journal, lost = sys.argv[1:]
    main(store, int(limit), int(threads), int(most), float(lasts), journal, lost)
