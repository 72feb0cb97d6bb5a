"""What leaves is masked, what comes back is restored, in every shape of callable."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Sequence

import pydantic
import pytest

import agentguard as ag
from agentguard import cache, context, errors, events, guard, mask_pii, report, retry
from agentguard.detect import Found
from tests.shapes import Harness, every_shape, stream_shapes, unary_shapes

KIM, LEE, PHONE = "kim@example.com", "lee@example.org", "010-1234-5678"


def go(harness: Harness, guards, *script, args=(), kwargs=None):
    """Call a model of this script once."""
    return harness.guard(guards, *script).call(*args, **(kwargs or {}))


def sent(run) -> list[object]:
    """What the model was given, of all calls."""
    return [(*call.args, *call.kwargs.values()) for call in run.calls]


@every_shape
def test_masked_out_and_restored_back(harness: Harness):
    """The model gets placeholders, its caller values."""
    run = go(
        harness, mask_pii(), "wrote to <EMAIL_1>, not <EMAIL_2>", args=(f"write to {KIM} or {LEE}",)
    )
    assert run.text == f"wrote to {KIM}, not {LEE}"
    assert sent(run) == [("write to <EMAIL_1> or <EMAIL_2>",)]


@stream_shapes
@pytest.mark.parametrize("size", range(1, 12))
def test_a_stream_in_any_pieces(harness: Harness, size: int):
    """However an answer is cut, it reads the same."""
    answer = "<EMAIL_1>, < email_2 > and \\<EMAIL\\_1\\>."
    pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
    run = go(harness, mask_pii(), pieces, args=(f"{KIM} {LEE}",))
    assert run.text == f"{KIM}, {LEE} and {KIM}."


@stream_shapes
def test_nothing_waits_that_need_not(harness: Harness):
    """Every piece that is no beginning of a placeholder goes out as it comes."""
    run = go(harness, mask_pii(), ["I ", "wrote", " <", "b> ", "<EMA", "IL_1>", "!"], args=(KIM,))
    assert [item for item in run.items if item] == ["I ", "wrote", " ", "<b> ", KIM, "!"]


@every_shape
def test_keywords_and_structures(harness: Harness):
    """Arguments by name, nested, and of classes; those of the caller stay as they were."""

    @dataclasses.dataclass
    class Person:
        mail: str

    person, data = Person(KIM), {"mails": [LEE, {"phone": PHONE}]}
    run = go(harness, mask_pii(), "ok", args=(person,), kwargs={"data": data})
    (call,) = run.calls
    assert call.args == (Person("<EMAIL_1>"),)
    assert call.kwargs == {"data": {"mails": ["<EMAIL_2>", {"phone": "<PHONE_1>"}]}}
    assert person.mail == KIM
    assert data == {"mails": [LEE, {"phone": PHONE}]}


class Answer(pydantic.BaseModel):
    """A structured answer."""

    to: str
    cc: list[str]


@unary_shapes
@pytest.mark.parametrize(
    ("answer", "restored"),
    [
        ({"to": "<EMAIL_1>", "<EMAIL_1>": 1}, {"to": KIM, KIM: 1}),
        (["<EMAIL_1>", 2], [KIM, 2]),
        (Answer(to="<EMAIL_1>", cc=["<EMAIL_1>"]), Answer(to=KIM, cc=[KIM])),
        (({"<EMAIL_1>"}, None), ({KIM}, None)),
        (7, 7),
    ],
    ids=["dict", "list", "pydantic", "set", "number"],
)
def test_structured_answers(harness: Harness, answer: object, restored: object):
    """Objects that a function returns get the values, in copies."""

    @harness_function(harness)
    def ask(question: str) -> object:
        return answer

    assert called(harness, ask, KIM) == restored


def harness_function(harness: Harness):
    """Decorate a function as one of this harness's kind, masked."""

    def decorate(fn):
        if not harness.is_async:
            return mask_pii()(fn)

        async def wrapped(*args, **kwargs):
            return fn(*args, **kwargs)

        return mask_pii()(wrapped)

    return decorate


