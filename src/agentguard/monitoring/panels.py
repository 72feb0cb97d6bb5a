"""Grafana's panels: how a query becomes a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Panel", "Query", "laid_out"]

_COLUMNS: Final = 24
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_STYLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "timeseries": {
        "options": {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "custom": {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never"},
    },
    "stat": {
        "options": {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "area",
            "textMode": "value_and_name",
        },
        "custom": {},
    },
    "bargauge": {
        "options": {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "orientation": "horizontal",
            "displayMode": "basic",
        },
        "custom": {},
    },
    "state-timeline": {
        "options": {"mergeValues": True, "showValue": "auto", "rowHeight": 0.8},
        "custom": {"lineWidth": 0, "fillOpacity": 70},
    },
}


class Query(NamedTuple):
    """One query of a panel, and what its series are called in the legend."""

    expr: str
    legend: str


class Panel(NamedTuple):
    """One picture.

    Attributes:
        title: above it.
        about: what it shows, and what to make of it.
        queries: that it shows.
        unit: of all its values, in Grafana's words.
        kind: "timeseries", "stat", "bargauge" or "state-timeline".
        width: in columns of 24.
        limits: values from which on it turns orange, and red.
        states: names of the values 0, 1, 2 ...
        most: end of the scale.
        stacked: whether its series add up.
    """

    title: str
    about: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    limits: tuple[float, ...] = ()
    states: tuple[str, ...] = ()
    most: float | None = None
    stacked: bool = False

    @property
    def height(self) -> int:
        """In Grafana's rows."""
        return 4 if self.kind == "stat" else 8


def laid_out(rows: Mapping[str, Sequence[Panel]]) -> list[dict[str, Any]]:
    """The rows' panels, from left to right and from top to bottom."""
    shown: list[dict[str, Any]] = []
    top = 0
    for title, panels in rows.items():
        place = {"h": 1, "w": _COLUMNS, "x": 0, "y": top}
        row: dict[str, Any] = {"type": "row", "title": title, "collapsed": False, "panels": []}
        shown.append({"id": len(shown) + 1, "gridPos": place, **row})
        top, left, height = top + 1, 0, 0
        for panel in panels:
            if left + panel.width > _COLUMNS:
                top, left, height = top + height, 0, 0
            place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
            shown.append({"id": len(shown) + 1, "gridPos": place, **_shown(panel)})
            left, height = left + panel.width, max(height, panel.height)
        top += height
    return shown


def _shown(panel: Panel) -> dict[str, Any]:
    style = _STYLES[panel.kind]
    custom = dict(style["custom"])
    if panel.stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    if panel.limits and panel.kind == "timeseries":
        custom["thresholdsStyle"] = {"mode": "dashed"}
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "custom": custom,
        "mappings": _mappings(panel.states),
        "thresholds": {"mode": "absolute", "steps": _steps(panel.limits)},
        "min": 0,
    }
    if panel.most is not None:
        defaults["max"] = panel.most
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": style["options"],
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "editorMode": "code",
                "expr": query.expr,
                "legendFormat": query.legend,
                "range": True,
            }
            for number, query in enumerate(panel.queries)
        ],
    }


def _steps(limits: Sequence[float]) -> list[dict[str, Any]]:
    colors = ("orange", "red") if len(limits) > 1 else ("red",)
    steps = [{"color": color, "value": at} for color, at in zip(colors, limits, strict=False)]
    return [{"color": "green", "value": None}, *steps]


def _mappings(states: Sequence[str]) -> list[dict[str, Any]]:
    if not states:
        return []
    named = {str(value): {"text": text, "index": value} for value, text in enumerate(states)}
    return [{"type": "value", "options": named}]
