"""The example of a LangChain agent does what it says."""

from __future__ import annotations

import langchain_agent
import pytest

from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR


def test_the_agent_is_cured_of_its_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """It answers; its report shows each tool once, and the model call that was tried again."""
    langchain_agent.main()

    answer, *report, seen = capsys.readouterr().out.splitlines()
    assert answer == "ann@example.com knows."
    assert seen == "the provider has seen the address: False"
    calls = [line.split()[0] for line in report if "|" not in line and "- masked" not in line]
    model = "ChatOpenAI.generate"
    assert calls == ["assistant.invoke", model, "weather", model, "send_mail", model]
    assert sum("overloaded" in line for line in report) == 1