def called(harness: Harness, fn, *args):
    """Call it."""
    return harness.wait_for(lambda: fn(*args)) if harness.is_async else fn(*args)


def test_streams_of_events():
    """Events that are dicts of nobody's protocol: a text goes on from one to the next."""

    @mask_pii()
    def ask(question: str):
        yield {"type": "start", "id": "<EMAIL_1>"}
        for piece in ("to <EM", "AIL", "_1", "> now <"):
            yield {"type": "token", "text": piece}
        yield {"type": "end"}

    items = list(ask(KIM))
    assert items[0] == {"type": "start", "id": KIM}
    assert "".join(each.get("text", "") for each in items) == f"to {KIM} now <"
    assert [each["type"] for each in items if each["type"] != "token"] == ["start", "end"]


@every_shape
def test_an_error_restores_nothing(harness: Harness):
    """What comes out of the call says what it said, with placeholders."""
    run = go(harness, mask_pii(), ValueError("bad <EMAIL_1>"), args=(KIM,))
    assert isinstance(run.error, ValueError)
    assert str(run.error) == "bad <EMAIL_1>"


@every_shape
def test_events_count_and_quote_nothing(harness: Harness):
    """How many of which type, in events and in a report."""
    run = go(harness, mask_pii(), "ok", args=(f"{KIM} {LEE} {PHONE} {KIM}",))
    (masked,) = run.heard(events.Masked)
    assert masked.counts == {"email": 3, "phone": 1}
    assert KIM not in repr(run.events)


def test_report_says_what_was_masked():
    """One line, no value."""
    with report() as seen:
        mask_pii()(lambda text, picture: "ok")(KIM, b"x")
    assert "masked 1 email" in str(seen)
    assert "not masked: bytes at picture" in str(seen)
    assert KIM not in str(seen)


# --- settings ---------------------------------------------------------------------------------


@every_shape
def test_entities(harness: Harness):
    """Only what was asked for is masked."""
    run = go(harness, mask_pii({"phone"}), "ok", args=(f"{KIM} {PHONE}",))
    assert sent(run) == [(f"{KIM} <PHONE_1>",)]


@every_shape
@pytest.mark.parametrize("strategy", ["redact", "partial", "hash"])
def test_other_strategies_are_not_restored(harness: Harness, strategy: str):
    """What stands there instead stays there."""
    policy = mask_pii(strategy=strategy, key="k" * 16)
    run = go(harness, policy, "you said [EMAIL]", args=(KIM,))
    assert KIM not in repr(sent(run))
    assert run.text == "you said [EMAIL]"


def test_pseudonyms_are_the_same_in_every_call():
    """With the same key, and with no other."""
    given: list[str] = []
    for key in ("a" * 16, "a" * 16, "b" * 16):
        mask_pii(strategy="hash", key=key)(given.append)(KIM)
    assert given[0] == given[1] != given[2]


@every_shape
def test_block(harness: Harness):
    """Nothing is sent; findings have types and places."""
    run = go(harness, mask_pii(strategy="block"), "ok", args=(f"to {KIM}",))
    assert isinstance(run.error, errors.InputRejected)
    (finding,) = run.error.findings
    assert (finding.rule, finding.start, finding.end) == ("email", 3, 3 + len(KIM))
    assert not run.calls
    assert len(run.heard(events.Rejected)) == 1
    assert KIM not in repr(run.error) + str(run.error) + repr(run.error.findings)


@every_shape
def test_restore_false(harness: Harness):
    """The answer keeps its placeholders."""
    run = go(harness, mask_pii(restore=False), "to <EMAIL_1>", args=(KIM,))
    assert run.text == "to <EMAIL_1>"


@every_shape
def test_answers(harness: Harness):
    """What the model brings up itself is masked, what the user wrote is restored."""
    run = go(harness, mask_pii(answers=True), f"<EMAIL_1> and {LEE}, {KIM}", args=(KIM,))
    assert run.text == f"{KIM} and <EMAIL_2>, {KIM}"


