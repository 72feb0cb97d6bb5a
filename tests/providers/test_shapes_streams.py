"""What holds for the streams of every provider, whatever the texts and however they are cut."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentguard.providers.shapes import ALL, WHOLE, Reading, shape_of
from tests.providers.wire import DIALECTS, Channel, Dialect, dumped

# A loaded machine must not fail a test: no example has a deadline.
any_texts = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
every_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=repr)

Piece = tuple[Channel, str]


def pieces_of(dialect: Dialect) -> st.SearchStrategy[list[Piece]]:
    """Any texts of any channels, in any pieces and any order."""
    return st.lists(
        st.tuples(st.sampled_from(sorted(dialect.channels, key=repr)), st.text(max_size=8)),
        max_size=12,
    )


def texts_of(pieces: list[Piece]) -> dict[Channel, str]:
    """Add the pieces up by channel."""
    texts: dict[Channel, str] = {}
    for channel, text in pieces:
        texts[channel] = texts.get(channel, "") + text
    return {channel: text for channel, text in texts.items() if text}


def is_whole(channel: Any) -> bool:
    """Tell a repeated text from a channel."""
    return bool(channel[0] == WHOLE)


@every_dialect
@any_texts
@given(st.data())
def test_pieces_add_up_to_the_text_of_each_channel(dialect: Dialect, data: st.DataObject) -> None:
    """Split over a whole stream gives every text back, and repeats give the whole text."""
    pieces = data.draw(pieces_of(dialect))
    texts = texts_of(pieces)
    wires = [*dialect.opening, *(dialect.channels[c](t) for c, t in pieces)]
    wires += dialect.ending(texts)
    found: dict[Any, str] = {}
    for item in map(dialect.build, wires):
        shape = shape_of(item)
        assert shape.name == dialect.shape
        for channel, text in shape.split(item):
            if is_whole(channel):
                assert text == texts[channel[1]]
            else:
                found[channel] = found.get(channel, "") + text
    assert found == texts


@every_dialect
@any_texts
@given(st.data())
def test_the_reading_has_the_visible_text_and_the_end(
    dialect: Dialect, data: st.DataObject
) -> None:
    """The reading of a stream has the first channel's text, usage, model and end."""
    pieces = data.draw(pieces_of(dialect))
    visible = next(iter(dialect.channels))
    reading = Reading()
    for item in map(dialect.build, dialect.opening):
        shape_of(item).read(item, reading)
    assert not reading.content
    for channel, text in pieces:
        if channel == (0, "text") and dialect.name == "langchain":
            continue  # blocks of text are visible too: one kind of content at a time
        item = dialect.build(dialect.channels[channel](text))
        shape_of(item).read(item, reading)
    assert not reading.finished
    assert reading.text == texts_of(pieces).get(visible, "")
    for item in map(dialect.build, dialect.ending(texts_of(pieces))):
        shape_of(item).read(item, reading)
    assert reading.finished
    assert reading.error is None
    assert reading.usage is not None
    assert reading.text == texts_of(pieces).get(visible, "")
    assert str(reading.model).endswith("-test")
    assert reading.finish_reason in {"stop", "completed", "end_turn", "STOP"}


@every_dialect
@any_texts
@given(st.data())
def test_joining_the_same_texts_changes_nothing(dialect: Dialect, data: st.DataObject) -> None:
    """Join with what split gave is the same item, dumped alike."""
    pieces = data.draw(pieces_of(dialect))
    texts = texts_of(pieces)
    wires = [*dialect.opening, *(dialect.channels[c](t) for c, t in pieces)]
    for wire in [*wires, *dialect.ending(texts)]:
        item = dialect.build(copy.deepcopy(wire))
        before = dumped(item)
        joined = shape_of(item).join(item, dict(shape_of(item).split(item)))
        assert dumped(joined) == before
        assert type(joined) is type(item)


@every_dialect
@any_texts
@given(st.data())
def test_joining_other_texts_changes_the_texts_alone(dialect: Dialect, data: st.DataObject) -> None:
    """Upper case through join equals an item built of upper case; the original stays as it was."""
    pieces = data.draw(pieces_of(dialect))
    texts = texts_of(pieces)
    upper = {channel: text.upper() for channel, text in texts.items()}
    wires = [dialect.channels[c](t) for c, t in pieces] + list(dialect.ending(texts))
    expected = [dialect.channels[c](t.upper()) for c, t in pieces] + list(dialect.ending(upper))
    for wire, wanted in zip(wires, expected, strict=True):
        item = dialect.build(copy.deepcopy(wire))
        before = copy.deepcopy(dumped(item))
        shape = shape_of(item)
        joined = shape.join(item, {c: t.upper() for c, t in shape.split(item)})
        assert dumped(joined) == dumped(dialect.build(wanted))
        assert type(joined) is type(item)
        assert dumped(item) == before


@every_dialect
@any_texts
@given(st.data())
def test_a_carrier_carries_its_text_and_nothing_else(dialect: Dialect, data: st.DataObject) -> None:
    """A carrier of any channel is an item of the same class with exactly the text given."""
    channel = data.draw(st.sampled_from(sorted(dialect.channels, key=repr)))
    model = dialect.build(dialect.channels[channel](data.draw(st.text(min_size=1))))
    text = data.draw(st.text(min_size=1))
    shape = shape_of(model)
    carrier = shape.carrier(model, channel, text)
    assert type(carrier) is type(model)
    assert shape.split(carrier) == [(channel, text)]
    assert shape.closes(carrier) == ()
    dumped(carrier)
    reading = Reading()
    shape.read(carrier, reading)
    assert reading.content
    assert not reading.finished
    assert reading.usage is None


@every_dialect
def test_the_end_of_a_stream_closes_every_channel(dialect: Dialect) -> None:
    """Whatever opened is closed by one of the last items; opening items close nothing."""
    closed: list[Any] = []
    for item in map(dialect.build, dialect.ending({})):
        closed += shape_of(item).closes(item)
    for channel in dialect.channels:
        assert any(key == ALL or channel[: len(key)] == key for key in closed), channel
        item = dialect.build(dialect.channels[channel]("x"))
        assert shape_of(item).closes(item) == ()
    for item in map(dialect.build, dialect.opening):
        assert shape_of(item).closes(item) == ()
