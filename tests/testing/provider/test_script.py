"""Which answer comes next: scripts, outages, schedules, functions; and what is refused at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from agentguard.testing import FakeProvider, Fault, Received, fault
from tests.testing.provider import calls


def _ask(provider: FakeProvider, call: calls.Call = calls.openai_chat) -> str:
    """Call once and name the outcome: the answer's text, or the exception."""
    try:
        answer = call(provider, calls.PATIENT)
    except Exception as error:
        return calls.error_name(error)
    if call is calls.anthropic_create:
        return answer.content[0].text
    return answer.choices[0].message.content


def test_a_script_is_played_in_order_and_then_the_default(provider: FakeProvider) -> None:
    """Each request takes the next step; after the last one comes the default answer."""
    provider.script(fault.status(500), "plain text", fault.ok("last"))
    assert provider.pending == 3
    assert [_ask(provider) for _ in range(5)] == [
        "openai.InternalServerError",
        "plain text",
        "last",
        "Hello from the fake provider.",
        "Hello from the fake provider.",
    ]
    assert provider.pending == 0


def test_scripts_are_appended(provider: FakeProvider) -> None:
    """A second script continues the first one."""
    provider.script("one").script("two")
    assert [_ask(provider), _ask(provider)] == ["one", "two"]


def test_a_script_may_be_for_one_protocol(provider: FakeProvider) -> None:
    """`on=` a protocol, or the family before its dot, leaves other requests alone."""
    provider.script("for anthropic", on="anthropic").script("for openai", on="openai")
    assert _ask(provider, calls.anthropic_create) == "for anthropic"
    assert _ask(provider, calls.anthropic_create) == "Hello from the fake provider."
    assert _ask(provider) == "for openai"


def test_a_script_may_be_for_a_predicate(provider: FakeProvider) -> None:
    """`on=` a predicate sees the request's body."""

    def streamed(received: Received) -> bool:
        return received.stream

    provider.script(fault.empty(), on=streamed)
    assert _ask(provider) == "Hello from the fake provider."
    assert calls.openai_chat_stream(provider, calls.PATIENT) == []


def test_an_outage_lasts_until_recovery_and_keeps_the_script(provider: FakeProvider) -> None:
    """During `always` every request fails alike; scripted steps are still there afterwards."""
    provider.script("scripted").always(fault.status(503))
    assert [_ask(provider) for _ in range(3)] == ["openai.InternalServerError"] * 3
    provider.recover()
    assert [_ask(provider), _ask(provider)] == ["scripted", "Hello from the fake provider."]


def test_an_outage_may_be_of_one_protocol(provider: FakeProvider) -> None:
    """An outage of one provider leaves the other one up."""
    provider.always(fault.drop(), on="anthropic")
    assert _ask(provider) == "Hello from the fake provider."
    assert _ask(provider, calls.anthropic_create) == "anthropic.APIConnectionError"


def test_a_schedule_chooses_by_number(provider: FakeProvider) -> None:
    """A schedule sees every request's number, from 1, and may leave it to the default."""
    provider.schedule(lambda n, received: fault.status(429) if n % 2 else None)
    assert [_ask(provider) for _ in range(4)] == [
        "openai.RateLimitError",
        "Hello from the fake provider.",
    ] * 2


def test_the_answer_may_be_a_function_of_the_request() -> None:
    """The default answer may be computed from the body, or be a fault."""

    def answer(body: Any) -> str | Fault:
        asked = body["messages"][0]["content"]
        return fault.status(401) if body["model"] == "secret" else f"you said: {asked}"

    with FakeProvider(answer=answer) as provider:
        assert _ask(provider) == "you said: how are you"
        with calls.openai_client(provider) as client, pytest.raises(Exception, match="401"):
            client.chat.completions.create(model="secret", messages=calls.PROMPT)


def test_a_script_step_without_text_says_the_default_of_a_function() -> None:
    """A fault in the middle of an answer breaks the answer that the function would have given."""
    with FakeProvider(answer=lambda body: "one two three four") as provider:
        provider.script(fault.cut(after=3))
        chunks = calls.openai_chat_stream(provider, calls.PATIENT)
    assert [c.choices[0].delta.content for c in chunks[1:]] == ["one", " two", " three"]