@every_shape
def test_attachments(harness: Harness):
    """Each is told of, with its place, or refused."""
    run = go(harness, mask_pii(), "ok", args=(["x", b"png"],))
    assert run.text == "ok"
    assert [(each.kind, each.where) for each in run.heard(events.Unmasked)] in (
        [("bytes", "args[0][1]")],
        [("bytes", "prompt[1]")],
    ) or run.heard(events.Unmasked)[0].kind == "bytes"
    run = go(harness, mask_pii(attachments="block"), "ok", args=(["x", b"png"],))
    assert isinstance(run.error, errors.InputRejected)
    assert not run.calls


class Broken:
    """A detector that fails, quoting the text."""

    def find(self, text: str) -> Sequence[Found]:
        raise ValueError(f"cannot read {text}")


@every_shape
def test_a_broken_detector_closes(harness: Harness):
    """Nothing is sent; the error names the detector and has neither the text nor a cause."""
    run = go(harness, mask_pii(detectors=[Broken()]), "ok", args=(KIM,))
    assert isinstance(run.error, errors.InputRejected)
    assert "Broken" in str(run.error)
    assert KIM not in str(run.error)
    assert run.error.__cause__ is run.error.__context__ is None
    assert not run.calls
    assert [each.then for each in run.heard(events.DetectorFailed)] == ["refused"]


@every_shape
def test_a_broken_detector_may_be_borne(harness: Harness):
    """The others still mask, and an event tells."""
    run = go(
        harness,
        mask_pii(detectors=[Broken()], on_error="open"),
        "to <EMAIL_1>",
        args=(f"{KIM} {PHONE}",),
    )
    assert run.text == f"to {KIM}"
    assert sent(run) == [("<EMAIL_1> <PHONE_1>",)]
    (failed,) = run.heard(events.DetectorFailed)
    assert ("Broken" in failed.detector, failed.error) == (True, "ValueError")


@every_shape
def test_a_structure_that_contains_itself(harness: Harness):
    """It is refused, by its place."""
    loop: list[object] = [KIM]
    loop.append(loop)
    run = go(harness, mask_pii(), "ok", args=(loop,))
    assert isinstance(run.error, errors.InputRejected)
    assert "contains itself" in str(run.error)
    assert not run.calls


