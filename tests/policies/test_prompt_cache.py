"""prompt_cache(): where marks go, what they save, which prompts keep changing; SDKs over HTTP."""

from __future__ import annotations

import asyncio
import copy
import functools
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, Final

import anthropic
import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard import (
    budget,
    carry,
    context,
    describe,
    errors,
    events,
    explain,
    fallback,
    guard,
    prompt_cache,
    report,
    retry,
    usage,
)
from agentguard.testing import FakeProvider, FakeRuntime, fault
from tests.providers.sdk_targets import version
from tests.scenarios.ways import (
    anthropic_client,
    async_anthropic_client,
    at_once,
    openai_client,
)

MODEL: Final = "claude-sonnet-4-6"  # caches from 1,024 tokens on
MARK: Final = {"type": "ephemeral"}
HOUR: Final = {"type": "ephemeral", "ttl": "1h"}
LONG: Final = "w " * 1500
USER: Final[dict[str, Any]] = {"role": "user", "content": "how are you"}
TOOL: Final[dict[str, Any]] = {
    "name": "look",
    "description": "d " * 299,
    "input_schema": {"type": "object", "properties": {}},
}


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider(answer="fine") as running:
        yield running


def marks(body: Any) -> list[str]:
    """Where marks stand in a request."""
    found: list[str] = []

    def look(node: Any, path: str) -> None:
        if isinstance(node, dict):
            if "cache_control" in node:
                found.append(path)
            for key, value in node.items():
                look(value, f"{path}.{key}".lstrip("."))
        elif isinstance(node, list):
            for index, value in enumerate(node):
                look(value, f"{path}[{index}]")

    look(body, "")
    order = ("", "tools", "system", "messages")
    return sorted(found, key=lambda place: order.index(place.partition("[")[0]))


def unmarked(node: Any) -> Any:
    """A request as it was before it was marked: no marks, and texts that became blocks as texts."""
    if isinstance(node, dict):
        if set(node) == {"type", "text", "cache_control"}:
            return ["text", node["text"]]
        return {key: unmarked(value) for key, value in node.items() if key != "cache_control"}
    if isinstance(node, list):
        inner = [unmarked(value) for value in node]
        return inner[0][1] if len(inner) == 1 and inner[0][:1] == ["text"] else inner
    return node


def claude(**body: Any) -> dict[str, Any]:
    """A request to Claude."""
    return {"model": MODEL, "max_tokens": 9, "messages": [USER], **body}


def sent(provider: FakeProvider, policy: Any, *bodies: dict[str, Any]) -> list[list[str]]:
    """Where the requests are marked when they are sent in turn."""
    with anthropic_client(provider) as client:
        safe = guard(policy)(client)
        for body in bodies:
            safe.messages.create(**body)
    return [marks(each.body) for each in provider.journal[-len(bodies) :]]


# What it saves


def test_ten_turns_of_an_agent_are_mostly_read_from_the_cache(provider):
    """Each request pays in full for nothing, a write for what is new, and a tenth for the rest."""
    provider.always(fault.ok(tools=[("look", {"query": "x"})]))
    messages: list[Any] = [{"role": "user", "content": "q " * 100}]
    with anthropic_client(provider) as client, usage() as used, report() as told:
        safe = guard(prompt_cache())(client)
        for _ in range(10):
            answer = safe.messages.create(
                **claude(system=LONG, tools=[TOOL], messages=messages, max_tokens=50)
            )
            result = {
                "type": "tool_result",
                "tool_use_id": answer.content[0].id,
                "content": "r " * 200,
            }
            messages += [
                {"role": "assistant", "content": answer.content},
                {"role": "user", "content": [result]},
            ]
    first, turn = 300 + 1500 + 100, 2 + 200
    reads = [0, *(first + turn * number for number in range(9))]
    writes = [first, *[turn] * 9]
    found = [(call.usage.cached_tokens, call.usage.cache_write_tokens) for call in told.calls]
    assert found == list(zip(reads, writes, strict=True))
    assert used.input_tokens == sum(reads) + sum(writes) == 28_090
    assert (used.cached_tokens, used.cache_write_tokens) == (24_372, 3_718)
    assert used.saved == Decimal("0.0630159")  # 24,372 at 3.00 - 0.30, less 3,718 at 3.75 - 3.00
    plain = used.cost + used.saved
    assert used.saved / plain > Decimal("0.7")
    assert "saved by caches: $0.0630159" in str(used)
    assert "saved -$0.001425" in str(told)  # the first has only written
    assert told.calls[1].figures.saved == Decimal("0.0049785")


