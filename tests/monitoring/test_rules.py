from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml as pyyaml

from agentguard.exporters.instruments import INSTRUMENTS
from agentguard.monitoring.__main__ import files, main
from agentguard.monitoring.alerting import ALERTS
from agentguard.monitoring.objectives import BURNS, Objectives
from agentguard.monitoring.promql import Queries, length
from agentguard.monitoring.rules import alerting, recording, yaml

SHIPPED = Path(__file__).parents[2] / "examples" / "monitoring"
OTHERS = Objectives(
    success=0.999,
    latency=1.28,
    first_token=0.5,
    excused=(),
    labels=("namespace", "job"),
    scale=0.01,
)


def promtool(*words: str, folder: Path) -> str:
    """Run Prometheus' own checker; its output where it fails."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    run = subprocess.run(
        ["promtool", *words], cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def rules_of(document: dict) -> list[dict]:
    """All rules of a file."""
    return [rule for group in document["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("name", list(files()))
def test_what_is_shipped_is_what_is_made(name: str) -> None:
    """The files of the examples are those that the definition of the metrics makes today."""
    again = "python -m agentguard.monitoring examples/monitoring makes them anew"
    assert (SHIPPED / name).read_text(encoding="utf-8") == files()[name], again


def test_prometheus_accepts_the_rules(tmp_path: Path) -> None:
    """`promtool check rules` takes what is shipped, and what other objectives make."""
    main([str(tmp_path), "--success", "0.999", "--scale", "0.01", "--excused", "--labels", "job"])
    for folder in (SHIPPED, tmp_path):
        out = promtool("check", "rules", "recording.rules.yml", "alerts.rules.yml", folder=folder)
        assert "24 rules found" in out
        assert "21 rules found" in out


@pytest.mark.parametrize("name", ["minutes.test.yml", "days.test.yml"])
def test_every_alert_fires_when_it_should(name: str) -> None:
    """`promtool test rules` agrees with what is expected of each alert, its words included."""
    assert "SUCCESS" in promtool("test", "rules", name, folder=SHIPPED)


def test_each_alert_is_expected_to_fire_and_not_to() -> None:
    """The unit tests of the rules leave no alert, nor window of one, out, in either way."""
    fires: set[tuple[str, str]] = set()
    rests: set[str] = set()
    for name in ("minutes.test.yml", "days.test.yml"):
        document = pyyaml.safe_load((SHIPPED / name).read_text(encoding="utf-8"))
        for test in document["tests"]:
            for each in test["alert_rule_test"]:
                told = each["exp_alerts"]
                fires |= {(each["alertname"], one["exp_labels"].get("window", "")) for one in told}
                rests |= set() if told else {each["alertname"]}
    rules = rules_of(alerting())
    assert fires == {(rule["alert"], rule["labels"].get("window", "")) for rule in rules}
    assert rests == set(ALERTS)


def test_the_yaml_says_what_the_data_says() -> None:
    """Any parser of YAML reads the rules that were made."""
    for goal in (Objectives(), OTHERS):
        for document in (recording(goal), alerting(goal)):
            assert pyyaml.safe_load(yaml(document)) == document


def test_every_alert_says_what_to_do() -> None:
    """A severity, a summary, a description with the value, and its section of the runbook."""
    rules = rules_of(alerting(Objectives(runbook="https://example.test/runbook")))

    assert list(dict.fromkeys(rule["alert"] for rule in rules)) == list(ALERTS)
    for rule in rules:
        notes = rule["annotations"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert "$labels." in notes["summary"]
        assert "$labels." in notes["description"]
        assert "$value" in notes["description"] or rule["alert"] == "AgentguardCircuitOpen"
        assert notes["runbook_url"] == f"https://example.test/runbook#{rule['alert'].lower()}"


NAMES = {
    part
    for each in INSTRUMENTS
    for part in (
        [f"{each.name}_bucket", f"{each.name}_count", f"{each.name}_sum"]
        if each.kind == "histogram"
        else [each.name]
    )
}


@pytest.mark.parametrize("goal", [Objectives(), OTHERS], ids=["defaults", "others"])
def test_queries_name_only_what_there_is(goal: Objectives) -> None:
    """Every name in every query is a metric of the definition, or is recorded by a rule."""
    recorded = {rule["record"] for rule in rules_of(recording(goal))}
    asked: set[str] = set()
    for rule in [*rules_of(recording(goal)), *rules_of(alerting(goal))]:
        asked |= set(
            re.findall(r"[a-z_]*:agentguard_\w+:\w+|(?<![\w:])agentguard_\w+", rule["expr"])
        )
    assert asked <= NAMES | recorded
    assert recorded - asked == set()  # and nothing is recorded in vain


def test_burn_rates_are_those_of_the_workbook() -> None:
    """Each uses up the share of 30 days' allowance in its window that the workbook gives it."""
    month = 30 * 24 * 3600
    shares = [round(burn.rate * burn.long / month, 4) for burn in BURNS]
    assert shares == [0.02, 0.05, 0.1, 0.1]
    assert [burn.long / burn.short for burn in BURNS] == [12] * 4


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"latency": 10}, "near it are 5.12, 10.24, 20.48"),
        ({"first_token": 1000}, "near it are 0.01 to 80"),
        ({"success": 0.9}, "above 0.9306"),
        ({"success": 99.5}, "below 1"),
        ({"budget": 80}, "not percents"),
        ({"least": 0}, "above 0"),
        ({"history": 3600}, "seven times"),
        ({"excused": ("nonsense",)}, "no kind of failure: there are rate_limited, "),
        ({"labels": ("a b",)}, "no label"),
    ],
)
def test_objectives_that_could_never_be_judged_are_refused(wrong: dict, told: str) -> None:
    """What would make an alert that never fires fails at once, and says what to write."""
    with pytest.raises(ValueError, match=told):
        Objectives(**wrong)


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option ends it with the sentence, and writes nothing."""
    with pytest.raises(SystemExit):
        main([str(tmp_path / "new"), "--latency", "10"])
    assert "near it are 5.12, 10.24, 20.48" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_files_say_how_they_were_made(tmp_path: Path) -> None:
    """The first line is the version, and the command that makes the same again."""
    options = ["--latency", "10.24", "--excused", "rejected", "control"]
    main([str(tmp_path), *options])
    first = (tmp_path / "alerts.rules.yml").read_text().splitlines()[0]
    assert first.endswith(f": python -m agentguard.monitoring . {' '.join(options)}")
    made = first.split(" . ")[1].split()
    main([str(tmp_path / "again"), *made])
    for name in files():
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize(
    "ask",
    [
        lambda ask: ask.rate("agentguard_nonsense_total", "5m"),
        lambda ask: ask.rate("agentguard_requests_total", "5m", "model"),
        lambda ask: ask.rate("agentguard_requests_total", "5m", outcome="fine"),
        lambda ask: ask.rate("agentguard_requests_total", "5m", user="ann"),
        lambda ask: ask.rate("agentguard_circuit_state", "5m"),
        lambda ask: ask.now("agentguard_requests_total"),
        lambda ask: ask.series("agentguard_request_duration_seconds"),
        lambda ask: ask.above(3, "agentguard_request_duration_seconds", "5m"),
    ],
    ids=["metric", "group", "value", "label", "gauge", "counter", "histogram", "bound"],
)
def test_a_query_of_what_there_is_not_cannot_be_made(ask) -> None:
    """A metric, label, value or bound that the definition lacks is refused where it is written."""
    with pytest.raises(LookupError):
        ask(Queries())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3600, "1h"), (5400, "90m"), (300, "5m"), (259200, "3d"), (604800, "1w"), (0.25, "250ms")],
)
def test_lengths_are_written_as_prometheus_reads_them(seconds: float, text: str) -> None:
    """The largest unit that says it exactly."""
    assert length(seconds) == text
