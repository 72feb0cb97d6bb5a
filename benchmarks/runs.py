"""What a run in LangSmith costs a call, beside LangSmith's own decorator."""

from __future__ import annotations

import logging
from io import BytesIO
from time import process_time
from typing import Any

import requests
from langsmith import Client, traceable

from agentguard import exporters, flush, guard, trace
from benchmarks.common import Figures, Row, acalls, against, alone, calls, section, yardstick
from benchmarks.metrics import Ear, aanswering, answering

ABOUT = (
    "Around a function that answers at once with 100 tokens. Both send with LangSmith's client, over a "
    "session that answers at once without a network, and in batches, on threads of their own. "
    "`trace` makes two runs of a call, one of the call and one of its attempt; *one run* is one "
    "`@traceable` around the function, *two runs* two of them. A call's own thread is what its caller "
    "waits for; *processor* is all that is done for it, on all threads, masking included, which "
    "`@traceable` does not do."
)
LIMITS = {
    "use_multipart_endpoint": True,
    "size_limit": 100,
    "size_limit_bytes": 20_000_000,
    "scale_up_nthreads_limit": 1,
    "scale_up_qsize_trigger": 1000,
    "scale_down_nempty_trigger": 4,
}
NUMBER = 400


class Session(requests.Session):
    """Takes everything at once."""

    def request(self, *_: Any, **__: Any) -> requests.Response:
        """Answer 202."""
        response = requests.Response()
        response.status_code, response.raw = 202, BytesIO(b"{}")
        return response


def client() -> Client:
    """Make a client of LangSmith's that reaches nobody."""
    session, limits = Session(), {"batch_ingest_config": LIMITS}
    return Client("http://127.0.0.1:9", api_key="none", session=session, info=limits)


CLIENT = client()
TO = exporters.LangSmith(client=client(), project="p")


def cases(plain: Any) -> dict[str, Any]:
    """Build what is measured around a function."""
    traced = traceable(client=CLIENT, enabled=True, project_name="p")
    return {
        "bare": plain,
        "heard": guard(Ear())(plain),
        "ours": trace(TO)(plain),
        "one run": traced(plain),
        "two runs": traced(traced(plain)),
    }


def processor(fn: Any) -> float:
    """Measure what all threads do for one call."""
    fn("question")
    flush(60)
    CLIENT.flush()
    began = process_time()
    for _ in range(NUMBER):
        fn("question")
    flush(60)
    CLIENT.flush()
    return (process_time() - began) / NUMBER


def rows(kind: str, found: Figures) -> list[Row]:
    """Compare what was found for one of sync and async."""
    ours = found["ours"] - found["bare"]
    lines = [
        against(f"{kind}: {peer}", ours, found[peer] - found["bare"])
        for peer in ("one run", "two runs")
    ]
    lines.append(alone(f"{kind}: the records", found["heard"] - found["bare"], found["yardstick"]))
    return lines


def main() -> None:
    """Measure and print."""

    async def ayardstick(question: str) -> None:
        yardstick(question)

    logging.disable(logging.CRITICAL)  # of full queues: it is only the caller that is measured here
    lines = rows("sync", calls(cases(answering) | {"yardstick": yardstick}, repeats=20))
    flush(60)
    CLIENT.flush()
    lines += rows("async", acalls(cases(aanswering) | {"yardstick": ayardstick}, repeats=20))
    flush(60)
    CLIENT.flush()
    sync = cases(answering)
    ours = processor(sync["ours"])
    lines += [
        against(f"processor: {peer}", ours, processor(sync[peer]))
        for peer in ("one run", "two runs")
    ]
    print(section(ABOUT, lines, "langsmith"))


if __name__ == "__main__":
    main()