def test_long_turns_are_read_back_too(provider):
    """A turn of more blocks than a mark looks back upon: the second mark finds what was written."""
    policy, safe_turn = prompt_cache(), [{"type": "text", "text": f"t{n}"} for n in range(60)]
    first = [{"role": "user", "content": "q " * 1100}]
    later = [*first, {"role": "assistant", "content": "a"}, {"role": "user", "content": safe_turn}]
    with anthropic_client(provider) as client, report() as told:
        safe = guard(policy)(client)
        for messages in (first, later):
            safe.messages.create(**claude(tools=[TOOL], messages=messages))
    assert told.calls[1].usage.cached_tokens == 300 + 1100


def test_an_hour_costs_more_and_lasts_longer(provider):
    """`ttl="1h"` goes with every mark."""
    with FakeRuntime() as time, anthropic_client(provider) as client, report() as told:
        safe = guard(prompt_cache(ttl="1h"))(client)
        for _ in range(2):
            safe.messages.create(**claude(system=LONG))
            time.advance(3000)
    assert [call.usage.cached_tokens for call in told.calls] == [0, 1500]
    assert told.calls[0].usage.cache_write_1h_tokens == 1500
    assert told.calls[0].figures.saved == -1500 * (Decimal(6) - 3) / 1_000_000


def test_a_stream_tells_the_same(provider):
    """What was written for an hour, and what was read, stands in its events."""
    with anthropic_client(provider) as client, usage() as used:
        create = guard(prompt_cache(ttl="1h"))(client).messages.create
        for _ in range(2):
            for _ in create(**claude(system=LONG), stream=True):
                pass
    assert used.cached_tokens == used.cache_write_tokens == 1500
    assert used.usage.cache_write_1h_tokens == 1500
    assert used.saved == 1500 * (Decimal("2.7") - 3) / 1_000_000


# Where marks go


def test_marks_go_where_they_pay(provider):
    """The end of the tools, of the system prompt, and of the conversation now and a turn ago."""
    said = {"role": "assistant", "content": "a"}
    body = claude(tools=[TOOL, TOOL], system=LONG, messages=[USER, said, USER, said, USER])
    body["tools"][1] = {**TOOL, "name": "other", "description": "d " * 900}
    before = copy.deepcopy(body)
    (found,) = sent(provider, prompt_cache(), body)
    assert found == ["tools[1]", "system[0]", "messages[2].content[0]", "messages[4].content[0]"]
    assert body == before
    assert unmarked(provider.journal[-1].body) == before


def test_a_question_alone_is_not_written(provider):
    """Nobody will read it back; the system prompt in front of it somebody will."""
    bodies = [claude(system=LONG, messages=[{"role": "user", "content": "q " * 2000}])] * 2
    assert sent(provider, prompt_cache(), *bodies) == [["system[0]"]] * 2


def test_a_document_is_written_when_it_comes_again(provider):
    """In front of the question to it: the first time nobody knows that there will be another."""
    document = {"type": "text", "text": LONG}

    def asked(question: str) -> dict[str, Any]:
        blocks = [document, {"type": "text", "text": question}]
        return claude(messages=[{"role": "user", "content": blocks}])

    bodies = [asked(question) for question in ("one", "two", "three")]
    place = ["messages[0].content[0]"]
    assert sent(provider, prompt_cache(), *bodies) == [[], place, place]


def test_what_is_too_short_is_left_as_it_is(provider):
    """No mark where none could work: a token is a byte at least."""
    body = claude(system="w" * 500, messages=[USER, {"role": "assistant", "content": "a"}, USER])
    assert sent(provider, prompt_cache(), body) == [[]]
    assert sent(provider, prompt_cache(), body | {"system": "w" * 1024}) != [[]]
    assert sent(provider, prompt_cache(), body | {"system": "", "model": "claude-opus-5"}) == [[]]


