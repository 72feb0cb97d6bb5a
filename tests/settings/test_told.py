"""What is told of a preset is true: after changes in code, and without anybody's password."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentguard as ag
from agentguard.providers.endpoint import Endpoint
from agentguard.settings.values import shown


def settings_of(preset: Any) -> dict[str, tuple[Any, str]]:
    """Return what `describe` says of it: by key, the value and where it came from."""
    found = ag.describe(preset)["settings"]
    return {each["key"]: (each["value"], each["source"]) for each in found}


def test_what_code_replaced_is_told_as_code() -> None:
    """A value that holds no more is not shown, and the version is another."""
    preset = ag.presets.production("support")
    other: Any = preset.with_(ag.retry(attempts=9))
    told = settings_of(other)
    assert told["retry"] == ("retry(attempts=9)", "code")
    assert not [key for key in told if key.startswith("retry.")]
    assert told["breaker.fail_max"] == (5, "default")
    again: Any = preset.with_(ag.retry(attempts=9))
    more: Any = preset.with_(ag.retry(attempts=8))
    assert other.version == again.version
    assert len({preset.version, other.version, more.version}) == 3


def test_what_code_added_is_told_in_place_of_what_was_off() -> None:
    """A policy that the preset left out has values of its own now."""
    preset: Any = ag.presets.production("support").with_(ag.prompt_cache())
    told = settings_of(preset)
    assert told["prompt_cache"] == ("prompt_cache()", "code")
    assert "prompt_cache.enabled" not in told


def test_several_of_one_name_are_all_told() -> None:
    """`on_event` joins those that are there."""
    preset = ag.presets.production("support")
    one: Any = preset.with_(ag.on_event("Retried", print))
    two: Any = one.with_(ag.on_event("FellBack", print))
    assert "Retried" in settings_of(two)["on_event"][0]
    assert "FellBack" in settings_of(two)["on_event"][0]
    assert len({preset.version, one.version, two.version}) == 3


def test_what_code_left_out_is_told() -> None:
    """Its values go, and that it is gone has a line."""
    preset: Any = ag.presets.production("support", model="gpt-4o-mini").without("log", "model")
    told = settings_of(preset)
    assert told["log"] == told["model"] == (None, "code")
    assert "log.sample" not in told
    assert "log = None (code)" in ag.explain(preset)


def test_a_preset_around_what_is_guarded_tells_both() -> None:
    """Policies that were there before are told beside its own."""

    @ag.presets.production("support", scope="process").without("log")
    @ag.moderate()
    def ask(question: str) -> str:
        return "42"

    told = settings_of(ask)
    assert told["moderate"] == ("moderate()", "code")
    assert told["retry.attempts"] == (3, "default")


SECRET = st.text("hunter2:/?#@%&=;[] é", min_size=3, max_size=12).map(lambda s: f"pw{s}wp")


@given(secret=SECRET, form=st.sampled_from(["redis://ann:{}@cache:6379/0", "rediss://:{}@cache/0"]))
def test_no_password_of_an_address_is_shown(secret: str, form: str) -> None:
    """Whatever is in it, escaped or not."""
    seen = shown(form.format(secret))
    assert "pw" not in seen
    assert "wp" not in seen


@given(secret=SECRET)
def test_no_query_of_an_address_is_shown(secret: str) -> None:
    """redis-py takes a password there, too."""
    assert "pw" not in shown(f"redis://cache:6379/0?password={secret}")


@pytest.mark.parametrize("address", ["redis://cache:6379/0", "sqlite:///var/budgets.db", "1h"])
def test_what_has_no_password_is_shown_whole(address: str) -> None:
    """People look for it."""
    assert shown(address) == address


def test_an_address_that_opens_nothing_is_not_quoted_with_its_password() -> None:
    """Neither in the error nor in what led to it."""
    secret = "hunter" + "2" * 8
    for address in (f"redis://ann:{secret}@cache:port/0", f"rdis://ann:{secret}@cache/0"):
        with pytest.raises((ValueError, TypeError)) as caught:
            ag.presets.production("support", usd_per_day=1, store=address)
        error: BaseException | None = caught.value
        while error is not None:
            assert secret not in repr(error)
            error = error.__cause__ or error.__context__


def test_objects_are_told_by_their_class() -> None:
    """A client may hold a key."""

    def backup(question: str) -> str:
        return "42"

    preset = ag.presets.production("support", fallback=backup)
    told = settings_of(preset)["fallback.model"]
    assert told == (backup.__qualname__, "argument")
    json.dumps(ag.describe(preset)["settings"])


def test_explain_says_what_becomes_of_the_model() -> None:
    """Filled in, for prices and labels alone, or for nothing."""
    preset = ag.presets.production("support", model="gpt-4o-mini")

    @preset
    def filled(question: str, model: str | None = None) -> str:
        return "42"

    @preset
    def labelled(question: str) -> str:
        return "42"

    alone = "nothing takes model=, gpt-4o-mini prices and labels"
    assert alone not in ag.explain(filled)
    assert "fills=model= where it is taken and was not given" in ag.explain(filled)
    assert alone in ag.explain(labelled)
    model = next(each for each in preset.policies if each.name == "model")
    seen = ag.describe(filled)
    assert not [each for each in seen["blind"] if "gpt-4o-mini" in each]
    other = Endpoint()
    other.model = "gpt-4o"
    assert model.cannot_see(other) == [
        "a use for model='gpt-4o-mini': the object names gpt-4o itself"
    ]
