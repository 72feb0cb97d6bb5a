"""The example service in a process of its own, whose provider fails on request.

    python tests/monitoring/service.py 8000

The example's own stack sees most of what can happen. `GET /rare` does the rest: what fails in other
stacks, through real policies.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import tempfile
import threading
from pathlib import Path

import uvicorn

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import fastapi_app as example

import agentguard as ag
from agentguard.exporters.outbox import Outbox
from agentguard.testing import fault

app, provider = example.app, example.provider
counted = ag.metrics("rare")
stuck = Outbox[str]("stuck", lambda item: threading.Event().wait(), size=1)
nowhere = f"sqlite:///{tempfile.mkdtemp()}"  # a folder is no database


@app.get("/provider/{mood}")
def turn(mood: str):
    """Have the provider work, fail now and then, fail always, or talk at length."""
    provider.recover().schedule(None)
    if mood != "down":
        example.circuit.close()  # the minute until it tries by itself is tested elsewhere
    match mood:
        case "flaky":
            provider.schedule(lambda n, _: fault.status(500) if n % 5 == 0 else None)
        case "down":
            provider.always(fault.status(503))
        case "talkative":
            provider.always("word " * 450)
    return {"mood": mood}


def answer(question: str, model: str) -> dict[str, object]:
    """An answer of a model that no price list knows."""
    return {
        "model": model,
        "choices": [{"message": {"content": "42"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 1},
    }


unpriced = ag.guard(counted)(answer)
strict = ag.guard(counted, ag.shadow(ag.validate_input(max_chars=3)))(answer)
lost = ag.guard(
    counted,
    ag.budget(requests=10, per="1m", store=nowhere, name="lost", on_store_failure="pass"),
)(answer)


@ag.guard(counted, ag.timeout(0.01))
async def slow() -> str:
    """Never in time."""
    await asyncio.sleep(60)
    return "late"


@app.get("/rare")
async def rare():
    """Whatever the example's own stack does not do."""
    unpriced("?", model="our-own-model")
    strict("far too long", model="gpt-5")
    await asyncio.to_thread(lost, "?", model="gpt-5")
    for item in ("kept", "kept", "dropped"):
        stuck.put(item)
    with contextlib.suppress(ag.errors.Timeout):
        await slow()


if __name__ == "__main__":
    logging.disable()
    uvicorn.run(app, port=int(sys.argv[1]), log_level="critical")
