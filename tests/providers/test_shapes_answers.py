"""Whole answers of every provider: read, split and rebuilt, whatever their texts."""

from __future__ import annotations

import copy
from collections.abc import Hashable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentguard.providers.shapes import ALL, Reading, Usage, shape_of
from tests.providers.answers import FORMS, Form
from tests.providers.wire import dumped

# A loaded machine must not fail a test: no example has a deadline.
any_texts = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
every_form = pytest.mark.parametrize("form", FORMS, ids=repr)


def texts_of(form: Form) -> st.SearchStrategy[dict[Hashable, str]]:
    """Any text in every channel."""
    return st.fixed_dictionaries({channel: st.text(max_size=20) for channel in form.channels})


@every_form
@any_texts
@given(st.data())
def test_every_text_of_an_answer_is_split(form: Form, data: st.DataObject) -> None:
    """Split finds the whole text of every channel, and nothing else."""
    texts = data.draw(texts_of(form))
    item = form.build(form.wire(texts))
    found = shape_of(item).split(item)
    assert dict(found) == {channel: text for channel, text in texts.items() if text}
    assert len(found) == len(dict(found))


@every_form
@any_texts
@given(st.data())
def test_joining_an_answer_changes_its_texts_alone(form: Form, data: st.DataObject) -> None:
    """Joined upper case equals an answer built of upper case; the original stays as it was."""
    texts = data.draw(texts_of(form))
    item = form.build(form.wire(texts))
    before = copy.deepcopy(dumped(item))
    shape = shape_of(item)
    joined = shape.join(item, {channel: text.upper() for channel, text in shape.split(item)})
    wanted = form.build(form.wire({channel: text.upper() for channel, text in texts.items()}))
    assert dumped(joined) == dumped(wanted)
    assert type(joined) is type(item)
    assert dumped(item) == before
    assert dumped(shape.join(item, dict(shape.split(item)))) == before


@every_form
@any_texts
@given(st.data())
def test_reading_an_answer(form: Form, data: st.DataObject) -> None:
    """A whole answer is read at once: text, usage, model, finish reason."""
    texts = data.draw(texts_of(form))
    item = form.build(form.wire(texts))
    reading = Reading()
    shape_of(item).read(item, reading)
    assert reading.text == "".join(texts[channel] for channel in form.visible)
    assert reading.usage == Usage(*form.usage)
    assert reading.model in {"gpt-test", "claude-test", "gemini-test"}
    assert reading.finish_reason == form.finish
    assert reading.finished
    assert reading.error is None


@every_form
def test_an_answer_closes_what_it_opens(form: Form) -> None:
    """Every channel of a whole answer is closed by it."""
    item = form.build(form.wire(dict.fromkeys(form.channels, "x")))
    closed = shape_of(item).closes(item)
    for channel in form.channels:
        key = channel[1] if channel[0] == "whole" else channel  # type: ignore[index]
        assert any(part == ALL or key[: len(part)] == part for part in closed), channel
