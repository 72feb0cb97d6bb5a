"""`report`: what happened inside a block, call by call and attempt by attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard import events
from agentguard.engine import clock
from agentguard.engine.arrivals import note_arrivals
from agentguard.engine.scope import Block

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from agentguard.engine.records import CallRecord
    from agentguard.engine.scope import Scope

__all__ = ["report"]


class report(Block):  # noqa: N801  a block reads like a verb, as contextlib.suppress does
    """See what happened in the guarded calls inside, without changing what they return.

    Streams that are read after the block was left still complete their entry.

    Attributes:
        calls: one entry for each guarded call that began inside, in order; guarded calls made
            within others are in their `children`. Each has `name`, `outcome` ("completed",
            "failed", "abandoned"), `kind`, `served_by`, `model`, `duration`, `first_token` (in
            seconds), `usage` and `cost` (those of its children included), `events` and `attempts`,
            each with `target`, `kind`, `wait`, `duration`, `usage`, `cost` and, of a stream,
            `arrivals`: the times at which its items came.
        began: when the first of them did, in seconds since the epoch; None before.

    `print(r)` draws it in a terminal, `r.to_html()` as a page; a notebook shows it by itself. No
    prompt and no answer is in it.

    Examples:
        >>> from agentguard import report, retry
        >>> @retry
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> with report() as r:
        ...     ask("?")
        '42'
        >>> r.calls[0].outcome, len(r.calls[0].attempts)
        ('completed', 1)
    """

    def __init__(self) -> None:
        self.calls: list[CallRecord] = []
        self._outermost: set[CallRecord] = set()  # the same, to be found at once
        self.began: float | None = None

    def surround(self, outer: Scope) -> Scope:
        """Listen to the calls inside, once, however often it is entered."""
        if self._hear in outer.listeners:
            return outer.within()
        hooks = outer.hooks if note_arrivals in outer.hooks else (*outer.hooks, note_arrivals)
        return outer.within(listeners=(*outer.listeners, self._hear), hooks=hooks)

    def _hear(self, event: events.Event) -> None:
        if not isinstance(event, events.CallStarted):
            return
        above = event.call.parent
        while above is not None and above not in self._outermost:
            above = above.parent
        if above is None:  # else it is somewhere among the children of one of ours
            if self.began is None:
                self.began = clock.now().time()
            self.calls.append(event.call)
            self._outermost.add(event.call)

    def __repr__(self) -> str:
        return f"<report of {len(self.calls)} calls>"

    def __str__(self) -> str:
        from agentguard.reporting.text import as_text

        return as_text(list(self.calls))

    def to_html(
        self, path: str | os.PathLike[str] | None = None, *, tags: Sequence[str] = ()
    ) -> str:
        """Draw what happened as one page: nothing in it comes from elsewhere, and no script.

        Args:
            path: of a file to write the page to, too.
            tags: names of the tags of `context(...)` to show, such as "feature". None are shown
                unless named here: users and tenants are among them, and a page is passed on.

        Returns:
            The page.

        Examples:
            >>> from agentguard import report, retry
            >>> ask = retry(lambda question: "42")
            >>> with report() as r:
            ...     _ = ask("?")
            >>> r.to_html().startswith("<!doctype html>")
            True
        """
        from agentguard.reporting.html import as_page

        page = as_page(list(self.calls), self.began, tags)
        if path is not None:
            with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123  pathlib is slow to load
                file.write(page)
        return page

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001  IPython's protocol
        printer.text(str(self))

    def _repr_html_(self) -> str:
        from agentguard.reporting.html import as_fragment

        return as_fragment(list(self.calls), self.began)
