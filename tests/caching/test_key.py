"""The key of a call of a function of the user's own."""

from __future__ import annotations

import dataclasses
import functools
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard import context
from agentguard.caching.key import Keys
from tests.caching.asking import Noting

TEXT = "what is the meaning of life"


def ask(question: str, /, style: str = "short", *rest: Any, top: int = 3, **more: Any) -> str:
    """A function with every kind of parameter."""
    return f"{question} {style} {rest} {top} {more}"


def short(question: str, session: Any = None, timeout: float | None = None) -> str:
    """A function as people write them."""
    return f"{question} {session} {timeout}"


def noting(fn: Any, **settings: Any) -> tuple[Noting, Any]:
    """A function under a policy that notes keys."""
    noted = Noting(**settings)
    return noted, noted(fn)


def key(fn: Any, *args: Any, **kwargs: Any) -> str:
    """The key of one call."""
    noted, safe = noting(fn)
    return noted.key(safe, *args, **kwargs)


VALUES = st.text(max_size=3) | st.integers(0, 3) | st.booleans() | st.none()
CALLS = st.tuples(
    st.lists(VALUES, min_size=1, max_size=4),
    st.dictionaries(st.sampled_from(["style", "top", "question", "a", "*", "rest"]), VALUES),
)


@given(CALLS, CALLS)
def test_calls_share_a_key_only_when_the_function_is_given_the_same(one: Any, other: Any) -> None:
    """Whatever of it is given by position, by name or by default."""
    noted, safe = noting(ask)
    seen = []
    for args, kwargs in (one, other):
        try:
            told = ask(*args, **kwargs)
        except TypeError:
            return
        types = [*map(type, args)], {name: type(each) for name, each in kwargs.items()}
        seen.append((told, types, noted.key(safe, *args, **kwargs)))
    if seen[0][2] == seen[1][2]:
        assert seen[0][0] == seen[1][0]
    if one == other and seen[0][1] == seen[1][1]:
        assert seen[0][2] == seen[1][2]


def test_position_name_and_default_make_the_same_key() -> None:
    """Three spellings of one call."""
    spelled = {
        key(short, "q"),
        key(short, question="q"),
        key(short, "q", None),
        key(short, "q", session=None),
    }
    assert len(spelled) == 1


def test_a_key_shows_nothing_of_the_request() -> None:
    """It is a digest."""
    made = key(short, TEXT, session=TEXT)
    assert len(made) == 64
    int(made, 16)


@pytest.mark.parametrize("name", ["timeout", "callbacks", "run_manager"])
def test_what_cannot_change_an_answer_is_left_out(name: str) -> None:
    """Whatever it is."""

    def fn(q: str, **options: Any) -> str:
        return f"{q} {options}"

    noted, safe = noting(fn)
    assert noted.key(safe, "q") == noted.key(safe, "q", **{name: object()})


def test_of_headers_those_count_that_may_change_an_answer() -> None:
    """A feature flag does, a trace does not."""

    def fn(q: str, headers: Any = None) -> str:
        return f"{q} {headers}"

    noted, safe = noting(fn)
    assert noted.key(safe, "q") == noted.key(safe, "q", {"Authorization": "x", "traceparent": "y"})
    assert noted.key(safe, "q") != noted.key(safe, "q", {"anthropic-beta": "x"})


def test_a_runnable_config_counts_by_what_it_configures() -> None:
    """A dict of another kind counts whole."""

    def fn(q: str, config: Any = None) -> str:
        return f"{q} {config}"

    noted, safe = noting(fn)
    bare = noted.key(safe, "q")
    assert noted.key(safe, "q", {"callbacks": [object()], "tags": ["a"]}) == bare
    assert noted.key(safe, "q", {"callbacks": [], "configurable": {"__x": object()}}) == bare
    assert noted.key(safe, "q", {"configurable": {"model": "a"}}) != bare
    assert noted.key(safe, "q", {"tags": ["a"]}) != bare
    assert noted.key(safe, "q", {}) != bare


def test_an_argument_without_a_form_is_refused_by_name() -> None:
    """With what to write, and without its value."""
    noted, safe = noting(short)
    with pytest.raises(
        TypeError, match=r"argument 'session' of short .*_thread.lock.*ignore=\(\"session\",\)"
    ) as caught:
        safe(TEXT, session=threading.Lock())
    assert "meaning" not in str(caught.value)
    with pytest.raises(TypeError, match=r"argument 'session'"):
        safe(TEXT, [{"a": threading.Lock()}])
    assert noted.keys == []