def test_what_the_context_knows():
    """Names and addresses are found exactly, and only inside their block."""
    given: list[str] = []
    ask = mask_pii()(given.append)
    with context(known={"name": "Kim Minsu", "address": ["12 Main St"]}):
        ask("Kim Minsu lives at 12 Main St")
    ask("Kim Minsu")
    assert given == ["<NAME_1> lives at <ADDRESS_1>", "Kim Minsu"]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: mask_pii(attachments="hide"), "attachments"),
        (lambda: mask_pii(on_error="ignore"), "on_error"),
        (lambda: mask_pii(strategy="encrypt"), "strategy"),
        (lambda: mask_pii(strategy="hash"), "needs key="),
        (lambda: mask_pii({"emails"}), "emails"),
        (lambda: mask_pii("email"), "several types"),
        (lambda: mask_pii(conversation=7), "name of a tag"),
        (lambda: mask_pii(detectors=[len]), "find"),
        (lambda: mask_pii(salt="x"), "write key="),
        (lambda: ag.shadow(mask_pii()), "mask_pii"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_settings(make, told: str):
    """They fail where they are written."""
    with pytest.raises((TypeError, ValueError), match=told):
        make()


# --- vaults -----------------------------------------------------------------------------------


@every_shape
def test_each_call_has_its_own_vault(harness: Harness):
    """A placeholder of the call before stands for nothing."""
    subject = harness.guard(mask_pii(), "<EMAIL_1> <EMAIL_2>", repeat_last=True)
    assert subject.call(f"{KIM} {LEE}").text == f"{KIM} {LEE}"
    assert subject.call(PHONE).text == "<EMAIL_1> <EMAIL_2>"


@every_shape
def test_a_growing_history_keeps_its_placeholders(harness: Harness):
    """What is added to a conversation changes nothing before it."""
    subject = harness.guard(mask_pii(), "ok", repeat_last=True)
    history = [f"I am {KIM}", "hello", f"mail {LEE}"]
    first = subject.call(history)
    second = subject.call([*history, "done", f"{PHONE} {KIM}"])
    assert second.calls[0].args[0][:3] == first.calls[0].args[0]
    assert second.calls[0].args[0][4] == "<PHONE_1> <EMAIL_1>"


@every_shape
def test_placeholders_of_others_stay(harness: Harness):
    """A text that has `<EMAIL_1>` already is not mistaken for ours."""
    run = go(harness, mask_pii(), "<EMAIL_1> <EMAIL_2>", args=(f"what is <EMAIL_1>? {KIM}",))
    assert sent(run) == [("what is <EMAIL_1>? <EMAIL_2>",)]
    assert run.text == f"<EMAIL_1> {KIM}"


def test_a_block_is_a_conversation():
    """Its calls share placeholders, and `mask` and `restore` know them; another begins anew."""
    ask = retry()(lambda text: text)
    given: list[str] = []
    note = retry()(given.append)
    with mask_pii() as masked:
        assert ask(f"a {KIM}") == f"a {KIM}"
        note(f"b {LEE}")
        note(f"c {KIM}")
        assert masked.mask(f"log {LEE} {PHONE}") == "log <EMAIL_2> <PHONE_1>"
        assert masked.restore("<EMAIL_1>") == KIM
    assert given == ["b <EMAIL_2>", "c <EMAIL_1>"]
    with masked:
        assert masked.restore("<EMAIL_1>") == "<EMAIL_1>"
    with pytest.raises(RuntimeError, match="no vault"):
        masked.restore("<EMAIL_1>")


def test_users_share_no_vault_in_a_block():
    """A block around a whole server keeps its users apart."""
    ask = retry()(lambda text: "<EMAIL_1>")
    with mask_pii():
        with context(user="a"):
            assert ask(KIM) == KIM
        with context(user="b"):
            assert ask("hi") == "<EMAIL_1>"
            assert ask(LEE) == LEE
        with context(user="a"):
            assert ask("hi") == KIM


def test_one_block_in_many_threads():
    """Each thread that enters it has a vault of its own."""
    block, ask = mask_pii(), retry()(lambda text: "<EMAIL_1> <EMAIL_2>")
    gate, answers = threading.Barrier(8), {}

    def work(number: int) -> None:
        with block:
            gate.wait()
            answers[number] = ask(f"u{number}@example.com")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: f"u{n}@example.com <EMAIL_2>" for n in range(8)}


async def test_concurrent_calls_share_nothing():
    """A hundred tasks at once: everybody gets their own value."""

    @mask_pii()
    async def ask(text: str) -> str:
        await asyncio.sleep(0)
        return f"echo {text}"

    async def one(number: int) -> bool:
        mail = f"u{number}@example.com"
        return await ask(mail) == f"echo {mail}"

    assert all(await asyncio.gather(*(one(n) for n in range(100))))


def test_a_conversation_by_its_tag():
    """The context names it; those of other users are others, even of the same name."""
    given: list[str] = []
    ask = mask_pii(conversation="thread")(lambda text: given.append(text) or "<EMAIL_1>")
    with context(user="a", thread="t"):
        assert ask(KIM) == KIM
        assert ask(LEE) == KIM
    with context(user="b", thread="t"):
        assert ask("hi") == "<EMAIL_1>"
    with context(user="a", thread="u"):
        assert ask(LEE) == LEE
    assert ask(LEE) == LEE
    assert given == ["<EMAIL_1>", "<EMAIL_2>", "hi", "<EMAIL_1>", "<EMAIL_1>"]


