"""What counts as the same function."""

from __future__ import annotations

import sys
import textwrap
import types
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from agentguard.caching.canonical import packed
from agentguard.caching.fingerprint import Fingerprint


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    """Forget the modules that a test has made."""
    before = {*sys.modules}
    yield
    for name in {*sys.modules} - before:
        if name.startswith("app"):
            del sys.modules[name]


def module(source: str, name: str = "app", **values: Any) -> Any:
    """A module of an application with this source."""
    made = types.ModuleType(name)
    vars(made).update(values)
    sys.modules[name] = made
    exec(compile(textwrap.dedent(source), f"/srv/{name}.py", "exec"), vars(made))
    return made


def form(source: str, **values: Any) -> bytes:
    """The fingerprint of `ask` in such a module."""
    return Fingerprint(module(source, **values).ask).form()


PLAIN = """
TEMPLATE = "Answer briefly: {}"
def ask(q):
    return TEMPLATE.format(q)
"""

CHANGES = {
    "a global template": (
        'TEMPLATE = "{}"\ndef ask(q):\n    return TEMPLATE.format(q)',
        "{}",
        "[{}]",
    ),
    "a constant": ('def ask(q):\n    return "hello " + q', "hello", "hi"),
    "a constant inside": ('def ask(q):\n    return (lambda: "hello " + q)()', "hello", "hi"),
    "an f-string": ('def ask(q):\n    return f"hello {q}"', "hello", "hi"),
    "a default": ('def ask(q, style="short"):\n    return q + style', "short", "long"),
    "a keyword's default": ('def ask(q, *, style="short"):\n    return q + style', "short", "long"),
    "an operator": ("def ask(q):\n    return q + q", "q + q", "q * 2"),
    "an attribute": ("def ask(q):\n    return q.lower()", "lower", "upper"),
    "a tuple": ('SHOTS = (("q", "a"),)\ndef ask(q):\n    return [*SHOTS, q]', '"a"', '"b"'),
    "a list": ('SHOTS = [{"q": "a"}]\ndef ask(q):\n    return [*SHOTS, q]', '"a"', '"b"'),
    "a number": ("TOP = 3\ndef ask(q):\n    return q[:TOP]", "TOP = 3", "TOP = 4"),
    "a helper's template": (
        'T = "{}"\ndef ask(q):\n    return build(q)\ndef build(q):\n    return T.format(q)',
        "{}",
        "[{}]",
    ),
    "a class's template": (
        'class P:\n    SYSTEM = "Be kind."\ndef ask(q):\n    return P.SYSTEM + q',
        "kind",
        "harsh",
    ),
    "a method's": (
        (
            'class P:\n    def build(self, q):\n        return "Be kind." + q\n'
            "def ask(q):\n    return P().build(q)"
        ),
        "kind",
        "harsh",
    ),
    "an object's": (
        (
            'class P:\n    def __init__(self):\n        self.system = "Be kind."\n'
            "p = P()\ndef ask(q):\n    return p.system + q"
        ),
        "kind",
        "harsh",
    ),
    "a standard template": (
        (
            'from string import Template\nT = Template("Be kind. $q")\n'
            "def ask(q):\n    return T.substitute(q=q)"
        ),
        "kind",
        "harsh",
    ),
    "a dataclass's": (
        (
            "import dataclasses\n@dataclasses.dataclass\nclass P:\n    system: str\n"
            'p = P("Be kind.")\ndef ask(q):\n    return p.system + q'
        ),
        "kind",
        "harsh",
    ),
    "a free variable": (
        (
            'def make():\n    t = "kind"\n    def ask(q):\n        return t + q\n'
            "    return ask\nask = make()"
        ),
        "kind",
        "harsh",
    ),
    "under another's decorator": (
        (
            "import functools\ndef log(fn):\n    @functools.wraps(fn)\n"
            "    def inner(*a):\n        return fn(*a)\n    return inner\n"
            '@log\ndef ask(q):\n    return "kind" + q'
        ),
        "kind",
        "harsh",
    ),
    "a docstring that is read": (
        'def ask(q):\n    "Be kind."\n    return ask.__doc__ + q',
        "kind",
        "harsh",
    ),
    "the name": ("def ask(q):\n    return q\nask.__qualname__ = 'a'", "'a'", "'b'"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_edit_that_changes_answers_changes_the_fingerprint(what: str) -> None:
    """And the same source gives the same one."""
    source, old, new = CHANGES[what]
    assert old in source
    assert form(source) == form(source)
    assert form(source) != form(source.replace(old, new))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def ask(q):\n    return q", "\n\n\ndef ask(q):\n\n    return q  # a comment"),
        (
            'def ask(q):\n    "Do."\n    return q + "x"',
            'def ask(q):\n    "Do it."\n    return q + "x"',
        ),
        ("def ask(q: str):\n    return q", "def ask(q: 'int'):\n    return q"),
        ("A = 1\ndef ask(q):\n    return q", "A = 2\ndef ask(q):\n    return q"),
    ],
    ids=["lines and comments", "docstring", "annotation", "a global it does not read"],
)
def test_what_changes_no_answer_changes_no_fingerprint(one: str, other: str) -> None:
    """Money is not spent again for it."""
    assert form(one) == form(other)