def test_ignored_arguments_do_not_count() -> None:
    """By position and by name."""
    noted, safe = noting(short, ignore=("session",))
    assert (
        noted.key(safe, "q", threading.Lock())
        == noted.key(safe, "q")
        == noted.key(safe, "q", session=1)
    )
    assert noted.key(safe, "r") != noted.key(safe, "q")
    noted, safe = noting(ask, ignore=("rest", "more"))
    assert noted.key(safe, "q", "s", 1, 2, x=3) == noted.key(safe, "q", "s")


def test_ignoring_what_does_not_exist_fails_at_decoration() -> None:
    """Where the signature is known."""
    with pytest.raises(
        TypeError, match=r"ignore='sesion'\): short has no such argument, only question"
    ):
        Noting(ignore=("sesion",))(short)
    Noting(ignore=("anything",))(ask)


def test_a_function_of_the_arguments_can_identify_the_answer() -> None:
    """Whatever else they hold."""
    noted, safe = noting(short, key=lambda question, session=None, timeout=None: question.lower())
    assert noted.key(safe, "Q", threading.Lock()) == noted.key(safe, "q")
    assert noted.key(safe, "r") != noted.key(safe, "q")
    _, safe = noting(short, key=lambda *_, **__: object())
    with pytest.raises(
        TypeError, match=r"what cache\(key=\) returned for short .* a builtins.object"
    ):
        safe("q")


def test_the_version_is_part_of_every_key() -> None:
    """A text and a number are two versions."""
    made = [noting(short, version=version) for version in (None, 1, 2, "1")]
    assert len({noted.key(safe, "q") for noted, safe in made}) == 4


def test_two_functions_never_share_a_key() -> None:
    """Though they are called alike."""

    def other(question: str, session: Any = None, timeout: float | None = None) -> str:
        return f"{question}{session}{timeout}"

    assert key(short, "q") != key(other, "q")


def test_what_a_partial_fixes_counts() -> None:
    """As if it had been given."""
    assert key(functools.partial(short, "q"), 1) == key(functools.partial(short, session=1), "q")
    assert key(functools.partial(short, "q")) != key(functools.partial(short, "r"))


@dataclasses.dataclass
class Bot:
    """An object with a canonical form."""

    system: str

    def ask(self, question: str) -> str:
        """Answer as this bot does."""
        return self.system + question


class Opaque:
    """An object without one."""

    def __init__(self, system: str) -> None:
        self.system = system

    def ask(self, question: str) -> str:
        """Answer as this bot does."""
        return self.system + question


class Empty:
    """An object that holds nothing."""

    def ask(self, question: str) -> str:
        """Answer as all of them do."""
        return question


def test_the_object_of_a_method_counts() -> None:
    """Bound or given as the first argument."""
    assert key(Bot("a").ask, "q") == key(Bot("a").ask, question="q") != key(Bot("b").ask, "q")
    assert key(Bot.ask, Bot("a"), "q") == key(Bot.ask, Bot("a"), "q") != key(Bot.ask, Bot("b"), "q")
    assert key(Empty().ask, "q") == key(Empty().ask, "q")


@pytest.mark.parametrize("fn", [Opaque("a").ask, Opaque.ask], ids=["bound", "function"])
def test_an_object_without_a_form_is_refused_as_self(fn: Any) -> None:
    """Unless it is ignored."""
    args = () if hasattr(fn, "__self__") else (Opaque("a"),)
    with pytest.raises(TypeError, match=r"__cache_key__ .*ignore=\(\"self\",\)"):
        key(fn, *args, "q")
    noted, safe = noting(fn, ignore=("self",))
    assert noted.key(safe, *args, "q")


PEOPLE = st.none() | st.sampled_from(["a", "b", "1", "None"]) | st.integers(0, 1)


@given(
    st.lists(st.tuples(PEOPLE, PEOPLE), min_size=2, max_size=4),
    st.sampled_from([None, "tenant", "all"]),
)
def test_nothing_crosses_from_one_to_another(people: list[Any], share: Any) -> None:
    """Keys agree only for those who may be answered with each other's answers."""
    noted, safe = noting(short, share=share)
    keys = []
    for tenant, user in people:
        with context(tenant=tenant, user=user, feature="x"):
            keys.append(noted.key(safe, "q"))

    def whose(tenant: Any, user: Any) -> Any:
        within = (tenant, user) if tenant is None else (tenant,)
        known = {None: (tenant, user), "tenant": within, "all": ()}[share]
        return [(type(each), each) for each in known]

    for (one, mine), (other, yours) in zip(
        zip(people, keys, strict=True), [*zip(people, keys, strict=True)][1:], strict=False
    ):
        assert (mine == yours) == (whose(*one) == whose(*other))


def test_a_user_without_a_form_is_refused() -> None:
    """Before anything is asked."""
    noted, safe = noting(short)
    with context(user=object()), pytest.raises(TypeError, match="give their ids there"):
        safe("q")
    assert noted.keys == []


