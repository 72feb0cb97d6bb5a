"""The fake provider's caches of prompts: what is read, what is written, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from agentguard.testing import FakeProvider, FakeRuntime, fault

MARK: Final = {"type": "ephemeral"}
HOUR: Final = {"type": "ephemeral", "ttl": "1h"}
MODEL: Final = "claude-sonnet-4-5"  # caches from 1,024 tokens on


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider(answer="fine") as running:
        yield running


def text(words: int, word: str = "w", mark: Any = None) -> dict[str, Any]:
    """A block of so many tokens."""
    block: dict[str, Any] = {"type": "text", "text": f"{word} " * words}
    return block if mark is None else block | {"cache_control": mark}


def tool(words: int, mark: Any = None) -> dict[str, Any]:
    """A tool of so many tokens."""
    made: dict[str, Any] = {"name": "t", "description": "d " * (words - 1), "input_schema": {}}
    return made if mark is None else made | {"cache_control": mark}


def post(provider: FakeProvider, path: str, body: dict[str, Any], key: str = "k") -> Any:
    """One request over HTTP."""
    headers = {"x-api-key": key, "authorization": f"Bearer {key}"}
    return httpx.post(f"{provider.url}{path}", json=body, headers=headers, timeout=30)


def claude(provider: FakeProvider, key: str = "k", **body: Any) -> tuple[int, int, int]:
    """What a request reads, writes and pays in full."""
    body = {"model": MODEL, "max_tokens": 9, "messages": [], **body}
    answer = post(provider, "/v1/messages", body, key)
    assert answer.status_code == 200, answer.text
    usage = answer.json()["usage"]
    return (
        usage["cache_read_input_tokens"],
        usage["cache_creation_input_tokens"],
        usage["input_tokens"],
    )


def refused(provider: FakeProvider, **body: Any) -> str:
    """What a request is refused with."""
    answer = post(provider, "/v1/messages", {"model": MODEL, "max_tokens": 9, **body})
    assert answer.status_code == 400
    return str(answer.json()["error"]["message"])


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    """A message of the user."""
    return {"role": "user", "content": [*blocks]}


def test_what_is_marked_is_written_and_read_back(provider):
    """Everything before a mark, in the order tools, system, messages; the rest is paid in full."""
    body = {"tools": [tool(100)], "system": [text(1000, mark=MARK)], "messages": [user(text(50))]}
    assert claude(provider, **body) == (0, 1100, 50)
    assert claude(provider, **body) == (1100, 0, 50)
    assert claude(provider, **body | {"messages": [user(text(7))]}) == (1100, 0, 7)
    assert claude(provider, **body | {"tools": [tool(101)]}) == (0, 1101, 50)
    assert claude(provider, key="other", **body) == (0, 1100, 50)
    assert claude(provider, **body | {"model": "claude-opus-4-1"}) == (0, 1100, 50)


def test_a_changed_system_prompt_leaves_the_tools(provider):
    """A prefix is read as far as it is the same and a mark stands."""
    body = {"tools": [tool(1100, MARK)], "system": [text(200, mark=MARK)]}
    assert claude(provider, **body, messages=[user(text(1))]) == (0, 1300, 1)
    body["system"] = [text(200, "other", MARK)]
    assert claude(provider, **body, messages=[user(text(1))]) == (1100, 200, 1)


def test_a_changed_tool_choice_leaves_tools_and_system(provider):
    """As do the settings of thinking."""
    body = {"system": [text(1100, mark=MARK)], "messages": [user(text(100, mark=MARK))]}
    assert claude(provider, **body) == (0, 1200, 0)
    assert claude(provider, **body, tool_choice={"type": "any"}) == (1100, 100, 0)


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("claude-opus-5-5", 512),
        ("claude-sonnet-5", 1024),
        ("claude-opus-4-7", 2048),
        ("claude-haiku-4-5", 4096),
    ],
)
def test_what_is_too_short_is_not_cached(provider, model, least):
    """The least differs by model, and nobody is told."""
    for words, written in ((least - 1, 0), (least, least)):
        usage = claude(provider, model=model, system=[text(words, mark=MARK)])
        assert usage == (0, written, words - written)


@pytest.mark.parametrize(("added", "read"), [(19, 1100), (20, 0)])
def test_a_mark_looks_back_twenty_positions(provider, added, read):
    """Itself included."""
    first = text(1100)
    claude(provider, messages=[user(first | {"cache_control": MARK})])
    later = [text(1, str(number)) for number in range(added)]
    later[-1] = later[-1] | {"cache_control": MARK}
    found = claude(provider, messages=[user(first, *later)])
    assert found == (read, 1100 + added - read, 0)


def test_a_second_mark_begins_a_look_of_its_own(provider):
    """So that a turn of many blocks is found, too."""
    first = text(1100, mark=MARK)
    claude(provider, messages=[user(first)])
    later = [text(1, str(number)) for number in range(40)]
    later[-1] = later[-1] | {"cache_control": MARK}
    assert claude(provider, messages=[user(first, *later)]) == (1100, 40, 0)


def test_a_run_of_tool_results_is_one_position(provider):
    """As is one of tool calls: many at once do not hide what was written before."""
    first = text(1100)
    claude(provider, messages=[user(first | {"cache_control": MARK})])
    calls = [{"type": "tool_use", "id": str(n), "name": "t", "input": {}} for n in range(30)]
    results = [{"type": "tool_result", "tool_use_id": str(n), "content": "r"} for n in range(30)]
    results[-1]["cache_control"] = MARK
    messages = [user(first), {"role": "assistant", "content": calls}, user(*results)]
    assert claude(provider, messages=messages) == (1100, 60, 0)


def test_five_minutes_begin_anew_with_each_read(provider):
    """And an hour is an hour."""
    with FakeRuntime() as time:
        body = {"system": [text(1100, mark=MARK)]}
        assert claude(provider, **body) == (0, 1100, 0)
        for _ in range(3):
            time.advance(299)
            assert claude(provider, **body) == (1100, 0, 0)
        time.advance(300)
        assert claude(provider, **body) == (0, 1100, 0)
        body = {"system": [text(1200, mark=HOUR)]}
        assert claude(provider, **body) == (0, 1200, 0)
        time.advance(3599)
        assert claude(provider, **body) == (1200, 0, 0)
        time.advance(3600)
        assert claude(provider, **body) == (0, 1200, 0)


def test_writes_are_told_by_lifetime(provider):
    """The longer first, each up to its mark; and in a stream as well."""
    messages = [user(text(300, mark=MARK))]
    body = {"model": MODEL, "max_tokens": 9, "system": [text(1100, mark=HOUR)]}
    answer = post(provider, "/v1/messages", body | {"messages": messages})
    assert answer.json()["usage"]["cache_creation"] == {
        "ephemeral_5m_input_tokens": 300,
        "ephemeral_1h_input_tokens": 1100,
    }
    again = post(provider, "/v1/messages", body | {"messages": messages, "stream": True})
    assert '"cache_read_input_tokens": 1400' in again.text


def test_what_the_api_refuses(provider):
    """More than four marks, marks where none may stand, and a longer life after a shorter one."""
    five = [text(1, mark=MARK) for _ in range(5)]
    assert refused(provider, messages=[user(*five)]) == (
        "A maximum of 4 blocks with cache_control may be provided. Found 5."
    )
    assert "Found 5" in refused(provider, system=five[:2], messages=[user(*five[:3])])
    assert "empty text" in refused(provider, system=[text(0, mark=MARK)], messages=[])
    thought = {"type": "thinking", "thinking": "hm", "signature": "s", "cache_control": MARK}
    said = [{"role": "assistant", "content": [thought]}]
    assert refused(provider, messages=said) == (
        "messages.0.content.0.thinking.cache_control: Extra inputs are not permitted"
    )
    late = tool(5, MARK) | {"defer_loading": True}
    assert "defer_loading" in refused(provider, tools=[late], messages=[])
    mixed = {"system": [text(9, mark=MARK)], "messages": [user(text(9, mark=HOUR))]}
    assert "must not come after" in refused(provider, **mixed)


def test_one_mark_for_the_whole_request(provider):
    """It goes to the last block that may carry one."""
    body = {"cache_control": MARK, "messages": [user(text(1100), text(0))]}
    assert claude(provider, **body) == (0, 1100, 0)
    body["messages"] = [user(text(1100), text(0), text(5))]
    assert claude(provider, **body) == (1100, 5, 0)


def test_a_refused_request_writes_nothing(provider):
    """Nor does one that broke before its answer."""
    body = {"system": [text(1100, mark=MARK)]}
    provider.script(fault.status(529), fault.drop())
    assert post(provider, "/v1/messages", {"model": MODEL, **body}).status_code == 529
    with pytest.raises(httpx.HTTPError):
        post(provider, "/v1/messages", {"model": MODEL, **body})
    assert claude(provider, **body) == (0, 1100, 0)
    provider.clear()
    assert claude(provider, **body) == (0, 1100, 0)


def test_usage_that_a_test_asks_for_is_told(provider):
    """Whatever the cache would say."""
    provider.script(fault.ok(usage={"input": 10, "cached": 4}))
    assert claude(provider, system=[text(1100, mark=MARK)]) == (4, 0, 6)


def chat(provider: FakeProvider, *words: int, **body: Any) -> int:
    """What a chat reads from the cache."""
    messages = [{"role": "user", "content": f"{n} " * count} for n, count in enumerate(words)]
    answer = post(
        provider, "/v1/chat/completions", {"model": "gpt-5", "messages": messages, **body}
    )
    usage = answer.json()["usage"]
    assert usage["prompt_tokens"] == sum(words)
    return int(usage["prompt_tokens_details"]["cached_tokens"])


def test_openai_caches_by_itself(provider):
    """From 1,024 tokens on, in steps of 128, as far as the beginning is the same."""
    assert [chat(provider, 1023), chat(provider, 1023)] == [0, 0]
    assert [chat(provider, 1024), chat(provider, 1024)] == [0, 1024]
    assert chat(provider, 1300) == 1024
    assert chat(provider, 1300) == 1280
    assert chat(provider, 1200, 500) == 1152
    assert chat(provider, 1023, 900) == 0


def test_openai_responses_are_cached_too(provider):
    """With their instructions first."""
    body = {"model": "gpt-5", "instructions": "i " * 1500, "input": "how are you"}
    post(provider, "/v1/responses", body)
    usage = post(provider, "/v1/responses", body | {"input": "and now"}).json()["usage"]
    assert usage["input_tokens_details"]["cached_tokens"] == 1408


def test_openai_routes_by_beginning_and_key(provider):
    """A machine knows what it has served, and hands on what exceeds 15 requests a minute."""
    with FakeRuntime() as time:
        assert chat(provider, 2000, prompt_cache_key="a") == 0
        assert chat(provider, 2000, prompt_cache_key="b") == 0
        assert [chat(provider, 2000, prompt_cache_key="a") for _ in range(14)] == [1920] * 14
        assert chat(provider, 2000, prompt_cache_key="a") == 0
        assert chat(provider, 2000, prompt_cache_key="b") == 1920
        time.advance(299)
        assert chat(provider, 2000, prompt_cache_key="a") == 1920
        time.advance(300)
        assert chat(provider, 2000, prompt_cache_key="a") == 0