def test_conversations_are_bounded(monkeypatch: pytest.MonkeyPatch):
    """The one that rested longest is forgotten; one with too many values is refused."""
    from agentguard.masking_calls import conversations
    from agentguard.policies import mask_pii as module

    monkeypatch.setattr(conversations, "MOST_CONVERSATIONS", 2)
    monkeypatch.setattr(module, "MOST_VALUES", 3)
    ask = mask_pii(conversation="thread")(lambda text: "<EMAIL_1>")

    def say(thread: str, text: str) -> str:
        with context(thread=thread):
            return ask(text)

    say("a", KIM)
    say("b", LEE)
    assert say("a", "hi") == KIM
    say("c", "hi")
    assert say("b", "hi") == "<EMAIL_1>"
    say("c", " ".join(f"u{n}@example.com" for n in range(4)))
    with pytest.raises(errors.InputRejected, match="more than 3 values"):
        say("c", "hi")


# --- calls inside calls -----------------------------------------------------------------------


def test_nested_masks_do_not_mask_twice():
    """An agent under a mask with a client under another: one vault, restored once, outermost."""
    given: list[str] = []
    seen: list[str] = []

    @mask_pii()
    def client(text: str) -> str:
        given.append(text)
        return f"{text} and <EMAIL_2>"

    @mask_pii()
    def agent(text: str) -> str:
        answer = client(f"{text}, cc {LEE}")
        seen.append(answer)
        return answer

    assert agent(f"to {KIM}") == f"to {KIM}, cc {LEE} and {LEE}"
    assert given == ["to <EMAIL_1>, cc <EMAIL_2>"]
    assert seen == ["to <EMAIL_1>, cc <EMAIL_2> and <EMAIL_2>"]


def test_guarded_calls_inside_are_masked():
    """Text that an agent adds is masked where its client is guarded, by whatever."""
    given: list[str] = []
    client = retry()(lambda text: given.append(text) or "to <EMAIL_2>")
    agent = mask_pii()(lambda text: client(f"{text}; boss is {LEE}") + "!")
    assert agent(KIM) == f"to {LEE}!"
    assert given == ["<EMAIL_1>; boss is <EMAIL_2>"]


@pytest.mark.parametrize("inner", [retry, mask_pii], ids=["retry", "mask"])
def test_a_tool_gets_values_and_its_result_is_masked(inner):
    """The world sees values, the model none; the same vault."""
    mailed: list[str] = []

    @guard(inner()).tool
    def send(to: str, *, note: dict[str, str]) -> str:
        mailed.append(f"{to} {note['cc']}")
        return f"sent to {to}, bounced from {LEE}"

    seen: list[str] = []

    @mask_pii()
    def agent(text: str) -> str:
        said = send("<EMAIL_1>", note={"cc": "<EMAIL_1>"})
        seen.append(said)
        return said

    assert agent(KIM) == f"sent to {KIM}, bounced from {LEE}"
    assert mailed == [f"{KIM} {KIM}"]
    assert seen == ["sent to <EMAIL_1>, bounced from <EMAIL_2>"]


def test_what_a_tool_asks_a_model_itself():
    """It is masked in the same vault, and the tool gets the values of the answer."""
    given: list[str] = []
    got: list[str] = []
    client = retry()(lambda text: given.append(text) or text)

    @guard(retry()).tool
    def look_up(who: str) -> str:
        got.append(client(f"about {who}"))
        return "done"

    assert mask_pii()(lambda text: look_up(text) + ".")(KIM) == "done."
    assert given == ["about <EMAIL_1>"]
    assert got == [f"about {KIM}"]


def test_what_a_tool_raises_says_no_value():
    """Agents tell the model of errors: type and identity stay, values go."""
    failure = ValueError(f"no user {KIM}")
    failure.add_note(f"asked for {LEE}")
    caught: list[Exception] = []

    @guard(retry(attempts=1)).tool
    def look_up(who: str) -> str:
        raise failure

    @mask_pii()
    def agent(text: str) -> str:
        try:
            look_up(text)
        except ValueError as error:
            caught.append(error)
        return "sorry"

    assert agent(KIM) == "sorry"
    assert caught == [failure]
    assert failure.args == ("no user <EMAIL_1>",)
    assert failure.__notes__[0] == "asked for <EMAIL_2>"