# A search by meaning


def chat(question: str, messages: Any, model: str = "m") -> str:
    """A function that takes a conversation."""
    return f"{question} {messages} {model}"


def around(fn: Any, *args: Any, **kwargs: Any) -> Any:
    """What a search by meaning goes by."""
    noted, safe = noting(fn)
    noted.key(safe, *args, **kwargs)
    return noted.maker.around(noted.call)


USER = {"role": "user", "content": "hello"}


def test_the_text_and_everything_else_are_apart() -> None:
    """The digest is the same for other words, and another one for anything else."""
    rest, text = around(short, "hello", session="s")
    assert text == "hello"
    assert around(short, "goodbye", session="s") == (rest, "goodbye")
    assert around(short, "hello", session="t")[0] != rest
    assert around(short, question="hello", session="s") == (rest, "hello")


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([USER], "hello"),
        ([{"role": "system", "content": "s"}, USER], "hello"),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                }
            ],
            "a\nb",
        ),
        ([{"role": "user", "content": [{"type": "input_text", "text": "a"}]}], "a"),
        ([{"role": "user", "parts": [{"text": "a"}]}], "a"),
        ([{"parts": [{"text": "a"}]}], "a"),
        (["a", "b"], "b"),
        ("a", "a"),
        ([USER, {"role": "assistant", "content": "a"}], None),
        ([USER, {"role": "tool", "content": "a"}], None),
        ([USER, {"role": "user", "content": [{"type": "tool_result", "content": "a"}]}], None),
        ([USER, {"type": "function_call_output", "output": "a"}], None),
        ([{"role": "user", "parts": [{"function_response": {"name": "a"}}]}], None),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "a"}]}], None),
        ([], None),
        (None, None),
    ],
    ids=str,
)
def test_the_last_turn_of_a_conversation_is_found(messages: Any, text: str | None) -> None:
    """Where it is a user's text."""
    found = around(chat, "q", messages)
    assert (found and found[1]) == text


def test_what_comes_with_the_text_is_part_of_everything_else() -> None:
    """Earlier turns and images."""

    def turn(text: str, image: str) -> Any:
        return {
            "role": "user",
            "content": [{"type": "text", "text": text}, {"type": "image", "url": image}],
        }

    rest = around(chat, "q", [turn("a", "1")])[0]
    assert around(chat, "q", [turn("b", "1")])[0] == rest
    assert around(chat, "q", [turn("a", "2")])[0] != rest
    assert around(chat, "q", [USER, turn("a", "1")])[0] != rest
    assert around(chat, "r", [turn("a", "1")])[0] != rest


def test_with_a_key_function_its_text_is_searched_for() -> None:
    """And nothing where it returns none."""
    noted, safe = noting(short, key=lambda question, **_: question)
    noted.key(safe, "q")
    assert noted.maker.around(noted.call)[1] == "q"  # type: ignore[index]
    noted, safe = noting(short, key=lambda question, **_: [question])
    noted.key(safe, "q")
    assert noted.maker.around(noted.call) is None


# Item by item


def embed(texts: list[str], size: int = 8) -> list[int]:
    """A function that answers item by item."""
    return [len(text) + size for text in texts]


def each(*args: Any, **kwargs: Any) -> tuple[list[Any], list[str]]:
    """The items of a call, and their digests."""
    noted, safe = noting(embed)
    noted.key(safe, *args, **kwargs)
    return noted.maker.each(noted.call, "texts")


def test_each_item_has_a_digest_with_everything_else_in_it() -> None:
    """The same item in another list has the same one."""
    items, digests = each(["a", "b", "a"])
    assert items == ["a", "b", "a"]
    assert digests[0] == digests[2] != digests[1]
    assert each(["b"])[1] == [digests[1]] == each(texts=("b",), size=8)[1]
    assert each(["b"], 9)[1] != [digests[1]]
    assert each([]) == ([], [])


def test_items_that_are_in_no_list_are_refused() -> None:
    """A generator could not be read twice."""
    noted, safe = noting(embed, key=lambda *_: "k")
    noted.key(safe, iter(["a"]))
    with pytest.raises(TypeError, match=r"each='texts'.*which holds a list_iterator"):
        noted.maker.each(noted.call, "texts")
    noted, safe = noting(embed)
    noted.key(safe, ["a"])
    with pytest.raises(TypeError, match="which holds nothing"):
        noted.maker.each(noted.call, "words")


def test_settings_that_make_no_sense_are_refused() -> None:
    """When they are written."""
    with pytest.raises(TypeError, match=r"cache\(version=\) is a str or an int, not float"):
        Keys(version=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"cache\(key=\) takes a function"):
        Keys(key="q")  # type: ignore[arg-type]