@pytest.mark.parametrize(
    "own",
    [
        {"cache_control": MARK},
        {"system": [{"type": "text", "text": LONG, "cache_control": MARK}]},
        {"tools": [{**TOOL, "cache_control": MARK}], "system": LONG},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": LONG, "cache_control": MARK}]}
            ]
        },
    ],
    ids=["whole", "system", "tools", "messages"],
)
def test_a_request_that_is_marked_is_left_alone(provider, own):
    """The caller's own marks are all there are."""
    body = claude(**own)
    if "cache_control" in own:  # older SDKs do not know it
        body["extra_body"] = {"cache_control": body.pop("cache_control")}
    (found,) = sent(provider, prompt_cache(), body)
    assert len(found) == 1
    assert sent(provider, prompt_cache(), claude(tools=[TOOL], system=LONG)) != [found]


def test_marks_avoid_blocks_that_take_none(provider):
    """Blank texts, thoughts, tools that are loaded later, results that the model's code asked for."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    call = {"type": "tool_use", "id": "1", "name": "look", "input": {}}
    by_code = {**call, "caller": {"type": "code_execution_20260120", "tool_id": "2"}}
    result = {"type": "tool_result", "tool_use_id": "1", "content": "r"}
    body = claude(
        system=[{"type": "text", "text": LONG}, {"type": "text", "text": " \n"}],
        tools=[{**TOOL, "description": "d " * 900}, {**TOOL, "defer_loading": True}],
        messages=[
            {
                "role": "user",
                "content": [{"type": "text", "text": "q"}, {"type": "text", "text": ""}],
            },
            {"role": "assistant", "content": [thought, by_code]},
            {"role": "user", "content": [{"type": "text", "text": "see"}, result]},
            {"role": "assistant", "content": [{"type": "text", "text": "It is"}]},
        ],
    )
    with anthropic_client(provider) as client:
        # a method takes anything; over the guarded client the SDK checks more
        guard(prompt_cache())(client.messages.create)(**body)
    assert marks(provider.journal[-1].body) == [
        "tools[0]",
        "system[0]",
        "messages[0].content[0]",
        "messages[2].content[0]",
    ]


WAYS: Final = ["create", "stream", "manager", "beta", "method", "raw"]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_ask(provider, way):
    """Streams, their managers, beta messages, raw responses, a method by itself."""
    body = claude(system=LONG)
    with anthropic_client(provider) as client:
        safe = guard(prompt_cache())(client)
        if way == "stream":
            assert list(safe.messages.create(**body, stream=True))
        elif way == "manager":
            with safe.messages.stream(**body) as stream:
                assert stream.get_final_text() == "fine"
        elif way == "beta":
            safe.beta.messages.create(**body)
        elif way == "method":
            guard(prompt_cache())(client.messages.create)(**body)
        elif way == "raw":
            safe.messages.with_raw_response.create(**body)
        else:
            safe.messages.create(**body)
    assert marks(provider.journal[-1].body) == ["system[0]"]


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_asynchronously(provider, stream):
    """From the same coroutine; calls at once share the policy."""

    async def use() -> None:
        async with async_anthropic_client(provider) as client:
            create = guard(prompt_cache())(client).messages.create

            async def one(number: int) -> None:
                content = [{"role": "user", "content": f"{number}"}]
                answer = await create(**claude(system=LONG, messages=content), stream=stream)
                if stream:
                    assert [each async for each in answer]

            await asyncio.gather(*map(one, range(20)))

    asyncio.run(use())
    assert [marks(each.body) for each in provider.journal] == [["system[0]"]] * 20


if version("google-auth") >= 0:

    def test_vertex_is_claude_too(provider):
        """Its client rewrites the path and takes the model out of the body, further in."""
        client = anthropic.AnthropicVertex(
            region="eu", project_id="p", access_token="t", base_url=provider.url, max_retries=0
        )
        with pytest.raises(anthropic.NotFoundError):
            guard(prompt_cache())(client).messages.create(**claude(system=LONG))
        client.close()
        assert marks(provider.journal[0].body) == ["system[0]"]


def test_what_takes_a_request_like_the_sdks(provider):
    """A function around a method, as far as `functools.wraps` tells; a partial with its arguments."""
    with anthropic_client(provider) as client:

        @guard(prompt_cache())
        @functools.wraps(client.messages.create)
        def ask(**body: Any) -> Any:
            return client.messages.create(**body)

        ask(**claude(system=LONG))
        bound = functools.partial(client.messages.create, system=LONG, model=MODEL, max_tokens=9)
        guard(prompt_cache())(bound)(messages=[USER])
    assert [marks(each.body) for each in provider.journal] == [["system[0]"]] * 2


TEXTS: Final = st.text(st.sampled_from("ab \n"), max_size=6).map(lambda text: text * 400)
BLOCKS: Final = st.one_of(
    TEXTS.map(lambda text: {"type": "text", "text": text}),
    st.just({"type": "thinking", "thinking": "hm", "signature": "s"}),
    st.just({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}),
    st.just({"type": "tool_use", "id": "1", "name": "t", "input": {"cache_control": "x"}}),
    st.just({"type": "tool_result", "tool_use_id": "1", "content": "r"}),
    st.just(
        {"type": "tool_result", "tool_use_id": "2", "content": [{"type": "text", "text": "r"}]}
    ),
    st.just({"type": "server_tool_use", "id": "3", "name": "web_search", "input": {}}),
)
REQUESTS: Final = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.sampled_from(["user", "assistant"]),
                    "content": st.one_of(TEXTS, st.lists(BLOCKS, max_size=4)),
                }
            ),
            min_size=1,
            max_size=6,
        )
    },
    optional={
        "system": st.one_of(
            TEXTS, st.lists(TEXTS.map(lambda t: {"type": "text", "text": t}), max_size=3)
        ),
        "tools": st.lists(
            st.sampled_from([TOOL, {**TOOL, "defer_loading": True}, {**TOOL, "name": "other"}]),
            max_size=3,
        ),
        "model": st.sampled_from([MODEL, "claude-opus-5", "claude-opus-4-7"]),
    },
)


def test_whatever_the_request():
    """Never more than four marks, none where none may stand, the rest and the caller's as they were."""
    with FakeProvider(answer="fine") as provider, anthropic_client(provider) as client:

        @settings(max_examples=100, deadline=None)
        @given(request=REQUESTS, ttl=st.sampled_from(["5m", "1h"]))
        def check(request: dict[str, Any], ttl: Any) -> None:
            body = claude(**request)
            before = copy.deepcopy(body)
            client.messages.create(**body)
            guard(prompt_cache(ttl=ttl))(client).messages.create(**body)
            assert body == before
            plain, found = provider.journal[-2:]
            assert (plain.status, found.status) == (200, 200)
            well_marked(plain.body, found.body, HOUR if ttl == "1h" else MARK)

        check()


