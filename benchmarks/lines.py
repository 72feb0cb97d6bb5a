"""What a wide log line costs, beside one that is written by hand."""

from __future__ import annotations

import io
from time import perf_counter
from typing import Any

import structlog

from agentguard import Policy, events, guard, log, on_event
from benchmarks.common import (
    Figures,
    Noop,
    Row,
    aask,
    acalls,
    against,
    alone,
    ask,
    calls,
    section,
    yardstick,
)

ABOUT = (
    "Around a function that does nothing, and around one that returns an answer with figures. *By hand* "
    "is the line that one writes oneself with structlog: the same fields, measured and added up around "
    "the call, without a price list. Both are rendered as JSON by structlog as a service configures "
    "it, and thrown away. *Events alone* is a policy that hears them and does nothing."
)
ANSWER: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "choices": [{"message": {"content": "42 " * 60}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 200, "completion_tokens": 60, "total_tokens": 260},
}
PER_TOKEN = 0.00000015, 0.0000006


class Nowhere(io.StringIO):
    """Takes what is written, and keeps nothing."""

    def write(self, text: str) -> int:
        """Take it."""
        return len(text)


class Hears(Policy):
    """Hears events and does nothing."""

    def hear(self, event: events.Event) -> None:
        """Do nothing."""


def configure() -> None:
    """Configure structlog as a service does."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=structlog.PrintLoggerFactory(Nowhere()),
    )


def answered(question: str) -> dict[str, Any]:
    """Stand for a call of a model that tells its figures."""
    return question and ANSWER


async def aanswered(question: str) -> dict[str, Any]:
    """Do the same asynchronously."""
    return question and ANSWER


def noted(question: str, answer: Any, began: float) -> None:
    """Write by hand what `log` writes."""
    fields: dict[str, Any] = {}
    if isinstance(answer, dict):
        usage, text = answer["usage"], answer["choices"][0]["message"]["content"]
        tokens = usage["prompt_tokens"], usage["completion_tokens"]
        fields = {
            "model": answer["model"],
            "input_tokens": tokens[0],
            "output_tokens": tokens[1],
            "cost_usd": tokens[0] * PER_TOKEN[0] + tokens[1] * PER_TOKEN[1],
        }
    else:
        text = answer
    structlog.get_logger("app").info(
        "model_call",
        call="ask",
        outcome="completed",
        attempts=1,
        duration_s=round(perf_counter() - began, 6),
        input_characters=len(question),
        output_characters=len(text),
        **fields,
    )


def by_hand(fn: Any) -> Any:
    """Put a line of one's own around `fn`."""

    def call(question: str) -> Any:
        began = perf_counter()
        answer = fn(question)
        noted(question, answer, began)
        return answer

    return call


def aby_hand(fn: Any) -> Any:
    """Do the same around a coroutine function."""

    async def call(question: str) -> Any:
        began = perf_counter()
        answer = await fn(question)
        noted(question, answer, began)
        return answer

    return call


def cases(nothing: Any, answers: Any, hand: Any) -> dict[str, Any]:
    """Build what is measured."""
    return {
        "engine": guard(Noop())(nothing),
        "hears": guard(Hears())(nothing),
        "log": guard(log())(nothing),
        "left out": guard(log(sample=0))(nothing),
        "on_event": guard(on_event(events.CircuitOpened, print))(nothing),
        "answered": guard(Noop())(answers),
        "answered, hears": guard(Hears())(answers),
        "answered, log": guard(log())(answers),
        "by hand": hand(nothing),
        "answered, by hand": hand(answers),
        "bare": nothing,
    }


def rows(kind: str, found: Figures) -> list[Row]:
    """Compare what was found for one of sync and async."""
    yard = found["yardstick"]
    hand = found["by hand"] - found["bare"]
    told = found["answered, by hand"] - found["bare"]
    return [
        against(f"{kind}: log(), by hand", found["log"] - found["engine"], hand),
        against(
            f"{kind}: log() of an answer with figures, by hand",
            found["answered, log"] - found["answered"],
            told,
        ),
        against(
            f"{kind}: the same beside other telemetry, by hand",
            found["answered, log"] - found["answered, hears"],
            told,
        ),
        alone(
            f"{kind}: log(), of a call that is left out", found["left out"] - found["engine"], yard
        ),
        alone(f"{kind}: on_event(), nothing happens", found["on_event"] - found["engine"], yard),
        alone(f"{kind}: events alone", found["hears"] - found["engine"], yard),
    ]


def main() -> None:
    """Measure and print."""
    configure()

    async def ayardstick(question: str) -> None:
        yardstick(question)

    sync = cases(ask, answered, by_hand) | {"yardstick": yardstick}
    asynchronous = cases(aask, aanswered, aby_hand) | {"yardstick": ayardstick}
    lines = rows("sync", calls(sync)) + rows("async", acalls(asynchronous))
    print(section(ABOUT, lines, "structlog", peer="by hand"))


if __name__ == "__main__":
    main()
