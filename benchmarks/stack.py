"""What a whole production stack costs when nothing fails, beside the usual glue.

Its targets are not reached, by a factor of five, and are below what the outcome of a call costs by
hand (the row "what comes out of it": .85 of the glue, .65 with google-re2; targets .7 and .55). What
can be won is between that and ours. The profile is flat: about 1,000 calls of Python functions for
one guarded call. Of the time 28 % goes to events (the log line 18 %, half of it structlog's own;
metrics 13 %), a quarter each to budget and cache, a tenth to masking. Each policy by itself costs
half of what it costs in the stack. What is done more than once for one attempt, and could be done
once: walking through the texts of the request (limits, masks, the log's characters), plans of
arguments.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import aiobreaker
import pybreaker
import structlog
import tenacity
from cachetools import LRUCache
from prometheus_client import CollectorRegistry, Counter, Histogram

from agentguard import detect
from agentguard.tokens.encodings import encoding
from benchmarks.common import Figures, Row, acalls, against, alone, calls, section
from benchmarks.production import ANSWER, MODEL, aask, abackup, anew, ask, backup, stack

ABOUT = (
    "Around a function that answers at once with what a provider says, its usage included. Every prompt "
    "has 200 tokens, no personal data, and is asked for the first time. *glue* is what one writes by "
    "hand: lru_cache around tenacity around pybreaker (aiobreaker where it is awaited), with a count "
    "by tiktoken, a Prometheus histogram and two counters with labels, and one line of structlog as "
    "JSON. Ours is presets.production() {}: metrics, log, limits of the input, masking, cache, budget, "
    "fallback, retry and breaker; each policy's own line is what the stack saves without it. *What comes "
    "out of it* is the stack's own log line, updates of series, search for personal data, cache key and "
    "kept answer, written out by hand in a row: less than that no stack with these effects can take."
)
OURS: Final = ("metrics", "log", "validate_input", "mask_pii", "cache", "budget")
"""Those whose share is told."""

registry = CollectorRegistry()
seconds = Histogram("seconds", "of a call", ["model"], registry=registry)
made = Counter("calls", "made", ["model"], registry=registry)
tokens = Counter("tokens", "sent", ["model"], registry=registry)


def line() -> Any:
    """Make a logger that writes JSON to nowhere."""
    nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  for the whole process
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(nowhere),
    )
    return structlog.get_logger()


def glue(log: Any) -> Any:
    """Put together what one writes without agentguard."""
    encode = encoding("o200k_base").encode
    guarded = pybreaker.CircuitBreaker()(ask)

    @functools.lru_cache(maxsize=1000)
    @tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_exponential_jitter())
    def glued(prompt: str, *, model: str = MODEL) -> Any:
        count = len(encode(prompt))
        with seconds.labels(model=model).time():
            made.labels(model=model).inc()
            answer = guarded(prompt, model=model)
        tokens.labels(model=model).inc(count)
        log.info("agent_invoked", model=model, input_length=len(prompt), input_tokens=count)
        return answer

    return glued


def aglue(log: Any) -> Any:
    """Put together the same for calls that are awaited."""
    encode = encoding("o200k_base").encode
    guarded = aiobreaker.CircuitBreaker()(aask)
    known: Any = LRUCache(1000)

    @tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_exponential_jitter())
    async def asked(prompt: str, *, model: str = MODEL) -> Any:
        count = len(encode(prompt))
        with seconds.labels(model=model).time():
            made.labels(model=model).inc()
            answer = await guarded(prompt, model=model)
        tokens.labels(model=model).inc(count)
        log.info("agent_invoked", model=model, input_length=len(prompt), input_tokens=count)
        return answer

    async def glued(prompt: str, *, model: str = MODEL) -> Any:
        key = prompt, model
        if key not in known:
            known[key] = await asked(prompt, model=model)
        return known[key]

    return glued


def outcome(log: Any) -> Any:
    """Put together what comes out of one call of the stack, and nothing that brings it about."""
    spent = Counter("spent", "and the like", ["kind"], registry=registry)
    counters = [spent.labels(kind=str(number)) for number in range(12)]
    lasted = [seconds.labels(model=kind) for kind in ("calls", "attempts")]
    known: dict[str, bytes] = {}
    line = {
        "call": "ask",
        "outcome": "completed",
        "model_asked": MODEL,
        "model": ANSWER["model"],
        "duration_s": 0.000616,
        "cache": "miss",
        "attempts": 1,
        "input_tokens": 200,
        "output_tokens": 8,
        "cost_usd": 3.48e-05,
        "guard": "stack",
        "input_characters": 949,
        "output_characters": 17,
    }

    def by_hand(prompt: str, *, model: str = MODEL) -> Any:
        found = detect.find(prompt)
        key = hashlib.sha256(json.dumps([prompt, model]).encode()).hexdigest()
        answer = ask(prompt, model=model)
        known[key] = json.dumps(answer).encode()
        for each in counters:
            each.inc()
        for each in lasted:
            each.observe(0.0006)
        log.info("model_call", **line)
        return found or answer

    return by_hand


def rows(kind: str, found: Figures, most: float) -> list[Row]:
    """Compare what was found for one of sync and async."""
    bare, whole = found["bare"], found["stack"]
    lines = [against(f"{kind}: the stack, glue", whole - bare, found["glue"] - bare, most=most)]
    if "outcome" in found:
        case = f"{kind}: what comes out of it, glue"
        lines.append(against(case, found["outcome"] - bare, found["glue"] - bare))
    lines += [
        alone(f"{kind}: {name}", whole - found[f"without {name}"], found["yardstick"])
        for name in OURS
    ]
    return lines


def main() -> None:
    """Measure and print."""
    from benchmarks.common import yardstick

    fast = "re2" in sys.argv[1:]
    if not fast:
        sys.modules["re2"] = None  # type: ignore[assignment]  # as where it is not installed
    log = line()
    lines: list[Row] = []
    for kind, fn, other, peer, measure, most in (
        ("sync", ask, backup, glue(log), calls, (0.7, 0.55)),
        ("async", aask, abackup, aglue(log), acalls, (0.6, 0.5)),
    ):
        ours = stack(other)
        cases = {"bare": fn, "glue": peer, "stack": ours(fn)}
        cases |= {f"without {name}": stack(other).without(name)(fn) for name in OURS}
        if kind == "sync":
            cases["outcome"] = outcome(log)
        found = measure({name: anew(each) for name, each in cases.items()})
        found["yardstick"] = calls({"yardstick": yardstick})["yardstick"]
        lines += rows(kind, found, most[fast])
    names = ("tenacity", "pybreaker", "aiobreaker", "prometheus-client", "structlog", "tiktoken")
    which = "with google-re2" if fast else "on the standard library's re"
    print(section(ABOUT.format(which), lines, *names))


if __name__ == "__main__":
    main()
