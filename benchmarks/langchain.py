"""What a guarded call costs beside LangChain's own retry and fallback."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import RunnableLambda

from agentguard import breaker, fallback, guard, retry
from benchmarks.common import Row, aask, acalls, against, ask, calls, section

ABOUT = (
    "Around a function that does nothing: `guard(fallback, retry, breaker)` and LangChain's "
    "`RunnableLambda(fn).with_retry().with_fallbacks([...])`, which has no breaker. Then with a "
    "primary that always fails, so that the fallback answers."
)


def down(question: str) -> str:
    """Fail in a way that no retry helps."""
    raise ValueError(question)


async def adown(question: str) -> str:
    """Do the same asynchronously."""
    raise ValueError(question)


def other(question: str) -> str:
    """Answer in place of the primary."""
    return question


async def aother(question: str) -> str:
    """Do the same asynchronously."""
    return question


def chained(fn: Any, backup: Any) -> Any:
    """LangChain's chain."""
    retried = RunnableLambda(fn).with_retry(
        retry_if_exception_type=(ConnectionError,), stop_after_attempt=3
    )
    return retried.with_fallbacks([RunnableLambda(backup)])


def main() -> None:
    """Measure and print."""
    sync = calls(
        {
            "ours": guard(fallback(other), retry(), breaker())(ask),
            "theirs": chained(ask, other).invoke,
            "ours, falling back": guard(fallback(other, on=ValueError), retry())(down),
            "theirs, falling back": chained(down, other).invoke,
        }
    )
    asynchronous = acalls(
        {
            "ours": guard(fallback(aother), retry(), breaker())(aask),
            "theirs": chained(aask, aother).ainvoke,
            "ours, falling back": guard(fallback(aother, on=ValueError), retry())(adown),
            "theirs, falling back": chained(adown, aother).ainvoke,
        }
    )
    rows: list[Row] = []
    for kind, found in (("sync", sync), ("async", asynchronous)):
        rows.append(against(f"{kind}: success", found["ours"], found["theirs"], most=1 / 50))
        rows.append(
            against(
                f"{kind}: one fallback", found["ours, falling back"], found["theirs, falling back"]
            )
        )
    print(section(ABOUT, rows, "langchain", "langchain-core", peer="LangChain"))


if __name__ == "__main__":
    main()
