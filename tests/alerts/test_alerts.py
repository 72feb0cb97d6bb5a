"""Alerts: what is sent, how often, and what becomes of it when the receiver is not well."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import hmac
import logging
import os
import socket
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import agentguard as ag
from agentguard import alerts, events
from agentguard.alerts import posting
from agentguard.engine.records import CallRecord
from agentguard.testing import FakeRuntime
from tests.alerts.receiver import Answer, Receiver

PATIENCE = 30.0
"""Seconds, far more than any of this takes."""


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send again at once, unless the receiver asks for a pause."""
    monkeypatch.setattr(posting, "delay", lambda failures, chance: 0.0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Give a receiver that takes everything."""
    with Receiver() as receiver:
        yield receiver


def call(name: str = "ask", **tags: object) -> CallRecord:
    """Return a call that something happens in."""
    return CallRecord(name, 0.0, tags, None)


def opened(circuit: str = "openai m-1", **more: Any) -> events.CircuitOpened:
    """Return the event of a circuit that opened."""
    return events.CircuitOpened(call(**more), circuit, "5 failures in a row", 30.0)


def sent(receiver: Receiver, tell: alerts.Webhook) -> list[Any]:
    """Return all that has arrived."""
    assert tell.flush(PATIENCE)
    return [each.json for each in receiver.messages]


# What is sent


def test_a_circuit_that_opens_reaches_the_receiver(receiver: Receiver) -> None:
    """From a guarded function, through `on_event`, as JSON."""
    tell = alerts.webhook(receiver.url)

    @ag.guard(ag.on_event(events.CircuitOpened, tell), ag.breaker(fail_max=1, reset_timeout=30))
    def ask() -> str:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        ask()
    (message,) = sent(receiver, tell)
    assert message["event"] == "CircuitOpened"
    assert message["text"].endswith(
        "circuit opened for 30 s: 1 failures in a row, the last connection"
    )
    assert message["details"]["seconds"] == 30.0
    assert message["version"] == 1
    assert message["suppressed"] == 0


def test_a_threshold_of_a_budget_reaches_the_receiver(receiver: Receiver) -> None:
    """Each percentage by itself, though they come close together."""
    tell = alerts.webhook(receiver.url)

    @ag.guard(
        ag.on_event("BudgetThreshold", tell),
        ag.budget(requests=2, name="team", thresholds=(50, 100)),
    )
    def ask() -> dict[str, Any]:
        return {"model": "m", "choices": [{"message": {"content": "42"}}]}

    ask()
    ask()
    assert [each["details"] for each in sent(receiver, tell)] == [
        {"budget": "team", "unit": "requests", "percent": 50, "used": 1, "limit": 2},
        {"budget": "team", "unit": "requests", "percent": 100, "used": 2, "limit": 2},
    ]


def test_amounts_keep_their_digits(receiver: Receiver) -> None:
    """Dollars are decimals, and JSON's numbers are not."""
    tell = alerts.webhook(receiver.url)
    tell(events.BudgetThreshold(call(), "team", "usd", 80, Decimal("16.10"), Decimal(20)))
    (message,) = sent(receiver, tell)
    assert message["text"] == "ask: the budget team has reached 80 % of its limit: $16.10 of $20"
    assert message["details"]["used"] == "16.10"


def test_nobody_is_named_unless_asked_for(receiver: Receiver) -> None:
    """Users and tenants, and circuits that are kept for each of them, stay here."""
    user = "kim" + "@example.test"
    plain, named = alerts.webhook(receiver.url), alerts.webhook(receiver.url, tags=["tenant"])
    for tell in (plain, named):
        of = call(user=user, tenant="acme")
        tell(events.CircuitOpened(of, user, "5 failures in a row", 30.0, keyed=True))
    assert plain.flush(PATIENCE)
    messages = sent(receiver, named)
    assert sorted(str(each["tags"]) for each in messages) == ["{'tenant': 'acme'}", "{}"]
    assert user.encode() not in b"".join(each.body for each in receiver.messages)


def test_a_refusal_by_somebodys_circuit_does_not_name_them(receiver: Receiver) -> None:
    """What `breaker(key=)` tells apart is in no alert, and a flood of them is one."""
    user = "kim.minsu@example.com"
    tell = alerts.webhook(receiver.url)

    @ag.guard(
        ag.on_event(events.CircuitRejected, tell),
        ag.breaker(fail_max=1, key=lambda call: call.args[0]),
    )
    def ask(who: str) -> str:
        raise ConnectionError

    for who in (user, user, f"2.{user}", f"2.{user}"):
        with pytest.raises((ConnectionError, ag.errors.CircuitOpen)):
            ask(who)
    assert len(sent(receiver, tell)) == 1
    assert tell.suppressed == 1
    assert user.encode() not in b"".join(each.body for each in receiver.messages)


def test_an_event_of_ones_own_tells_its_name_alone(receiver: Receiver) -> None:
    """Nobody knows what it holds."""

    class Judged(events.Event):
        text = "planted"

    tell = alerts.webhook(receiver.url)
    tell(Judged(call()))
    (message,) = sent(receiver, tell)
    assert (message["event"], message["details"]) == ("Judged", {})


def test_half_a_character_loses_no_alert(receiver: Receiver) -> None:
    """A tag that is no valid text is sent as far as it is."""
    tell = alerts.webhook(receiver.url, tags=["tenant"])
    of = call(tenant="a\ud800b")
    tell(events.CircuitOpened(of, "openai", "5 failures in a row", 30.0))
    (message,) = sent(receiver, tell)
    assert message["tags"] == {"tenant": "a?b"}


def test_headers_go_along(receiver: Receiver) -> None:
    """As for a receiver that wants a token."""
    tell = alerts.webhook(receiver.url, headers={"Authorization": "Bearer " + "b2" * 8})
    tell(opened())
    sent(receiver, tell)
    headers = receiver.messages[0].headers
    assert headers["authorization"] == "Bearer " + "b2" * 8
    assert headers["content-type"] == "application/json"
    assert receiver.messages[0].path == "/hook/" + "a1" * 12


@pytest.mark.parametrize("encoded", [True, False], ids=["whsec", "plain"])
def test_a_message_is_signed(receiver: Receiver, encoded: bool) -> None:
    """As standardwebhooks.com says: HMAC-SHA256 of id, time and body."""
    key = b"k" * 24
    secret = "whsec_" + base64.b64encode(key).decode() if encoded else key.decode()
    tell = alerts.webhook(receiver.url, secret=secret)
    tell(opened())
    sent(receiver, tell)
    message = receiver.messages[0]
    name, at = message.headers["webhook-id"], message.headers["webhook-timestamp"]
    signed = f"{name}.{at}.".encode() + message.body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert message.headers["webhook-signature"] == f"v1,{digest}"
    assert int(at) > 1_700_000_000


def test_a_message_that_is_sent_again_keeps_its_id() -> None:
    """So that the receiver knows it for the same."""
    with Receiver(Answer(503), Answer(503)) as receiver:
        tell = alerts.webhook(receiver.url, secret="s3")
        tell(opened())
        sent(receiver, tell)
        assert len({each.headers["webhook-id"] for each in receiver.messages}) == 1
        assert len(receiver.messages) == 3


def test_a_template_says_what_is_sent(receiver: Receiver) -> None:
    """As another service wants it."""
    tell = alerts.webhook(receiver.url, template=lambda alert: {"summary": alert.text})
    tell(opened())
    assert sent(receiver, tell) == [
        {"summary": "ask: circuit opened for 30 s: 5 failures in a row"}
    ]


def test_slack_gets_blocks(receiver: Receiver) -> None:
    """A sentence, and below it what it is about; nothing in it is markup."""
    tell = alerts.slack(receiver.url, "#alerts", tags=("tenant",))
    tell(opened(name="<!channel> & co", tenant="acme"))
    (message,) = sent(receiver, tell)
    text = "&lt;!channel&gt; &amp; co: circuit opened for 30 s: 5 failures in a row"
    assert message["channel"] == "#alerts"
    assert message["text"] == text
    assert message["blocks"][0] == {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    (about,) = message["blocks"][1]["elements"]
    assert about["text"].startswith("CircuitOpened · ")
    assert about["text"].endswith(" · tenant acme · circuit openai m-1")


def test_slack_says_how_many_were_left_out(receiver: Receiver) -> None:
    """In the next message of the same circuit."""
    with FakeRuntime() as runtime:
        tell = alerts.slack(receiver.url, every="1m")
        for _ in range(4):
            tell(opened())
        runtime.advance(60)
        tell(opened())
    first, second = sent(receiver, tell)
    assert "channel" not in first
    assert "more like it" not in first["blocks"][1]["elements"][0]["text"]
    assert second["blocks"][1]["elements"][0]["text"].endswith("3 more like it since the last one")


# How often


def test_one_kind_and_subject_is_told_once_in_a_while(receiver: Receiver) -> None:
    """Others meanwhile are told, and the next one says how many were left out."""
    with FakeRuntime() as runtime:
        tell = alerts.webhook(receiver.url, every=60)
        for _ in range(10):
            tell(opened())
        tell(opened("anthropic m-2"))
        tell(events.CircuitClosed(call(), "openai m-1"))
        runtime.advance(59.9)
        tell(opened())
        runtime.advance(0.1)
        tell(opened())
    messages = sent(receiver, tell)
    assert [(each["event"], each["suppressed"]) for each in messages] == [
        ("CircuitOpened", 0),
        ("CircuitOpened", 0),
        ("CircuitClosed", 0),
        ("CircuitOpened", 10),
    ]
    assert tell.suppressed == 10


def test_keyed_circuits_are_one_subject(receiver: Receiver) -> None:
    """A thousand users whose circuits open are one alert."""
    tell = alerts.webhook(receiver.url)
    for user in range(1000):
        tell(events.CircuitOpened(call(), f"user {user}", "5 failures in a row", 30.0, keyed=True))
    assert len(sent(receiver, tell)) == 1
    assert tell.suppressed == 999


def test_a_flood_is_one_alert_and_a_count(receiver: Receiver) -> None:
    """10,000 events of one circuit from many threads."""
    tell = alerts.webhook(receiver.url)

    def flood() -> None:
        for _ in range(1250):
            tell(opened())

    threads = [threading.Thread(target=flood) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent(receiver, tell)) == 1
    assert tell.suppressed == 9_999
    assert tell.dropped == 0


def test_a_flood_of_subjects_fills_no_memory() -> None:
    """10,000 circuits while the receiver hangs: 256 wait, the others are counted."""
    gate = threading.Event()
    with Receiver(Answer(gate=gate)) as receiver:
        tell = alerts.webhook(receiver.url)
        tell(opened("the one that hangs"))
        while not receiver.messages:
            gate.wait(0.01)
        for number in range(10_000):
            tell(opened(f"circuit {number}"))
        assert tell.dropped == 10_000 - 256
        assert len(tell._rate._last) == 1024
        gate.set()
        assert tell.flush(PATIENCE)
        assert len(receiver.messages) == 257


def test_nothing_is_limited_with_nought_seconds(receiver: Receiver) -> None:
    """Every event is an alert."""
    tell = alerts.webhook(receiver.url, every=0)
    for _ in range(3):
        tell(opened())
    assert len(sent(receiver, tell)) == 3


# When the receiver is not well


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_a_busy_receiver_did_not_take_is_sent_again(status: int) -> None:
    """Until it does."""
    with Receiver(Answer(status), Answer(status)) as receiver:
        tell = alerts.webhook(receiver.url)
        tell(opened())
        assert len(sent(receiver, tell)) == 3
        assert tell.dropped == 0


def test_a_connection_that_breaks_is_made_again() -> None:
    """The receiver hung up without an answer."""
    with Receiver(Answer(hangs_up=True)) as receiver:
        tell = alerts.webhook(receiver.url)
        tell(opened())
        assert len(sent(receiver, tell)) == 2
        assert tell.dropped == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_is_not_wanted_is_not_sent_again(status: int) -> None:
    """It is dropped, counted, and what comes after it is sent."""
    with Receiver(Answer(status)) as receiver:
        tell = alerts.webhook(receiver.url)
        tell(opened())
        tell(opened("another"))
        assert len(sent(receiver, tell)) == 2
        assert tell.dropped == 1


def test_a_receiver_that_asks_for_a_pause_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry-After in seconds; of an hour a minute."""
    slept: list[float] = []
    monkeypatch.setattr(posting.time, "sleep", slept.append)
    answers = [Answer(429, {"Retry-After": "7"}), Answer(503, {"Retry-After": "3600"})]
    with Receiver(*answers) as receiver:
        post = posting.Post(receiver.url, 10, 3)
        post.send(b"{}", {})
    assert slept == [7.0, 60.0]


def test_pauses_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of `retry` do, with chance."""
    failures: list[int] = []
    monkeypatch.setattr(posting, "delay", lambda number, chance: failures.append(number) or 0.0)
    with Receiver(*[Answer(500)] * 9) as receiver:
        with pytest.raises(posting.Unreachable, match="answered 500, 4 times"):
            posting.Post(receiver.url, 10, 3).send(b"{}", {})
        assert len(receiver.messages) == 4
    assert failures == [1, 2, 3]


def test_no_redirect_is_followed() -> None:
    """The message would go to somebody else."""
    with Receiver() as other, Receiver(*[Answer(307, {"Location": other.url})] * 9) as receiver:
        tell = alerts.webhook(receiver.url)
        tell(opened())
        assert len(sent(receiver, tell)) == 1
        assert other.messages == []
        assert tell.dropped == 1


def test_a_receiver_that_is_absent_costs_nobody_anything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Calls go on, the alert is counted as dropped, and the log says so once, without the address."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    path = "T0" * 4 + "/secret" + "c3" * 8
    tell = alerts.webhook(f"http://127.0.0.1:{port}/{path}", retries=1)

    @ag.on_event(events.CallEnded, tell)
    def ask() -> str:
        return "42"

    with caplog.at_level(logging.DEBUG):
        assert [ask() for _ in range(3)] == ["42"] * 3
        tell(opened())
        assert tell.flush(PATIENCE)
    assert tell.dropped == 2
    assert tell.suppressed == 2
    assert caplog.text.count("sending to webhook failed (Unreachable)") == 1
    assert path not in caplog.text
    assert str(port) not in caplog.text


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_receiver_that_hangs_holds_no_call_up(is_async: bool) -> None:
    """All calls have ended before it has taken anything."""
    gate = threading.Event()
    with Receiver(Answer(gate=gate)) as receiver:
        tell = alerts.webhook(receiver.url, every=0)
        guard = ag.on_event(events.CallEnded, tell)
        if is_async:

            @guard
            async def aask() -> str:
                return "42"

            async def many() -> list[str]:
                return [await aask() for _ in range(100)]

            answers = asyncio.run(many())
        else:

            @guard
            def ask() -> str:
                return "42"

            answers = [ask() for _ in range(100)]
        assert answers == ["42"] * 100
        assert not tell.flush(0)
        gate.set()
        assert tell.flush(PATIENCE)
        assert len(receiver.messages) == 100


def test_a_handler_does_no_io_on_the_threads_of_calls(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It connects on the thread of its own queue."""
    threads: set[str] = set()
    connect = socket.socket.connect

    def watched(self: socket.socket, address: Any) -> None:
        threads.add(threading.current_thread().name)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    tell = alerts.webhook(receiver.url)
    tell(opened())
    sent(receiver, tell)
    assert threads == {"agentguard-webhook"}


def test_flush_of_the_library_sends_alerts(receiver: Receiver) -> None:
    """At shutdown one call is enough."""
    tell = alerts.webhook(receiver.url)
    tell(opened())
    assert ag.flush(PATIENCE)
    assert len(receiver.messages) == 1


def test_a_template_that_fails_loses_its_alert_alone(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted and logged; the next one is sent."""

    def template(alert: alerts.Alert) -> Any:
        if alert.event == "CircuitOpened":
            raise KeyError(alert.text)
        return {"text": alert.text}

    tell = alerts.webhook(receiver.url, template=template)
    tell(opened())
    tell(events.CircuitClosed(call(), "openai m-1"))
    assert sent(receiver, tell) == [{"text": "ask: circuit closed"}]
    assert tell.dropped == 1
    assert "sending to webhook failed (KeyError)" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_sends_its_own(receiver: Receiver) -> None:
    """The parent's queue stays with the parent; the child has a thread of its own."""
    tell = alerts.webhook(receiver.url)
    tell(opened("before"))
    assert tell.flush(PATIENCE)
    child = os.fork()
    if child == 0:
        tell(opened("in the child"))
        os._exit(0 if tell.flush(PATIENCE) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    told = [each["details"]["circuit"] for each in sent(receiver, tell)]
    assert told == ["before", "in the child"]


def test_a_handler_that_is_let_go_is_freed(receiver: Receiver) -> None:
    """Nothing in the library keeps it."""
    import weakref

    tell = alerts.webhook(receiver.url)
    rate = weakref.ref(tell._rate)
    del tell
    gc.collect()
    assert rate() is None


# How it is spelled


def test_an_address_is_never_shown() -> None:
    """Neither by the handler, nor by the policy, nor by `explain`."""
    path = "services/T0/B0/" + "d4" * 12
    tell = alerts.slack(f"https://hooks.example.test/{path}")
    policy = ag.on_event(events.CircuitOpened, tell)

    @policy
    def ask() -> str:
        return "42"

    for shown in (repr(tell), repr(policy), str(policy.explain()), str(ag.explain(ask))):
        assert path not in shown
        assert "example.test" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "hooks.example.test/" + "e5" * 8,
        "ftp://example.test/" + "e5" * 8,
        "file:///" + "e5" * 8,
        "https://",
        "https://example.test:port/" + "e5" * 8,
        "https://example.test/a b" + "e5" * 8,
        "https://example.test/a\r\nHost: b" + "e5" * 8,
        "https://[" + "e5" * 8,
    ],
)
def test_a_bad_address_is_refused_and_not_shown(url: str) -> None:
    """At once, saying what an address begins with."""
    with pytest.raises(ValueError, match=r"webhook\(url\) is an address .* https://") as caught:
        alerts.webhook(url)
    assert "e5e5" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"every": "often"}, ValueError, r'every=\) is a number of seconds, or as in "5m"'),
        ({"every": -1}, ValueError, r"every=\) must be positive"),
        ({"timeout": 0}, ValueError, r"timeout=\) must be positive"),
        ({"retries": -1}, ValueError, r"retries=\) must be at least 0"),
        ({"headers": "x"}, TypeError, r"headers=\) is a dict"),
        ({"headers": {"a": 1}}, TypeError, r"headers=\) is a dict of texts"),
        ({"headers": {"a": "b\r\nc: d"}}, ValueError, r"headers=\) has a line break"),
        ({"headers": {"a b": "c"}}, ValueError, r"headers=\) has a name with a sign"),
        ({"headers": {"a": "비밀"}}, ValueError, r"has a value with letters that no header"),
        ({"secret": 7}, TypeError, r"secret=\) is a text"),
        ({"secret": "whsec_???"}, ValueError, r"after which base64 is expected"),
        ({"tags": "tenant"}, TypeError, r"tags=\) is names of tags"),
        ({"template": "x"}, TypeError, r"template=\) takes a function of an Alert"),
    ],
    ids=str,
)
def test_bad_settings_are_told_at_once(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """With what to write instead."""
    with pytest.raises(error, match=message):
        alerts.webhook("https://example.test/", **options)


def test_a_url_must_be_a_text_and_a_channel_too() -> None:
    """A client in its place is named by its class."""
    with pytest.raises(TypeError, match=r"webhook\(url\) is a text, not int"):
        alerts.webhook(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r'slack\(channel=\) is a name, as in "#alerts"'):
        alerts.slack("https://example.test/", 3)  # type: ignore[arg-type]