def well_marked(plain: Any, found: Any, mark: dict[str, str]) -> None:
    """Compare a request with the same one marked."""
    places = [place for place in marks(found) if not place.endswith(".input")]
    assert len(places) <= 4
    for block in map(found_at(found), places):
        assert block["cache_control"] == mark
        assert block.get("type") not in {"thinking", "tool_use", "server_tool_use"}
        assert not block.get("defer_loading")
        assert block.get("type") != "text" or block["text"].strip()
    for place in places:
        strip(plain, found, place)
    assert found == plain


def found_at(body: Any) -> Any:
    """What stands at a place."""

    def find(place: str) -> Any:
        node = body
        for step in place.replace("[", ".").replace("]", "").split("."):
            node = node[int(step) if step.isdigit() else step]
        return node

    return find


def strip(plain: Any, found: Any, place: str) -> None:
    """Take a mark away again, and a block that was made to carry it."""
    del found_at(found)(place)["cache_control"]
    path = place.rpartition("[")[0]
    if isinstance(found_at(plain)(path), str):
        (block,) = found_at(found)(path)
        outer, _, last = path.rpartition(".")
        (found_at(found)(outer) if outer else found)[last] = block["text"]


class Quiet(anthropic.resources.Messages):
    """Anthropic's messages without a server."""

    def create(self, **body: Any) -> Any:
        """Answer with what would be sent."""
        return body


JUNK: Final = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(), st.just(object()), st.just("w " * 600)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["role", "type", "text", "content", "name", "caller", "cache_control"]),
            st.one_of(inner, st.sampled_from(["user", "assistant", "text", "tool_result"])),
            max_size=4,
        ),
    ),
    max_leaves=12,
)


def test_no_request_breaks_it():
    """What is no request is the SDK's to refuse: it gets what there is."""
    with anthropic.Anthropic(api_key="k") as client:
        create = guard(prompt_cache())(Quiet(client).create)

        @settings(max_examples=200, deadline=None)
        @given(
            body=st.fixed_dictionaries(
                {"messages": JUNK, "model": JUNK}, optional={"system": JUNK, "tools": JUNK}
            )
        )
        def check(body: dict[str, Any]) -> None:
            assert create(**body).keys() == body.keys()

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check()