def test_a_template_in_another_module_counts() -> None:
    """Read through the module, as in `prompts.SYSTEM`."""
    prompts = module('SYSTEM = "Be kind."', "app_prompts")
    source = "import app_prompts as prompts\ndef ask(q):\n    return prompts.SYSTEM + q"
    before = form(source)
    prompts.SYSTEM = "Be harsh."
    assert form(source) != before


def test_a_global_that_is_edited_while_it_runs_counts_at_once() -> None:
    """And one that is put back, too."""
    app = module(PLAIN)
    fingerprint = Fingerprint(app.ask)
    before = fingerprint.form()
    app.TEMPLATE = "Answer at length: {}"
    changed = fingerprint.form()
    assert changed != before
    app.TEMPLATE = "Answer briefly: {}"
    assert fingerprint.form() == before


def test_code_that_is_replaced_while_it_runs_counts() -> None:
    """As tools for hot reloading do."""
    app = module('def ask(q):\n    return "a"\ndef other(q):\n    return "b"')
    fingerprint = Fingerprint(app.ask)
    before = fingerprint.form()
    app.ask.__code__ = app.other.__code__
    assert fingerprint.form() != before


def test_what_the_function_counts_itself_is_no_constant() -> None:
    """A counter, a list it appends to, an attribute that it sets."""
    app = module(
        """
        count, calls = 0, []
        class State:
            last = "nothing"
        state = State()
        def ask(q):
            global count
            count += 1
            calls.append(q)
            state.last = q
            return q
        """
    )
    fingerprint = Fingerprint(app.ask)
    before = fingerprint.form()
    for _ in range(3):
        app.ask("x")
        assert fingerprint.form() == before

    def make() -> Any:
        seen = 0

        def ask(q: str) -> str:
            nonlocal seen
            seen += 1
            return q

        return ask

    ask = make()
    fingerprint = Fingerprint(ask)
    before = fingerprint.form()
    ask("x")
    assert fingerprint.form() == before


def test_a_client_counts_by_where_it_sends_requests() -> None:
    """Not by its key, nor by its identity."""
    source = "def ask(q):\n    return client.chat.completions.create(model='m', messages=q)"

    def with_client(**settings: Any) -> bytes:
        return form(source, client=openai.OpenAI(**settings))

    here = with_client(api_key="a")
    assert here == with_client(api_key="b")
    assert here != with_client(api_key="a", base_url="http://localhost:1/v1")


def test_keys_and_passwords_do_not_count() -> None:
    """Wherever the function reads them from."""
    source = (
        "class S:\n    def __init__(self):\n        self.api_key = 'sk-1'\n        self.tone = 'kind'\n"
        "s = S()\ndef ask(q):\n    return (s.api_key, s.tone, q)"
    )
    assert form(source) == form(source.replace("sk-1", "sk-2"))
    assert form(source) != form(source.replace("kind", "harsh"))


def test_functions_that_call_each_other_end() -> None:
    """A graph of functions is walked once."""
    assert form("def ask(q):\n    return other(q)\ndef other(q):\n    return ask(q)")


REGISTRY = """
    TOOLS = {}
    def weather(city):
        return f"sun in {city}", TOOLS
    def mail(to):
        return f"to {to}", TOOLS
    class Desk:
        def ring(self):
            return "ring", TOOLS
    TOOLS.update({f"copy {n}": types.FunctionType(mail.__code__, globals()) for n in range(99)})
    TOOLS.update(weather=weather, mail=mail, ring=Desk().ring)
    LIST = [weather, mail]
    def ask(q):
        return TOOLS["weather"](q), LIST
"""


def test_a_registry_of_functions_that_read_it_is_walked_once() -> None:
    """As agents keep their tools: each function in it counts, wherever it is called."""
    plain = form(REGISTRY, types=types)
    assert plain == form(REGISTRY, types=types)
    for edit in (("sun in", "rain in"), ("to {to}", "for {to}"), ('"ring"', '"rang"')):
        assert form(REGISTRY.replace(*edit), types=types) != plain


def test_a_registry_as_an_argument_is_walked_once() -> None:
    """Functions that are given with a call, and read each other."""
    one, other = (module(REGISTRY, types=types).TOOLS for _ in range(2))
    assert packed(one) == packed(other)
    changed = module(REGISTRY.replace("sun in", "rain in"), types=types).TOOLS
    assert packed(changed) != packed(one)


def test_functions_inside_each_other_are_walked_once() -> None:
    """Each holds on to the other, as a free variable."""

    def pair() -> tuple[Any, Any]:
        def one(q: str) -> Any:
            return other(q)

        def other(q: str) -> Any:
            return one(q)

        return one, other

    assert packed(pair()) == packed(pair())


@pytest.mark.parametrize("fn", [len, str.upper, dict, print], ids=repr)
def test_anything_that_can_be_called_has_a_fingerprint(fn: Any) -> None:
    """Also what has no code to be seen."""
    assert Fingerprint(fn).form()


def test_a_function_that_calls_its_own_guarded_self_is_no_survey_of_the_library() -> None:
    """What is followed ends at agentguard's own code, wherever that is installed."""
    from agentguard import cache
    from agentguard.caching.fingerprint import _Survey

    @cache()
    def ask(question: str) -> str:
        return ask(question)

    @cache()
    def outer(question: str) -> str:
        return ask(question)

    for fn, names in ((ask, ["ask"]), (outer, ["outer", "ask"])):
        survey = _Survey(fn.__wrapped__)
        assert [part[1].rpartition(".")[2] for part in survey.parts] == names
