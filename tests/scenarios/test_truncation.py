"""A stream that ends without its end: no SDK raises anything, so half an answer passes for a whole."""

from __future__ import annotations

import pytest

from agentguard import errors, guard, record, report
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import (
    CHAT,
    CLAUDE,
    LEFT_TO_THE_COLLECTOR,
    Way,
    anthropic_client,
    at_once,
    kinds,
    openai_client,
    text_of,
    ways,
)

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"
STREAMS = [
    pytest.param(way, id=name)
    for name, way in ways(streams=True).items()
    if not name.startswith("litellm")  # it makes up the end that is missing: see test_sdk_litellm
]


def learns(way: Way) -> bool:
    """Whether nothing but experience tells that this stream has a terminal signal."""
    return "responses" not in way.method and way.fault.partition(" ")[0] in {
        "openai",
        "langchain-openai",
        "langchain-anthropic",
    }


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("place", ["opening", 0], ids=["after the opening", "before any event"])
def test_a_stream_cut_before_its_first_word_is_asked_again(
    provider: FakeProvider, way: Way, place: int | str
):
    """The consumer sees the second attempt's answer, whole and once."""
    provider.script(fault.cut(after=place))

    with report() as seen:
        items = way.run(provider, guard(at_once(), strict_streams=True))

    assert text_of(items) == WHOLE
    assert seen.calls[0].attempts[0].kind is not None
    assert len(provider.journal) == 2


@pytest.mark.parametrize("way", STREAMS)
def test_a_stream_cut_after_its_first_word_is_an_error_with_the_text_so_far(
    provider: FakeProvider, way: Way
):
    """Nothing is replayed to a consumer who has read half; he is told, and told what he has."""
    provider.script(fault.cut(after=2))

    with report() as seen, pytest.raises(errors.StreamTruncated) as caught:
        way.run(provider, guard(at_once(), strict_streams=True))

    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "one two"
    assert kinds(seen) == ["truncated"]
    assert len(provider.journal) == 1


@pytest.mark.parametrize("way", [case for case in STREAMS if not learns(case.values[0])])
def test_streams_that_always_end_with_a_signal_are_judged_from_the_first_call_on(
    provider: FakeProvider, way: Way
):
    """Anthropic, OpenAI Responses and Google: no setting, no earlier call is needed."""
    provider.script(fault.cut(after=2))

    with pytest.raises(errors.StreamTruncated):
        way.run(provider, guard(at_once()))


def test_an_openai_chat_target_is_judged_once_it_has_shown_how_it_ends(provider: FakeProvider):
    """Servers that speak OpenAI's chat protocol may omit the signal: it is learned per target."""
    provider.script(fault.cut(after=2), WHOLE, fault.cut(after=2))
    with openai_client(provider) as client:
        ask = guard(at_once())(client.chat.completions.create)

        unknown = list(ask(**CHAT, stream=True))
        whole = list(ask(**CHAT, stream=True))
        with pytest.raises(errors.StreamTruncated):
            list(ask(**CHAT, stream=True))

    assert text_of(unknown) == "one two"
    assert text_of(whole) == WHOLE


def test_strict_streams_false_believes_every_end(provider: FakeProvider):
    """A server that never sends the signal can be told apart from one that broke off."""
    provider.script(fault.cut(after=2))
    with anthropic_client(provider) as client:
        ask = guard(at_once(), strict_streams=False)(client.messages.create)

        assert text_of(list(ask(**CLAUDE, stream=True))) == "one two"


@pytest.mark.parametrize("way", [case for case in STREAMS if not case.values[0].is_async])
def test_a_stream_without_a_single_event_is_cut_even_the_first_time(
    provider: FakeProvider, way: Way
):
    """No provider answers with an empty stream: a recognised SDK method is not believed one."""
    provider.script(fault.empty())

    with report() as seen:
        items = way.run(provider, guard(at_once()))

    assert text_of(items) == WHOLE
    assert len(seen.calls[0].attempts) == 2


@pytest.mark.parametrize("place", [2, "opening", 0])
def test_a_recorded_stream_that_is_cut_makes_its_function_fail_and_be_asked_again(
    provider: FakeProvider, place: int | str
):
    """A function that reads the stream itself and returns text is retried as a whole."""
    with anthropic_client(provider) as client:

        @guard(at_once())
        def ask() -> str:
            return text_of(list(record(client.messages.create(**CLAUDE, stream=True))))

        assert ask() == WHOLE
        provider.script(fault.cut(after=place))
        with report() as seen:
            assert ask() == WHOLE

    assert kinds(seen) == ["truncated", None]


@pytest.mark.parametrize("strict", [True, False])
def test_strict_streams_goes_for_recorded_streams_too(provider: FakeProvider, *, strict: bool):
    """`guard(strict_streams=)` overrides what is known of a stream that is recorded."""
    provider.script(fault.cut(after=2), fault.cut(after=2))
    with openai_client(provider) as client:

        @guard(at_once(attempts=1), strict_streams=strict)
        def ask() -> str:
            return text_of(list(record(client.chat.completions.create(**CHAT, stream=True))))

        if strict:
            with pytest.raises(errors.StreamTruncated):
                ask()
        else:
            assert ask() == "one two"