def test_threads_share_what_was_seen(provider):
    """One policy object serves them all: no mark is lost and nothing is told."""
    texts = [f"{number} {LONG}" for number in range(8)]
    with anthropic_client(provider) as client, report() as told:
        create = guard(prompt_cache())(client).messages.create
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(carry(lambda text: create(**claude(system=text))), texts * 10))
    assert [marks(each.body) for each in provider.journal] == [["system[0]"]] * 80
    assert len(told.calls) == 80
    assert not heard(told)


# Others


def test_a_fallback_gets_no_marks(provider):
    """It is called past the marks, and gets the request that the caller has written."""
    provider.script(fault.status(529), on="anthropic")
    with anthropic_client(provider) as client, openai_client(provider) as other:

        def instead(**body: Any) -> Any:
            return other.chat.completions.create(model="gpt-5", messages=body["messages"])

        said = {"role": "assistant", "content": "a"}
        body = claude(system=LONG, messages=[USER, said, USER])
        safe = guard(fallback(instead), retry(attempts=1), prompt_cache())(client)
        safe.messages.create(**body)
    primary, backup = provider.journal
    assert marks(primary.body)
    assert backup.body["messages"] == body["messages"]


def test_a_retry_marks_alike(provider):
    """Each attempt is marked anew, and the prefix has not changed by it."""
    provider.script(fault.status(529), fault.status(529))
    with anthropic_client(provider) as client, report() as told:
        guard(at_once(), prompt_cache())(client).messages.create(**claude(system=LONG))
    assert [marks(each.body) for each in provider.journal] == [["system[0]"]] * 3
    assert not heard(told)


def test_a_budget_sets_aside_what_a_write_costs(provider):
    """It sees the marks: where it must count, the input is what may be written to the cache."""
    asked: list[Any] = []
    with anthropic_client(provider) as client:
        for policies in ([], [prompt_cache()]):
            small = budget(usd=0.000001, max_output=1)
            with pytest.raises(errors.BudgetExceeded) as caught:
                guard(small, *policies)(client).messages.create(**claude(system=LONG))
            asked.append(caught.value.asked)
    assert asked[1] / asked[0] > Decimal("1.24")


def test_what_guards_a_function_sees_no_request():
    """It is told that there was none; the call goes on."""

    @prompt_cache
    def ask(question: str) -> str:
        return question

    with report() as told, pytest.warns(UserWarning, match="prompt_cache cannot act on .*ask"):
        assert ask("?") == "?"
    assert ask("?") == "?"  # it is said once
    assert [type(event) for event in told.calls[0].events][1:3] == [
        events.AttemptStarted,
        events.Blind,
    ][::-1]


def test_how_it_is_spelled():
    """Bare, with a lifetime, and what happens to other spellings."""
    assert repr(prompt_cache(ttl="1h")) == "prompt_cache(ttl='1h')"
    with pytest.raises(ValueError, match='"5m" or "1h"'):
        prompt_cache(ttl="2h")
    with pytest.raises(TypeError, match="ttl="):
        prompt_cache(cache_control=MARK)
    with anthropic.Anthropic(api_key="k") as client:
        safe = guard(prompt_cache())(client)
        assert "prompt_cache: ttl=5m" in explain(safe)
        assert describe(safe)["policies"][0] == {
            "name": "prompt_cache",
            "ttl": "5m",
            "state": "this process",
        }
    with pytest.warns(UserWarning, match="prompt_cache outside fallback"):
        guard(prompt_cache(), fallback(print))


# Prompts that keep changing


def heard(told: report) -> list[events.PrefixChanged]:
    """The events about changed prefixes."""
    found = (event for call in told.calls for event in call.events)
    return [event for event in found if isinstance(event, events.PrefixChanged)]


def at(number: int) -> str:
    """A system prompt with the time in it."""
    return f"You help. Current time: 2026-11-23 00:{number:02}:59. Rules: {LONG * 3}"


