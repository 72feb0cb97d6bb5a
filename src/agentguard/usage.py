"""`usage`: what the calls inside a block used and cost, in total and by model, user or any tag."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from agentguard import events
from agentguard.engine import workers
from agentguard.engine.bill import Figures
from agentguard.engine.lost import settle_lost
from agentguard.engine.scope import Block

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from agentguard.engine.bill import Bill
    from agentguard.engine.records import CallRecord
    from agentguard.engine.scope import Scope

    _Row = tuple[str | None, tuple[tuple[str, Hashable], ...]]  # the model, and the tags

__all__ = ["usage"]

_MOST: Final = 1000
"""What is put aside at most before it is added up, though nobody has asked."""

_COLUMNS: Final = {
    "requests": "requests",
    "attempts": "attempts",
    "input_tokens": "input",
    "cached_tokens": "cached",
    "cache_write_tokens": "written",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
}


class usage(Figures, Block):  # noqa: N801  a block reads like a verb, as contextlib.suppress does
    """Add up what the guarded calls inside use and cost.

    Each attempt counts once, where the model was asked, however many guarded functions surround it:
    retries, fallbacks, failures that told their tokens, answers that came too late. A stream that
    was cut or left is estimated. Streams that end after the block was left are added when they do.

    Attributes:
        input_tokens: cached ones included, whatever the provider calls input.
        output_tokens: reasoning included.
        cached_tokens: the part of the input that was read from the provider's cache.
        cache_write_tokens: the part of the input that was written to it.
        reasoning_tokens: the part of the output that was reasoning.
        total_tokens: input and output.
        requests: guarded calls that asked a model and have ended.
        attempts: how often a model was asked.
        estimated: how many attempts' figures are estimates.
        cost: US dollars, a `Decimal`, for everything that has a price; None where nothing has.
        unpriced: how many attempts' cost is not known, and is missing in `cost`.
        hits: how often `cache` answered, so that no model was asked.
        saved: US dollars that caches have saved. Of `cache`: what its answers would have cost; of the
            provider's: what the tokens read from it would have cost as plain input, less what they
            did, less what writes cost on top.

    Examples:
        >>> from agentguard import context, retry, usage
        >>> @retry
        ... def ask(question: str) -> dict:
        ...     return {
        ...         "model": "gpt-4o-mini",
        ...         "choices": [{"message": {"content": "42"}, "finish_reason": "stop"}],
        ...         "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
        ...     }
        >>> with usage() as u, context(user="ann"):
        ...     _ = ask("?")
        >>> u.total_tokens, u.cost
        (1100, Decimal('0.00021'))
        >>> u.by("user")["ann"].cost
        Decimal('0.00021')
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()  # a listener that hears of a missing price may ask for sums
        self._heard: deque[tuple[CallRecord, Bill | events.CacheHit | None]] = deque()
        self._rows: dict[_Row, Figures] = {}

    def surround(self, outer: Scope) -> Scope:
        """Listen to the calls inside, once, however often it is entered."""
        if self._hear in outer.listeners:
            return outer.within()
        return outer.within(listeners=(*outer.listeners, self._hear))

    def by(self, key: str) -> Mapping[Any, Figures]:
        """The figures for each value of `key`.

        Args:
            key: "model", or the name of a tag of `context(...)`: "user", "tenant" and any other.

        Returns:
            Figures by value, in the order they came; under None what has no such value.
        """
        settle_lost()
        with self._lock:
            self._settle()
            found: dict[Any, Figures] = {}
            for (model, tags), figures in self._rows.items():
                value: Any = model if key == "model" else dict(tags).get(key)
                found.setdefault(value, Figures())._merge(figures)  # noqa: SLF001  a base's own
            return found

    def _hear(self, event: events.Event) -> None:
        if isinstance(event, events.AttemptEnded):
            bill: Bill | events.CacheHit | None = event.attempt.bill
        elif isinstance(event, events.LateResult):
            bill = event.attempt.bill
            if bill is None or bill.replaces is None:
                return  # its end is still to come, and tells of it
        elif isinstance(event, events.CallEnded):
            bill = None
        elif isinstance(event, events.CacheHit):
            bill = event
        else:
            return
        self._heard.append((event.call, bill))
        if len(self._heard) % _MOST == 0:
            workers.start(self._settle)

    def _sum(self) -> Figures:
        settle_lost()  # a stream that was let go of has ended, though nobody has told it
        with self._lock:
            self._settle()
            total = Figures()
            total._merge(self)  # noqa: SLF001  a base's own
            return total

    def _settle(self) -> None:
        """Add up what was put aside. Prices are looked up here, not where calls end."""
        with self._lock:
            while self._heard:
                call, bill = self._heard[0]
                if bill is None:
                    self._request(call)
                elif isinstance(bill, events.CacheHit):
                    for figures in (self, self._row(call, bill.model)):
                        figures._hit(bill)  # noqa: SLF001  a base's own
                else:
                    self._bill(call, bill)
                self._heard.popleft()

    def _bill(self, call: CallRecord, bill: Bill) -> None:
        for each, times in ((bill, 1), (bill.replaces, -1)):
            if each is not None and each.counted:
                _ = each.cost  # a warning that is made an error comes out of here, and once
                for figures in (self, self._row(call, each.model)):
                    figures._add(each, times)  # noqa: SLF001  a base's own

    def _request(self, call: CallRecord) -> None:
        bills = [a.bill for a in call.attempts if a.bill is not None and a.bill.counted]
        if bills:
            for figures in (self, self._row(call, bills[-1].model)):
                figures._requests += 1  # noqa: SLF001  a base's own

    def _row(self, call: CallRecord, model: str | None) -> Figures:
        tags = tuple((key, _label(value)) for key, value in sorted(call.tags.items()))
        return self._rows.setdefault((model, tags), Figures())

    def __repr__(self) -> str:
        return f"<usage: {self._sum()!r}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001  IPython's protocol
        printer.text(str(self))

    def __str__(self) -> str:
        total = self._sum()
        if not total.attempts and not total.hits:
            return "no model was asked"
        rows = [["", *_COLUMNS.values(), "cost"]]
        rows += [_cells(str(model), figures) for model, figures in self.by("model").items()]
        rows += [_cells("all", total)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in rows
        ]
        if total.hits:
            answers = "answer" if total.hits == 1 else "answers"
            lines.append(f"{total.hits} {answers} came from a cache")
        if total.saved:
            sign = "-" if total.saved < 0 else ""
            lines.append(f"saved by caches: {sign}${abs(total.saved):f}")
        if total.estimated:
            lines.append(f"{total.estimated} of {total.attempts} attempts are estimates")
        if total.unpriced:
            lines.append(f"{total.unpriced} of {total.attempts} attempts have no known cost")
        return "\n".join(lines)


def _label(value: object) -> Hashable:
    try:
        hash(value)
    except TypeError:
        return str(value)
    return value


def _cells(name: str, figures: Figures) -> list[str]:
    cost = "unknown" if figures.cost is None else f"${figures.cost:f}"
    return [name, *(f"{getattr(figures, column):,}" for column in _COLUMNS), cost]