def test_a_tool_outside_of_a_masked_call():
    """It is called by the application itself, with values."""
    assert guard(mask_pii()).tool(lambda to: f"sent to {to}")(KIM) == f"sent to {KIM}"
    with mask_pii():
        assert guard(retry()).tool(lambda to: f"sent to {to}")(KIM) == f"sent to {KIM}"


async def test_async_agents_and_tools():
    """The same where all is awaited, at once for several."""

    @guard(retry()).tool
    async def send(to: str) -> str:
        await asyncio.sleep(0)
        return f"sent to {to}"

    @mask_pii()
    async def agent(text: str) -> str:
        return (await asyncio.gather(send(text), send("<EMAIL_1>")))[0]

    mails = [f"u{n}@example.com" for n in range(20)]
    answers = await asyncio.gather(*map(agent, mails))
    assert answers == [f"sent to {mail}" for mail in mails]


# --- with other policies ----------------------------------------------------------------------


@every_shape
def test_retries_send_the_same(harness: Harness):
    """Every attempt is masked, and masked alike."""
    run = go(
        harness,
        guard(mask_pii(), retry(attempts=3)),
        ConnectionError(),
        "to <EMAIL_1>",
        args=(KIM,),
    )
    assert run.text == f"to {KIM}"
    assert sent(run) == [("<EMAIL_1>",)] * 2


@every_shape
def test_a_cache_inside_serves_each_their_own(harness: Harness):
    """What is kept has placeholders: the same question of another is a hit, with their value."""
    subject = harness.guard(guard(mask_pii(), cache()), "to <EMAIL_1>")
    assert subject.call(KIM).text == f"to {KIM}"
    assert subject.call(LEE).text == f"to {LEE}"


def test_a_mask_inside_a_cache_is_told_of():
    """Then values would be in the cache."""
    with pytest.warns(UserWarning, match="mask_pii inside cache"):
        guard(cache(), mask_pii())


@every_shape
def test_judges_restore(harness: Harness):
    """A policy inside sees placeholders, and can read values."""
    told: list[str] = []

    class Judge(ag.Policy):
        async def around(self, call, next):
            told.append(call.restore("<EMAIL_1>"))
            return await next(call)

    go(harness, guard(mask_pii(), Judge()), "ok", args=(KIM,))
    assert told == [KIM]


# --- what people read -------------------------------------------------------------------------


def test_explain():
    """Settings, and what the mask cannot see."""
    ask = mask_pii({"email"}, attachments="block")(lambda text: text)
    told = ag.explain(ask)
    assert "entities=email" in told
    assert "Cannot see: text that the function adds" in told
    assert "images" not in told
    assert "Cannot see: what images, audio and files say" in ag.explain(guard(mask_pii()))


def test_reprs_hide():
    """Neither keys nor values."""
    policy = mask_pii(strategy="hash", key="secret-key-of-16-bytes")
    assert "secret-key" not in repr(policy)
    assert "secret-key" not in ag.explain(guard(policy))


async def test_a_long_prompt_does_not_hold_the_loop():
    """It is masked in a worker, so that others on the loop go on meanwhile."""
    ask = mask_pii()(_echo)
    text = f"{'Lorem ipsum dolor sit amet. ' * 40_000} {KIM}"
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    task = asyncio.create_task(beat())
    assert await ask(text) == text
    task.cancel()
    assert beats > 5


async def _echo(text: str) -> str:
    return text


def test_no_mask_for_a_request_that_goes_to_nobody():
    """A refusal by a policy further out reaches no detector."""
    asked: list[str] = []

    class Asked:
        def find(self, text: str) -> list[Found]:
            asked.append(text)
            return []

    ask = guard(ag.validate_input(max_chars=3), mask_pii(detectors=[Asked()]))(lambda text: text)
    with pytest.raises(errors.InputRejected):
        ask(KIM)
    assert asked == []
