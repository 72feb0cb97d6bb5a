"""The look of a report in HTML: colours for light and dark, and what is laid out where.

Every rule is about what is inside `.agentguard-report`, so that a notebook keeps its own looks. It is named twice where
what a notebook's own style says of an element has to yield.
Bars and text keep the contrast that WCAG 2.2 asks for: 4.5 for text, 3 for what is drawn.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LEGEND", "PATTERNS", "STYLE", "SYMBOLS"]

SYMBOLS: Final = {
    "completed": "\N{CHECK MARK}",
    "failed": "\N{MULTIPLICATION X}",
    "abandoned": "\N{CIRCLED DIVISION SLASH}",
    "running": "\N{HORIZONTAL ELLIPSIS}",
}
"""Said beside the colour, never the colour alone."""

STYLE: Final = """
.agentguard-report {
  color-scheme: light dark;
  --paper: light-dark(#ffffff, #14171c); --ink: light-dark(#1c2430, #e4e8ee);
  --muted: light-dark(#566070, #a3adbb); --rule: light-dark(#dfe4ea, #2b323c);
  --hover: light-dark(#f3f5f8, #1c2128);
  --completed: light-dark(#1a7f4b, #3fb27f); --failed: light-dark(#c2303a, #f0757c);
  --abandoned: light-dark(#8a6100, #d3a23c); --running: light-dark(#2563c9, #6ea3f5);
  --wait: light-dark(#7b8594, #7d8896); --said: light-dark(#6d3fc0, #b795f3);
  --label: 19rem; --figures: 16rem; --gap: .75rem;
  container-type: inline-size; box-sizing: border-box; padding: .75rem 1rem 1rem;
  background: var(--paper); color: var(--ink); text-align: left;
  font: 13px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums;
}
[data-jp-theme-light="true"] .agentguard-report, .vscode-light .agentguard-report { color-scheme: light; }
[data-jp-theme-light="false"] .agentguard-report, .vscode-dark .agentguard-report { color-scheme: dark; }
.agentguard-report * { box-sizing: border-box; }
.agentguard-report.agentguard-report :where(:not(svg, svg *, style)) { margin: 0; padding: 0; border: 0;
  background: none; color: inherit; font: inherit; }
.agentguard-report .title { margin: 0 0 .5rem; font: 600 16px/1.3 system-ui, sans-serif; color: inherit; }
.agentguard-report.agentguard-report dl { display: flex; flex-wrap: wrap; gap: .4rem 1.75rem; margin: 0 0 .75rem; padding: 0; border: 0; }
.agentguard-report.agentguard-report dl div { display: flex; flex-direction: column-reverse; }
.agentguard-report.agentguard-report dt { margin: 0; padding: 0; font-weight: 400; color: var(--muted); }
.agentguard-report.agentguard-report dd { margin: 0; padding: 0; font-size: 16px; font-weight: 600; }
.agentguard-report .legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: .75rem 0 0; padding: 0; color: var(--muted); }
.agentguard-report .legend svg { width: 28px; height: 14px; margin-right: .35rem; vertical-align: -2px; }
.agentguard-report.agentguard-report details { margin: 0; padding: 0; border-top: 1px solid var(--rule); }
.agentguard-report.agentguard-report summary { list-style: none; cursor: pointer; padding: .35rem 0; font-weight: 400; color: inherit; }
.agentguard-report.agentguard-report summary::-webkit-details-marker { display: none; }
.agentguard-report.agentguard-report summary:hover { background: var(--hover); }
.agentguard-report.agentguard-report summary:focus-visible { outline: 2px solid var(--running); outline-offset: -2px; }
.agentguard-report .row { display: grid; align-items: start; column-gap: var(--gap);
  grid-template-columns: var(--label) minmax(0, 1fr) var(--figures); }
.agentguard-report .name { min-width: 0; overflow-wrap: anywhere; padding-left: 1.4em; text-indent: -1.4em; }
.agentguard-report .name > * { text-indent: 0; }
.agentguard-report summary .name, .agentguard-report .call .name { font-weight: 600; }
.agentguard-report .name small { font-size: inherit; font-weight: 400; color: var(--muted); }
.agentguard-report .mark { display: inline-block; width: 1.4em; text-indent: 0; font-weight: 600; }
.agentguard-report .mark.fold::before { content: "\\25B8"; color: var(--muted); }
.agentguard-report details[open] > summary .fold::before { content: "\\25BE"; }
.agentguard-report .figures { color: var(--muted); overflow-wrap: anywhere; }
.agentguard-report .figures b { font-weight: 600; color: var(--ink); }
.agentguard-report .track { display: block; width: 100%; height: 19px; overflow: visible; }
.agentguard-report .lines { position: relative; padding: 20px 0 .6rem; }
.agentguard-report .lines.top { padding-bottom: 0; }
.agentguard-report.agentguard-report ol { list-style: none; margin: 0; padding: 0; }
.agentguard-report.agentguard-report li { position: relative; list-style: none; margin: 0; padding: .08rem 0; color: inherit; }
.agentguard-report .scale { position: absolute; top: 0; left: calc(var(--label) + var(--gap)); height: calc(100% - .4rem);
  width: calc(100% - var(--label) - var(--figures) - 2 * var(--gap)); overflow: visible; }
.agentguard-report .scale text { font-size: 11px; fill: var(--muted); }
.agentguard-report .scale line { stroke: var(--rule); }
.agentguard-report .top line { stroke: none; }
.agentguard-report .note { margin: .5rem 0 0; padding: 0; color: var(--muted); }
.agentguard-report .completed { color: var(--completed); }
.agentguard-report .failed { color: var(--failed); }
.agentguard-report .abandoned { color: var(--abandoned); }
.agentguard-report .running { color: var(--running); }
.agentguard-report .said { color: var(--said); }
.agentguard-report rect { rx: 2px; fill: currentColor; min-width: 2px; }
.agentguard-report .before { fill-opacity: .3; stroke: currentColor; stroke-opacity: .9; }
.agentguard-report .hatch { fill: url(#agentguard-hatch); stroke: var(--wait); stroke-opacity: .7; }
.agentguard-report .cross { fill: url(#agentguard-cross); fill-opacity: 1; stroke: none; }
.agentguard-report .ticks { stroke: var(--ink); stroke-width: 1px; fill: none; vector-effect: non-scaling-stroke; }
.agentguard-report .first { fill: var(--ink); stroke: var(--paper); }
.agentguard-report .said path { fill: currentColor; stroke: var(--paper); }
.agentguard-report .patterns { position: absolute; width: 0; height: 0; }
.agentguard-report .hatching { stroke: var(--wait); stroke-width: 1.5; }
.agentguard-report .crossing { stroke: var(--paper); stroke-width: 1.5; }
.agentguard-report .d1 .name { margin-left: 1.1rem; } .agentguard-report .d2 .name { margin-left: 2rem; }
.agentguard-report .d3 .name { margin-left: 2.9rem; } .agentguard-report .d4 .name { margin-left: 3.8rem; }
.agentguard-report .d5 .name { margin-left: 4.7rem; } .agentguard-report .d6 .name { margin-left: 5.6rem; }
@container (max-width: 760px) {
  .agentguard-report .row { display: flex; flex-wrap: wrap; align-items: baseline; }
  .agentguard-report .row > :nth-child(2) { order: 1; width: 100%; }
  .agentguard-report summary .row .figures, .agentguard-report .row .figures { padding-left: 1.4em; }
  .agentguard-report .scale { left: 0; width: 100%; }
  .agentguard-report .scale line { stroke: none; }
  .agentguard-report.agentguard-report li { padding: .2rem 0; }
}
body.agentguard-page { margin: 0; background: light-dark(#ffffff, #14171c); }
.agentguard-page .agentguard-report { min-height: 100vh; }
"""

PATTERNS: Final = (
    '<svg class="patterns" aria-hidden="true"><defs>'
    '<pattern id="agentguard-hatch" width="5" height="5" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><path class="hatching" d="M0 0v5"/></pattern>'
    '<pattern id="agentguard-cross" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(-45)"><path class="crossing" d="M0 0v6"/></pattern>'
    "</defs></svg>"
)

LEGEND: Final = (
    '<p class="legend">'
    '<span><svg aria-hidden="true"><rect class="hatch" y="3" width="28" height="8"/></svg>wait</span>'
    '<span class="completed"><svg aria-hidden="true"><rect class="before" y="3" width="14" '
    'height="8"/><rect x="14" y="3" width="14" height="8"/></svg>'
    "\N{CHECK MARK} completed: to the first content, then the rest</span>"
    '<span class="failed"><svg aria-hidden="true"><rect y="3" width="28" height="8"/>'
    '<rect class="cross" y="3" width="28" height="8"/></svg>\N{MULTIPLICATION X} failed</span>'
    '<span class="abandoned"><svg aria-hidden="true"><rect class="before" y="3" width="28" '
    'height="8"/></svg>\N{CIRCLED DIVISION SLASH} abandoned</span>'
    '<span><svg aria-hidden="true"><path class="ticks" d="M4 4v6M8 4v6M14 4v6M18 4v6M25 4v6"/>'
    "</svg>items of a stream</span>"
    '<span class="said"><svg aria-hidden="true"><path d="M14 1l6 6-6 6-6-6z"/></svg>'
    "what a policy said</span></p>"
)