def test_a_function_that_raises_is_not_hidden() -> None:
    """An exception of the user's own function comes out of close(), in the user's thread."""
    provider = FakeProvider(answer=lambda body: body["no such field"]).start()
    assert _ask(provider) == "openai.APIConnectionError"
    with pytest.raises(RuntimeError, match="could not answer") as caught:
        provider.close()
    assert isinstance(caught.value.__cause__, KeyError)


def test_concurrent_requests_share_one_script(provider: FakeProvider) -> None:
    """Each step is played exactly once, however many clients ask at the same time."""
    import httpx2

    provider.script(*(f"step {n}" for n in range(40)))
    body = {"model": "m", "messages": calls.PROMPT}
    texts: list[str] = []

    def work() -> None:
        with httpx2.Client(timeout=calls.PATIENT) as client:
            for _ in range(5):
                answer = client.post(f"{provider.openai_url}/chat/completions", json=body).json()
                texts.append(answer["choices"][0]["message"]["content"])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts) == sorted(f"step {n}" for n in range(40))


def test_clear_forgets_everything_but_keeps_serving(provider: FakeProvider) -> None:
    """After `clear` there is no script, outage, schedule or journal."""
    provider.script(fault.drop()).always(fault.status(500)).schedule(lambda n, r: fault.drop())
    _ask(provider)
    provider.clear()
    assert provider.journal == []
    assert _ask(provider) == "Hello from the fake provider."


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("fault.status(429, retry_afer=2)", "retry_after"),
        ('fault.ok(chunk=["a"])', "chunks"),
        ("fault.cut(ech=1)", "each"),
        ('fault.status(429, "rate_limited")', "rate_limit"),
        ('fault.error("overload")', "overloaded"),
        ('fault.error(event="failed")', "response.failed"),
        ('fault.status(429, form="millis")', "seconds"),
        ("fault.status(200)", "fault.ok"),
        ("fault.slow()", "first="),
        ("fault.slow(first=-1)", "not negative"),
        ("fault.stall(-1)", "not negative"),
        ('fault.ok("a", chunks=["a"])', "chunks="),
        ('fault.ok(chunks="abc")', "list of str"),
        ('fault.ok(usage={"prompt_tokens": 1})', "cache_write"),
        ('fault.ok(finish="end_turn")', "tool_calls"),
        ("fault.cut(after=None)", "before the headers"),
        ("fault.drop(after=-1)", "opening"),
        ('fault.drop(after="middle")', "opening"),
        ("fault.drop(after=True)", "opening"),
    ],
)
def test_what_is_wrong_fails_at_once_with_the_right_spelling(wrong: str, hint: str) -> None:
    """A misspelt or senseless fault is refused where it is written, saying what would do."""
    with pytest.raises((TypeError, ValueError), match=hint):
        eval(wrong, {"fault": fault})


def test_wrong_steps_and_selections_are_refused(provider: FakeProvider) -> None:
    """Scripting something that is no step, or for no known protocol, fails at once."""
    with pytest.raises(TypeError, match="fault"):
        provider.script(429)
    with pytest.raises(ValueError, match=r"openai\.chat"):
        provider.script("x", on="opena")
    with pytest.raises(TypeError, match="predicate"):
        provider.always("x", on=3)


@pytest.mark.parametrize(
    "drawn",
    [
        "fault.status(429, 'rate_limit', retry_after=2)",
        "fault.ok('hello', each=0.01)",
        "fault.ok(tools=[('weather', {'city': 'Oslo'})])",
        "fault.cut(after='finish')",
        "fault.drop()",
        "fault.stall(0.5, after=3)",
        "fault.error('overloaded', after=0)",
        "fault.error('overloaded', after=1, event='response.failed')",
        "fault.truncated()",
    ],
)
def test_the_repr_of_a_fault_makes_it_again(drawn: str) -> None:
    """A fault draws itself as the call that makes an equal one."""
    made = eval(drawn, {"fault": fault})
    assert repr(made) == drawn
    assert made == eval(drawn, {"fault": fault})
    assert len({made, eval(drawn, {"fault": fault})}) == 1
    assert made != fault.ok("something else")