def test_a_timestamp_in_the_system_prompt_is_told(provider):
    """Where, and what it looks like; once a minute; and it is not written to the cache any more."""
    secret = "Current time"
    bodies = [
        claude(system=at(number), tools=[{**TOOL, "description": "d " * 900}])
        for number in range(8)
    ]
    policy = prompt_cache()
    with FakeRuntime() as time, report() as told:
        with pytest.warns(UserWarning, match="keep changing") as warned:
            found = sent(provider, policy, *bodies[:6])
        assert [(each.where, each.position, each.cause) for each in heard(told)] == [
            ("system", 32, "a date or time")
        ]
        assert "the prompt keeps changing in system from character 32: a date or time" in str(told)
        time.advance(61)
        found += sent(provider, policy, *bodies[6:])
        assert len(heard(told)) == 2
    places = ["tools[0]", "system[0]", "messages[0].content[0]"]
    assert found == [*[places] * 3, *[["tools[0]"]] * 5]
    (only,) = warned
    assert "in system from about character 32 on (it looks like a date or time)" in str(
        only.message
    )
    assert secret not in str(only.message)
    assert secret not in repr(heard(told))


@pytest.mark.parametrize(
    ("opening", "cause"),
    [
        ("{0:02}:30 is the time. ", "a date or time"),
        ("0f8fad5b-d9cb-469f-a165-7086772895{0:02} is your session. ", "a UUID"),
        ("Heute ist der {0}. Nov. ", "a date or time"),
        ("지금은 2026년 11월 {0}일입니다. ", "a date or time"),
        ("request 17320{0:02}000 ", "a Unix time"),
        ("Ticket 10{0:02}. ", "a number"),
        ("Dear customer {0}x, ", None),
    ],
)
def test_what_changes_is_named_by_its_looks(provider, opening, cause):
    """From the very first character on, too; nothing is guessed where nothing is recognised."""
    bodies = [claude(system=opening.format(10 + number) + LONG * 3) for number in range(4)]
    with report() as told, pytest.warns(UserWarning, match="keep changing"):
        sent(provider, prompt_cache(), *bodies)
    assert [(each.where, each.cause) for each in heard(told)] == [("system", cause)]


def test_many_prompts_through_one_client_are_no_change(provider):
    """In turn or each for the first time; nor are conversations that begin differently."""
    prompts = [
        f"Prompt {number} about {word}: {LONG * 3}" for number, word in enumerate("abcdefgh")
    ]
    with report() as told:
        sent(provider, prompt_cache(), *[claude(system=prompts[n % 2]) for n in range(12)])
        others = [f"{word * 40} {LONG * 3} {word * 40}" for word in "abcdefgh"]
        sent(provider, prompt_cache(), *[claude(system=text) for text in others])
        said = {"role": "assistant", "content": "a"}
        talks = [
            claude(
                system=LONG, messages=[{"role": "user", "content": f"hello, {word}"}, said, USER]
            )
            for word in "abcdefgh"
        ]
        sent(provider, prompt_cache(), *talks)
    assert not heard(told)


def test_a_prompt_that_settles_is_marked_again(provider):
    """What was seen before is worth a mark whatever else came lately."""
    bodies = [claude(system=at(number)) for number in (1, 2, 3, 4, 4, 4)]
    with pytest.warns(UserWarning, match="keep changing"):
        found = sent(provider, prompt_cache(), *bodies)
    assert found == [*[["system[0]"]] * 3, [], *[["system[0]"]] * 2]


def test_tools_in_another_order_are_told(provider):
    """As from a set of names; nothing that follows can be read from the cache."""
    names = ["one", "two", "three", "four"]
    orders = [names[n:] + names[:n] for n in range(4)]
    tools = [
        [{**TOOL, "name": name, "description": "d " * 900} for name in order] for order in orders
    ]
    with report() as told, pytest.warns(UserWarning, match="in another order"):
        found = sent(provider, prompt_cache(), *[claude(tools=each, system=LONG) for each in tools])
    assert [(each.where, each.cause) for each in heard(told)] == [
        ("tools[0]", "tools in another order")
    ]
    assert found[-1] == []


def test_a_history_that_is_rewritten_is_told(provider):
    """A date in the first message of conversations that go on."""
    said = {"role": "assistant", "content": "a"}
    bodies = [
        claude(system="s", messages=[{"role": "user", "content": at(number)}, said, USER])
        for number in range(4)
    ]
    with report() as told, pytest.warns(UserWarning, match="keep changing"):
        sent(provider, prompt_cache(), *bodies)
    assert [(each.where, each.position) for each in heard(told)] == [("messages[0]", 32)]


# OpenAI


