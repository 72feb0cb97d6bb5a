"""What a guarded call and a guarded chunk cost beside LiteLLM; runs in LiteLLM's environment."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import litellm

from agentguard import breaker, fallback, guard, retry
from benchmarks import production
from benchmarks.common import Row, aask, acalls, against, ask, calls, section, us

ABOUT = (
    "LiteLLM answers with its own `mock_response`: there is no network in these figures. Its "
    "`Router` does what `guard(fallback, retry, breaker)` does: retries, fallbacks, cooldowns. "
    "A chunk's cost is that of reading a mock stream of LiteLLM's to its end."
)
MESSAGES = [{"role": "user", "content": "question"}]
ANSWER = "word " * 200
MODEL = {"model": "openai/gpt-4o-mini", "api_key": "test-key"}
CHAIN = "guard(fallback, retry, breaker)"

litellm.suppress_debug_info = True

router = litellm.Router(
    model_list=[
        {"model_name": name, "litellm_params": {**MODEL, "mock_response": "answer"}}
        for name in ("primary", "backup")
    ],
    num_retries=2,
    fallbacks=[{"primary": ["backup"]}],
)


def routed(_: str) -> Any:
    """Ask through the Router."""
    return router.completion("primary", MESSAGES)


async def arouted(_: str) -> Any:
    """Ask through the Router, asynchronously."""
    return await router.acompletion("primary", MESSAGES)


def completed(_: str) -> Any:
    """Ask LiteLLM without the Router."""
    return litellm.completion(messages=MESSAGES, mock_response="answer", **MODEL)


async def acompleted(_: str) -> Any:
    """Ask LiteLLM without the Router, asynchronously."""
    return await litellm.acompletion(messages=MESSAGES, mock_response="answer", **MODEL)


def other(question: str) -> str:
    """Answer in place of the primary."""
    return question


async def aother(question: str) -> str:
    """Do the same asynchronously."""
    return question


def streamed(_: str) -> Any:
    """Start a mock stream."""
    return litellm.completion(messages=MESSAGES, mock_response=ANSWER, stream=True, **MODEL)


def chunk_seconds(*starts: Any) -> list[float]:
    """Measure the least seconds that a chunk of each takes, the opening left out."""
    best = [float("inf")] * len(starts)
    for _ in range(15):
        for which, start in enumerate(starts):
            stream = start("question")
            next(iter(stream))
            started = perf_counter()
            number = sum(1 for _ in stream)
            best[which] = min(best[which], (perf_counter() - started) / number)
    return best


def main() -> None:
    """Measure and print."""
    policies = (retry(), breaker())
    sync = calls(
        {
            "ours": guard(fallback(other), *policies)(ask),
            "production": production.anew(production.stack(production.backup)(production.ask)),
            "router": routed,
            "bare": completed,
            "guarded": guard(fallback(other), *policies)(completed),
        },
        repeats=30,
    )
    asynchronous = acalls(
        {
            "ours": guard(fallback(aother), *policies)(aask),
            "production": production.anew(production.stack(production.abackup)(production.aask)),
            "router": arouted,
            "bare": acompleted,
            "guarded": guard(fallback(aother), *policies)(acompleted),
        },
        repeats=30,
    )
    rows: list[Row] = []
    for kind, found in (("sync", sync), ("async", asynchronous)):
        name = "completion" if kind == "sync" else "acompletion"
        rows += [
            against(
                f"{kind}: {CHAIN}, Router.{name}", found["ours"], found["router"], most=1 / 250
            ),
            against(
                f"{kind}: production(), Router.{name}",
                found["production"],
                found["router"],
                most=1 / 30,
            ),
            against(
                f"{kind}: {CHAIN}(litellm.{name}), Router.{name}", found["guarded"], found["router"]
            ),
            against(
                f"{kind}: {CHAIN}(litellm.{name}), the same bare", found["guarded"], found["bare"]
            ),
        ]
    bare, guarded = chunk_seconds(streamed, guard(retry(), breaker())(streamed))
    rows.append(
        against("a chunk of a mock stream: guard(retry, breaker), bare", guarded, bare, show=us)
    )
    print(section(ABOUT, rows, "litellm", "openai", peer="peer"))


if __name__ == "__main__":
    main()
