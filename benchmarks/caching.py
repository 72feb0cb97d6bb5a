"""What a cached answer costs beside GPTCache and LangChain, and what a miss adds to a call."""

from __future__ import annotations

import atexit
import itertools
import tempfile
from pathlib import Path
from typing import Any

from gptcache import Cache
from gptcache.adapter.api import get, put
from gptcache.manager import get_data_manager
from gptcache.processor.pre import get_prompt
from langchain_core.caches import InMemoryCache
from langchain_core.language_models.fake_chat_models import FakeListChatModel

from agentguard import cache, guard
from benchmarks.common import (
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
    "An exact hit in memory: `cache()` around a function that returns a text, `gptcache.adapter.api.get` "
    "with its in-memory map, and `invoke` of a LangChain model with `InMemoryCache`. A miss: a question "
    "that was never asked, beside the same function under a guard that does nothing; the memory is "
    "full, so that each answer that is kept pushes one out."
)


def gptcache(folder: Path) -> Any:
    """An exact cache of GPTCache's that knows the question."""
    made = Cache()
    made.init(
        pre_embedding_func=get_prompt, data_manager=get_data_manager(data_path=str(folder / "map"))
    )
    put("question", "question", cache_obj=made)
    return made


def new_ones(fn: Any) -> Any:
    """Ask something else each time."""
    numbers = itertools.count()
    return lambda question: fn(f"{question} {next(numbers)}")


def main() -> None:
    """Measure and print."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)  # after GPTCache's own, which writes there
    theirs = gptcache(Path(folder.name))
    chain = FakeListChatModel(responses=["answer"], cache=InMemoryCache())
    ours = FakeListChatModel(responses=["answer"], cache=False)
    full = cache(ttl="1d")(ask)
    for number in range(1500):
        full(f"earlier {number}")
    sync = calls(
        {
            "hit": cache(ttl="1d")(ask),
            "gptcache": lambda question: get(question, cache_obj=theirs),
            "langchain": chain.invoke,
            "model": guard(cache(ttl="1d"))(ours).invoke,
            "miss": new_ones(full),
            "plain": new_ones(guard(Noop())(ask)),
            "yard": yardstick,
        }
    )
    waiting = cache(ttl="1d")(aask)
    asynchronous = acalls(
        {
            "hit": waiting,
            "langchain": chain.ainvoke,
            "miss": new_ones(waiting),
            "plain": new_ones(guard(Noop())(aask)),
        }
    )
    yard = sync["yard"]
    rows: list[Row] = [
        against("sync: hit, GPTCache", sync["hit"], sync["gptcache"], most=1),
        against("sync: hit, LangChain", sync["hit"], sync["langchain"], most=1 / 8),
        against(
            "async: hit, LangChain", asynchronous["hit"], asynchronous["langchain"], most=1 / 8
        ),
        against("sync: hit of a guarded chat model, LangChain", sync["model"], sync["langchain"]),
        alone("sync: what a miss adds", sync["miss"] - sync["plain"], yard, most_us=10),
        alone(
            "async: what a miss adds",
            asynchronous["miss"] - asynchronous["plain"],
            yard,
            most_us=10,
        ),
    ]
    print(section(ABOUT, rows, "gptcache", "langchain-core"))


if __name__ == "__main__":
    main()