class Rerouted(httpx.HTTPTransport):
    """Sends what goes to OpenAI to the provider of the test."""

    def __init__(self, provider: FakeProvider) -> None:
        super().__init__()
        self._url = httpx.URL(provider.url)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it there."""
        request.url = request.url.copy_with(
            scheme=self._url.scheme, host=self._url.host, port=self._url.port
        )
        return super().handle_request(request)


@pytest.fixture
def official(provider: FakeProvider) -> Iterator[openai.OpenAI]:
    """A client of OpenAI's own API, as far as it can tell."""
    http = httpx.Client(transport=Rerouted(provider))
    with openai.OpenAI(api_key="k", http_client=http, max_retries=0) as client:
        yield client


CHAT: Final[dict[str, Any]] = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "system", "content": LONG}, {"role": "user", "content": "hi"}],
}


def keys(provider: FakeProvider) -> list[Any]:
    """The keys of all requests so far."""
    return [each.body.get("prompt_cache_key") for each in provider.journal]


def test_openai_gets_a_key_for_what_stays(provider, official):
    """The same for the same tools and system prompt, another for another tenant; never a text."""
    safe = guard(prompt_cache())(official)
    with usage() as used:
        for question in ("hi", "hello"):
            asked = [CHAT["messages"][0], {"role": "user", "content": question}]
            safe.chat.completions.create(model="gpt-4o-mini", messages=asked)
    with context(tenant="acme"):
        safe.chat.completions.create(**CHAT)
        safe.chat.completions.create(**CHAT, stream=True).close()
    other = [{"role": "system", "content": f"x{LONG}"}, USER]
    safe.chat.completions.create(model="gpt-4o-mini", messages=other)
    first, second, acme, stream, changed = keys(provider)
    assert first == second
    assert acme == stream
    assert len({first, acme, changed}) == 3
    assert len(first) <= 64
    assert "acme" not in acme
    assert used.cached_tokens == 1408
    assert used.saved == Decimal(1408) * (Decimal("0.15") - Decimal("0.075")) / 1_000_000
    assert "stream_options" not in provider.journal[3].body  # nobody counted: it is as it was


def test_a_key_is_the_same_in_every_process(provider, official):
    """So that all that serve the same prompt send the same one."""
    guard(prompt_cache())(official).chat.completions.create(**CHAT)
    assert keys(provider) == ["agentguard-e7f533d64eee5096e44fbd9f"]


def test_responses_get_a_key_and_embeddings_none(provider, official):
    """Which would be refused."""
    safe = guard(prompt_cache())(official)
    safe.responses.create(model="gpt-4o-mini", instructions=LONG, input="hi")
    safe.embeddings.create(model="text-embedding-3-small", input=[LONG] * 2)
    guard(prompt_cache())(official.responses.create)(
        model="gpt-4o-mini", instructions=LONG, input="hi"
    )
    guard(prompt_cache())(official.chat.completions.create)(**CHAT)
    first, embeddings, method, chat = keys(provider)
    assert first == method is not None
    assert embeddings is None
    assert chat is not None


def test_no_key_where_it_is_not_wanted(provider, official):
    """A short prompt, the caller's own key, another server, a prompt that keeps changing."""
    safe = guard(prompt_cache())(official)
    safe.chat.completions.create(model="gpt-4o-mini", messages=[USER])
    safe.chat.completions.create(**CHAT, extra_body={"prompt_cache_key": "mine"})
    with openai_client(provider) as elsewhere:
        guard(prompt_cache())(elsewhere).chat.completions.create(**CHAT)
    assert keys(provider) == [None, "mine", None]

    def ask() -> None:
        for number in range(4):
            asked = [{"role": "system", "content": at(number)}, USER]
            safe.chat.completions.create(model="gpt-4o-mini", messages=asked)

    with report() as told, pytest.warns(UserWarning, match="keep changing"):
        ask()
    assert heard(told)[0].where == "system"
    assert [key is None for key in keys(provider)[3:]] == [False, False, False, True]


def test_refusals_come_out_as_they_are(provider):
    """What the API says to a request is the caller's to see, marks or not."""
    provider.script(fault.status(400))
    with anthropic_client(provider) as client, pytest.raises(anthropic.BadRequestError) as caught:
        guard(prompt_cache())(client).messages.create(**claude(system=LONG))
    assert not isinstance(caught.value, errors.GuardError)
