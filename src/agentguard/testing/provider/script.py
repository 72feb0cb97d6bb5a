"""What comes next: an outage, a script, a schedule, or the default answer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from agentguard.testing.provider import fault as faults
from agentguard.testing.provider.fault import Fault
from agentguard.testing.provider.journal import Received

On = str | Callable[[Received], bool] | None
Schedule = Callable[[int, Received], Fault | str | None]


class Script:
    """Scripted reactions, taken by many connections at once; each scripted one is played once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outages: list[tuple[On, Fault]] = []
        self._queues: list[tuple[On, deque[Fault]]] = []
        self._schedule: Schedule | None = None
        self._scheduled = 0

    def add(self, steps: tuple[Fault | str, ...], on: On) -> None:
        """Append steps for the requests that `on` selects."""
        queue = deque(as_fault(step) for step in steps)
        _check_on(on)
        with self._lock:
            for known, waiting in self._queues:
                if known == on:
                    waiting.extend(queue)
                    return
            self._queues.append((on, queue))

    def outage(self, fault: Fault | str, on: On) -> None:
        """Answer every request that `on` selects with this, until `recover`."""
        _check_on(on)
        with self._lock:
            self._outages.insert(0, (on, as_fault(fault)))

    def recover(self) -> None:
        """End every outage."""
        with self._lock:
            self._outages.clear()

    def schedule(self, choose: Schedule | None) -> None:
        """Let a function choose, by the number of the request since now, starting at 1."""
        with self._lock:
            self._schedule = choose
            self._scheduled = 0

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._outages.clear()
            self._queues.clear()
            self._schedule = None

    def pending(self) -> int:
        """Return how many scripted steps are still to be played."""
        with self._lock:
            return sum(len(queue) for _, queue in self._queues)

    def next(self, received: Received) -> Fault | None:
        """Return what to play for this request, None for the default answer."""
        with self._lock:
            outages, queues = list(self._outages), list(self._queues)
            choose, self._scheduled = self._schedule, self._scheduled + 1
            number = self._scheduled
        # Predicates and the schedule are the user's: they run outside the lock.
        for on, fault in outages:
            if selects(on, received):
                return fault
        for on, queue in queues:
            if selects(on, received):
                try:
                    return queue.popleft()
                except IndexError:
                    continue  # this script is over, or another request took its last step
        chosen = choose(number, received) if choose else None
        return None if chosen is None else as_fault(chosen)


def as_fault(step: object) -> Fault:
    """Return the step itself, or the good answer that a plain string stands for."""
    if isinstance(step, Fault):
        return step
    if isinstance(step, str):
        return faults.ok(step)
    raise TypeError(f"a step is made by fault.*(), or is the text of an answer, not {step!r}")


def selects(on: On, received: Received) -> bool:
    """Tell whether `on` means this request; "openai" means each of OpenAI's protocols."""
    if on is None:
        return True
    if isinstance(on, str):
        return received.protocol == on or received.protocol.startswith(f"{on}.")
    return on(received)


def _check_on(on: On) -> None:
    if isinstance(on, str):
        roots = {name.partition(".")[0] for name in PROTOCOLS}
        if on not in PROTOCOLS and on not in roots:
            raise ValueError(f"on={on!r} is no protocol; there are {', '.join(sorted(PROTOCOLS))}")
    elif on is not None and not callable(on):
        raise TypeError("on= is the name of a protocol or a predicate on the received request")


PROTOCOLS = frozenset(
    {
        "anthropic",
        "anthropic.count_tokens",
        "google",
        "google.embeddings",
        "openai.chat",
        "openai.embeddings",
        "openai.responses",
    }
)
