"""Planted personal data and keys: in no part of any request that LangSmith gets, nor in a log."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from langsmith import traceable

import agentguard as ag
from agentguard import detect
from agentguard.testing import FakeProvider, fault
from tests.exporters.langsmith_traced import WAYS, Traced, Way, traced
from tests.hostile.test_planted import KEY, MAIL, NAME, NUMBER, PHONE
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR
MODEL = "gpt-4o-mini"
STAFF = "EMP-20394"
"""What only a detector of the application's own finds."""
PLANTED = (MAIL, PHONE, NUMBER, NUMBER.replace("-", ""), KEY, NAME, STAFF)
TEXT = f"I am {NAME} ({NUMBER}), {MAIL}, {PHONE}, {STAFF}; my key is {KEY}"
KNOWN = {"name": NAME}
OWN = detect.Pattern("staff_id", r"EMP-\d{5}")


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """It answers with values of its own, in pieces."""
    with FakeProvider(answer=f"Dear {NAME}, {STAFF}: {MAIL} or {PHONE}, not {KEY}") as running:
        yield running


def clean(there: Traced, caplog: pytest.LogCaptureFixture) -> None:
    """Something was sent, and nothing planted is in it."""
    assert there.runs()
    everything = there.receiver.everything().decode()
    ours = ("agentguard", "langsmith")  # an SDK's own log shows its requests
    logged = "".join(each.getMessage() for each in caplog.records if each.name.startswith(ours))
    for value in PLANTED:
        assert value not in everything
        assert json.dumps(value)[1:-1] not in everything
        assert value not in logged


def messages() -> list[Any]:
    """A conversation with values in every role, in names, and in a tool's arguments and result."""
    arguments = json.dumps({"mail": MAIL, "rrn": int(NUMBER.replace("-", ""))})
    called = {"name": "look_up", "arguments": arguments.replace("@", "\\u0040")}
    return [
        {"role": "system", "content": f"the user: {TEXT}"},
        {"role": "user", "name": MAIL, "content": [{"type": "text", "text": TEXT}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": called}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": TEXT},
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("streams", [True, False])
def test_a_client(
    way: Way, masks: bool, streams: bool, provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """With mask_pii in the chain and without it: prompts, history, tools, headers, answers."""
    caplog.set_level(logging.DEBUG)
    with traced(way, detectors=() if masks else (OWN,)) as there:
        chain = [there.policy, *([ag.mask_pii(detectors=[OWN])] if masks else []), ag.retry()]
        provider.script(fault.status(500))
        with openai.OpenAI(base_url=provider.openai_url, api_key=KEY, max_retries=0) as client:
            safe = ag.guard(*chain)(client)
            with ag.context(user=MAIL, tenant=NAME, known=KNOWN):
                answer: Any = safe.chat.completions.create(
                    model=MODEL,
                    messages=messages(),
                    stream=streams,
                    user=MAIL,
                    metadata={"who": MAIL},
                    extra_headers={"x-key": KEY, "x-user": "user"},
                )
                if streams:
                    list(answer)
        clean(there, caplog)
        assert len(there.runs()) == 3


def test_exceptions_tools_and_functions(caplog: pytest.LogCaptureFixture) -> None:
    """Arguments of every kind, what fails, and what is refused."""
    caplog.set_level(logging.DEBUG)
    with traced(detectors=[OWN]) as there:

        @ag.guard(there.policy, ag.validate_input(max_chars=10_000))
        def ask(who: dict[str, Any], *more: Any) -> str:
            raise ValueError(TEXT)

        @ag.guard(there.policy).tool
        def mail(to: str, rrn: int) -> dict[str, Any]:
            return {"sent": {to: rrn}, "note": TEXT}

        @ag.guard(there.policy, ag.validate_input(max_chars=3))
        async def refused(question: str) -> str:
            return question

        with ag.context(known=KNOWN):
            with pytest.raises(ValueError, match="I am"):
                ask({MAIL: [PHONE, {"rrn": int(NUMBER.replace("-", ""))}]}, TEXT.encode(), {TEXT})
            mail(MAIL, int(NUMBER.replace("-", "")))
            with pytest.raises(ag.errors.InputRejected):
                asyncio.run(refused(TEXT))
        there.to.feedback(there.runs()[0]["id"], "thumbs", value=MAIL, comment=f"{MAIL} {KEY}")
        clean(there, caplog)


def test_what_others_send_by_the_same_client(
    provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """Traced functions around and inside, their metadata, and what they raise."""
    caplog.set_level(logging.DEBUG)
    with traced(detectors=[OWN]) as there:
        about = {"mail": MAIL}

        @traceable(metadata=about)
        def inside(question: str) -> str:
            raise ValueError(TEXT)

        @ag.guard(there.policy)
        def ask(question: str) -> str:
            return inside(question)

        @traceable(client=there.client, enabled=True, metadata=about)
        def outside(question: str) -> None:
            with pytest.raises(ValueError, match="I am"):
                ask(question)

        with ag.context(known=KNOWN):
            outside(TEXT)
        clean(there, caplog)
        assert len(there.runs()) == 4
