"""What is drawn beside a line of a report: bars, ticks and marks on an axis of time, as SVG.

Places are percentages of the axis in attributes, so that a page of any width needs no script.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from agentguard.reporting.timeline import ended
from agentguard.telling import lasted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.engine.records import AttemptRecord, CallRecord

__all__ = ["Axis"]


class Axis:
    """Time from left to right.

    Attributes:
        start: of the axis, in monotonic seconds.
        length: in seconds.
    """

    def __init__(self, start: float, stop: float) -> None:
        self.start = start
        self.length = stop - start
        self._scale = 100 / max(self.length, 1e-9)

    def bar(self, call: CallRecord) -> str:
        """A call as one thin bar."""
        bar = _rect(call.outcome, self._place(call.started), self._place(ended(call)), thin=True)
        return self._track(call.started, ended(call), bar)

    def attempt(self, attempt: AttemptRecord) -> str:
        """An attempt: its wait, its time to the first content, the rest, and its items."""
        began, stop = self._place(attempt.started), self._place(ended(attempt))
        drawn = [""]
        if attempt.wait:
            drawn.append(_rect("hatch", self._place(attempt.started - attempt.wait), began))
        content = began
        first = attempt.first_token
        if attempt.arrivals is not None:
            content = stop if first is None else self._place(attempt.started + first)
            drawn.append(_rect("before", began, content))
        if content < stop or attempt.arrivals is None:
            drawn.append(_rect("", content, stop))
        if attempt.outcome == "failed":
            drawn.append(_rect("cross", began, stop))
        if attempt.arrivals is not None:
            places = {round(10 * self._place(attempt.started + each)) for each in attempt.arrivals}
            drawn.append(_ticks(sorted(places)))
        if attempt.arrivals is not None and first is not None:
            drawn.append(f'<svg x="{_percent(content)}" overflow="visible">{_FIRST}</svg>')
        bars = f'<g class="{attempt.outcome}">{"".join(drawn)}</g>'
        return self._track(attempt.started, ended(attempt), bars)

    def said(self, at: float, wait: float = 0.0) -> str:
        """What a policy said, and how long it let the call wait then."""
        place = self._place(at)
        hatch = _rect("hatch", place, self._place(at + wait)) if wait else ""
        mark = f'<svg x="{_percent(place)}" overflow="visible">{_DIAMOND}</svg>'
        return f'<svg class="track said" aria-hidden="true">{hatch}{mark}</svg>'

    def scale(self) -> str:
        """The axis itself: times at round distances, and lines down from them."""
        drawn = ""
        for at in self._steps():
            place = self._place(self.start + at)
            x, anchor = _percent(place), ' text-anchor="end"' if place > 92 else ""
            drawn += f'<line x1="{x}" x2="{x}" y1="18" y2="100%"/>'
            drawn += f'<text x="{x}" y="13"{anchor}>{_short(at)}</text>'
        return f'<svg class="scale" aria-hidden="true">{drawn}</svg>'

    def _steps(self) -> Iterator[float]:
        rough = max(self.length, 1e-9) / 4
        power = 10 ** math.floor(math.log10(rough))
        step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough * 0.999)
        return (step * n for n in range(int(self.length / step * 1.0001) + 1))

    def _place(self, at: float) -> float:
        return min(100.0, max(0.0, (at - self.start) * self._scale))

    def _track(self, start: float, stop: float, drawn: str) -> str:
        said = f"from {lasted(start - self.start)} to {lasted(stop - self.start)}"
        return f'<svg class="track" role="img"><title>{said}</title>{drawn}</svg>'


_FIRST = '<path class="first" d="M-4.5 0h9l-4.5 6z"/>'
_DIAMOND = '<path d="M0 3l6 6-6 6-6-6z"/>'


def _rect(name: str, start: float, stop: float, *, thin: bool = False) -> str:
    width = _percent(max(stop - start, 0.4))
    kind = f' class="{name}"' if name else ""
    high = 'y="7" height="4"' if thin else 'y="4" height="10"'
    return f'<rect{kind} x="{_percent(min(start, 99.6))}" {high} width="{width}"/>'


def _ticks(places: list[int]) -> str:
    path = "".join(f"M{place} 0v4" for place in places)
    return (
        '<svg y="15" width="100%" height="4" viewBox="0 0 1000 4" preserveAspectRatio="none">'
        f'<path class="ticks" d="{path}"/></svg>'
    )


def _percent(place: float) -> str:
    return f"{round(place, 2):g}%"


def _short(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 or not seconds else f"{round(seconds * 1000, 3):g} ms"
