"""A report as HTML: one page, or a piece of one for a notebook, with nothing from elsewhere.

There is no script and no style attribute in it, so it may be shown under the strictest content
security policy, and the page carries one: only its own style sheet, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agentguard import events
from agentguard.engine.bill import Figures
from agentguard.reporting.style import LEGEND, PATTERNS, STYLE, SYMBOLS
from agentguard.reporting.timeline import lines, printable, span
from agentguard.reporting.track import Axis
from agentguard.reporting.words import served, spent, spent_once, took
from agentguard.telling import dollars, in_words, lasted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentguard.engine.records import AttemptRecord, CallRecord
    from agentguard.reporting.timeline import Line

__all__ = ["as_fragment", "as_page"]

_PAGE: Final = 2_000
_FRAGMENT: Final = 100
"""Calls that are drawn; the totals are those of all."""

_LINES: Final = 500
"""Lines that are drawn of one call and the calls inside it."""

_UNFOLDED: Final = 5
_DEEPEST: Final = 6


def as_page(calls: Sequence[CallRecord], began: float | None, tags: Sequence[str] = ()) -> str:
    """One file: what happened in these calls."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>agentguard report: {_calls(len(calls))}</title>\n<style>{STYLE}</style>\n</head>\n"
        f'<body class="agentguard-page">\n<main class="agentguard-report">\n'
        f"{_content(calls, began, tags, _PAGE)}\n</main>\n</body>\n</html>\n"
    )


def as_fragment(calls: Sequence[CallRecord], began: float | None) -> str:
    """The same for the output of a notebook's cell, beside whatever else is on its page."""
    content = _content(calls, began, (), _FRAGMENT)
    return f'<div class="agentguard-report"><style>{STYLE}</style>\n{content}\n</div>'


def _content(
    calls: Sequence[CallRecord], began: float | None, tags: Sequence[str], most: int
) -> str:
    return "\n".join(_parts(calls, began, tags, most))


def _parts(
    calls: Sequence[CallRecord], began: float | None, tags: Sequence[str], most: int
) -> Iterator[str]:
    yield f'<div class="title" role="heading" aria-level="1">agentguard report</div>{PATTERNS}'
    if not calls:
        yield '<p class="note">no guarded call was made</p>'
        return
    drawn = calls[:most]
    spans = [span(call) for call in calls]
    whole = Axis(min(start for start, _ in spans), max(stop for _, stop in spans))
    yield _totals(calls, began, whole)
    if len(drawn) > 1:
        yield f'<div class="lines top">{whole.scale()}</div>'
    unfolded = 0
    for call, (start, stop) in zip(drawn, spans, strict=False):
        unfold = unfolded < _UNFOLDED and (len(drawn) <= _UNFOLDED or call.outcome != "completed")
        unfolded += unfold
        yield f"<details{' open' if unfold else ''}><summary>"
        yield _row(_named(call, tags, fold=True), whole.bar(call), _figures(call))
        yield f"</summary>{_inside(call, Axis(start, stop), tags)}</details>"
    if len(calls) > most:
        more = f"{len(calls) - most:,} more calls are not drawn"
        yield f'<p class="note">{more}: the figures above are of all.</p>'
    yield LEGEND


def _totals(calls: Sequence[CallRecord], began: float | None, whole: Axis) -> str:
    figures = Figures.of(calls)
    failed = sum(call.outcome == "failed" for call in calls)
    cost = "unknown" if figures.cost is None else dollars(figures.cost)
    shown = {
        "calls": f"{len(calls):,}" + (f", {failed:,} failed" if failed else ""),
        "attempts": f"{figures.attempts:,}",
        "input + output tokens": f"{figures.input_tokens:,} + {figures.output_tokens:,}",
        "cost": cost + (" and more" if figures.unpriced and figures.cost is not None else ""),
        "saved by caches": dollars(figures.saved) if figures.saved else "",
        "time": lasted(whole.length),
        "began, UTC": ""
        if began is None
        else f"{datetime.fromtimestamp(began, UTC):%Y-%m-%d %H:%M:%S}",
    }
    pairs = (
        f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in shown.items() if value
    )
    return f"<dl>{''.join(pairs)}</dl>"


def _inside(root: CallRecord, axis: Axis, tags: Sequence[str]) -> str:
    every = lines(root)
    next(every)  # the call itself is the summary
    drawn = [_line(each, axis, tags) for each in itertools.islice(every, _LINES)]
    more = sum(1 for _ in every)
    note = f'<p class="note">{more:,} more lines are not drawn</p>' if more else ""
    return f'<div class="lines">{axis.scale()}<ol>{"".join(drawn)}</ol>{note}</div>'


def _line(line: Line, axis: Axis, tags: Sequence[str]) -> str:
    depth = f"d{min(line.depth, _DEEPEST)}"
    if line.attempt is not None:
        attempt = line.attempt
        return f'<li class="{depth}">{_row(_tried(attempt), axis.attempt(attempt), _told(attempt))}</li>'
    if line.event is not None:
        event = line.event
        wait = event.wait if isinstance(event, events.Delayed) else 0.0
        name = f'<span class="mark said">\N{BLACK DIAMOND}</span>{_text(in_words(event))}'
        at = f"at {lasted(max(event.at - axis.start, 0.0))}"
        return f'<li class="{depth}">{_row(name, axis.said(event.at, wait), at)}</li>'
    call = line.call
    row = _row(_named(call, tags), axis.bar(call), _figures(call))
    return f'<li class="{depth} call">{row}</li>'


def _row(name: str, track: str, figures: str) -> str:
    return (
        f'<div class="row"><div class="name">{name}</div><div>{track}</div>'
        f'<div class="figures">{figures}</div></div>'
    )


def _named(call: CallRecord, tags: Sequence[str], *, fold: bool = False) -> str:
    said = [call.kind or call.outcome, served(call)]
    said += [f"{tag}={call.tags[tag]}" for tag in tags if tag in call.tags]
    marks = '<span class="mark fold"></span>' if fold else ""
    more = "".join(f" <small><bdi>{_text(each)}</bdi></small>" for each in said if each)
    return f"{marks}{_mark(call)}<bdi>{_text(call.name)}</bdi>{more}"


def _tried(attempt: AttemptRecord) -> str:
    outcome = attempt.kind or attempt.outcome
    return (
        f"{_mark(attempt)}<bdi>{_text(attempt.target)}</bdi> #{attempt.number} "
        f"<small>{_text(outcome)}</small>"
    )


def _mark(record: CallRecord | AttemptRecord) -> str:
    return f'<span class="mark {record.outcome}">{SYMBOLS[record.outcome]}</span>'


def _figures(call: CallRecord) -> str:
    return _said([*took(call), *spent(call.figures)])


def _told(attempt: AttemptRecord) -> str:
    said = took(attempt)
    if attempt.arrivals is not None:
        count = attempt.arrivals.count
        said.append("1 item" if count == 1 else f"{count:,} items")
    if attempt.wait:
        said.append(f"after a wait of {lasted(attempt.wait)}")
    return _said([*said, *spent_once(attempt)])


def _said(parts: Sequence[str]) -> str:
    first, *others = (_text(each) if len(each) > 24 else _unbroken(each) for each in parts)
    return " \N{MIDDLE DOT} ".join([f"<b>{first}</b>", *others])


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"


def _unbroken(value: str) -> str:
    return _text(value).replace(" ", "\N{NO-BREAK SPACE}")


def _text(value: str) -> str:
    return html.escape(printable(value))
