"""`presets`: a whole stack with one line, its defaults argued for in docs/presets.md.

    client = ag.presets.production("support", usd_per_day=20, store="redis://...")(AsyncOpenAI())

Every default can be set from the environment or a TOML file, see docs/settings.md.
"""

from __future__ import annotations

import functools
import inspect
import os
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec

from agentguard.engine.arguments import closest, label
from agentguard.engine.guard import guard
from agentguard.presets.stack import Stack
from agentguard.settings.reloading import PRESETS, begin
from agentguard.settings.values import Value, resolved, shown, version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prometheus_client import CollectorRegistry

    from agentguard.engine.chain import Policy

__all__ = ["Preset", "development", "internal_tool", "preset", "production", "staging"]

P = ParamSpec("P")

_ENVIRONMENT: Final = "AGENTGUARD_ENV"
_ALIASES: Final = {
    "prod": "production",
    "stage": "staging",
    "dev": "development",
    "internal": "internal_tool",
}

_DIFFERENCES: Final[Mapping[str, Mapping[str, Any]]] = {
    "production": {},
    "staging": {"budget.scope": "process", "budget.usd_per_day": 20.0},
    "development": {
        "metrics.enabled": False,
        "log.capture": True,
        "cache.enabled": False,
        "budget.scope": "process",
        "budget.usd_per_day": 1.0,
        "retry.attempts": 2,
        "breaker.enabled": False,
    },
    "internal_tool": {
        "deadline.seconds": 300.0,
        "cache.ttl": "24h",
        "cache.when": "all",
        "budget.scope": "process",
        "budget.usd_per_day": 5.0,
    },
}
"""From the defaults of `settings.schema`, which are production's."""

_OTHERS: Final = (
    "it takes {}. All else is set in the environment or a file, see docs/settings.md, or by "
    "replacing a policy, as in .with_(ag.cache(ttl=60))"
)

_told: set[str] = set()


class Preset(guard):
    """A guard that knows where each of its values came from; see `explain`.

    Attributes:
        kind: "production", say.
        values: by key, as in "retry.attempts", each with `value` and `source`.
        version: a short hash that changes when any value does.
    """

    def __init__(self, *policies: Policy, kind: str, values: Mapping[str, Value]) -> None:
        super().__init__(*policies, strict=True)
        self.kind = kind
        self.values = values
        self.version = version(kind, values)

    def _of(self, *policies: Policy) -> Preset:
        kept = {each.name for each in policies if each in self.policies}
        new = [each for each in policies if each not in self.policies]
        changed = {each.name for each in (*self.policies, *new)} - kept
        values = {key: each for key, each in self.values.items() if _section(key) not in changed}
        values |= {name: Value(name, None, "code") for name in changed}
        for each in new:
            told = values[each.name].value if each.name in values else None
            text = repr(each) if told is None else f"{told}, {each!r}"
            values[each.name] = Value(each.name, text, "code")
        return Preset(*policies, kind=self.kind, values=values)

    def around(self, inner: guard) -> guard:
        """These policies around those of `inner`, which is no preset: one is a whole stack."""
        if isinstance(inner, Preset):
            raise TypeError(
                f"{inner.kind}() is around this callable already, and {self.kind}() is a whole stack, "
                "too: keep one of them, and change it with .with_(...) and .without(...)"
            )
        return super().around(inner)

    def facts(self) -> dict[str, Any]:
        """The preset, its version, and each value with where it came from."""
        settings = [
            {"key": each.key, "value": shown(each.value), "source": each.source}
            for _, each in sorted(self.values.items())
        ]
        return {"preset": self.kind, "version": self.version, "settings": settings}

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(policy.name for policy in self.policies)})"


def _spelled(make: Callable[P, Preset]) -> Callable[P, Preset]:
    """The same, which says what to write in place of an argument that it does not have."""
    known = [*inspect.signature(make).parameters]

    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Preset:
        for each in kwargs:
            if each not in known:
                close = closest(each, known)
                hint = f"write {close}=" if close else _OTHERS.format(", ".join(known))
                raise TypeError(f"presets.{make.__name__}() has no {each}=: {hint}")
        return make(*args, **kwargs)

    return made


@_spelled
def production(
    name: str | None = None,
    *,
    model: str | None = None,
    usd_per_day: float | None = None,
    tokens_per_day: int | None = None,
    fallback: Any = None,
    store: Any = None,
    scope: Literal["process"] | None = None,
    max_chars: int | None = None,
    timeout: float | None = None,
    deadline: float | None = None,
    registry: CollectorRegistry | None = None,
) -> Preset:
    """Everything that a service needs whose users are waiting.

    Metrics, one log line a call, traces where they are configured, limits of the input, masking,
    a cache for what can be repeated (embeddings, temperature 0), a daily budget where one is given,
    a fallback where one is given, retries, a circuit breaker, a timeout for each attempt and a
    deadline for all of them.

    Args:
        name: of what is guarded, in metrics, logs and stores: one that outlives your code.
        model: asked where the caller names none and the callable takes `model=`; else it prices and
            labels the call. `explain` says which. The SDKs' clients refuse a call that names none
            before any guard sees it.
        usd_per_day: US dollars, on UTC's calendar. Needs a store that all processes share.
        tokens_per_day: input and output together.
        fallback: what answers when the model cannot: another model's name, a callable, a client.
        store: where the budget is kept: "redis://...", "sqlite:///budgets.db", a client or a ledger.
            AGENTGUARD_STORE by default.
        scope: "process": each process has the whole budget for itself, and forgets it at its end.
        max_chars: characters that all texts of a request may have together; 400,000 by default.
        timeout: seconds for one attempt, or each silence of a stream; 60 by default.
        deadline: seconds for a call with all its attempts and waits; 120 by default.
        registry: of the metrics; prometheus-client's default one when None.

    Raises:
        ValueError: a daily budget without a store that is shared; a setting that is wrong, by name.

    Examples:
        >>> import agentguard as ag
        >>> from prometheus_client import CollectorRegistry
        >>> safe = ag.presets.production("support", registry=CollectorRegistry())
        >>> @safe.without("log")
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> ask("?")
        '42'
    """
    return _made("production", locals())


@_spelled
def staging(
    name: str | None = None,
    *,
    model: str | None = None,
    usd_per_day: float | None = None,
    tokens_per_day: int | None = None,
    fallback: Any = None,
    store: Any = None,
    scope: Literal["process"] | None = None,
    max_chars: int | None = None,
    timeout: float | None = None,
    deadline: float | None = None,
    registry: CollectorRegistry | None = None,
) -> Preset:
    """What production has, so that a test there is a test of it; 20 US dollars a day in each process.

    Arguments are those of `production`.

    Examples:
        >>> import agentguard as ag
        >>> ag.presets.staging("support").kind
        'staging'
    """
    return _made("staging", locals())


@_spelled
def development(
    name: str | None = None,
    *,
    model: str | None = None,
    usd_per_day: float | None = None,
    tokens_per_day: int | None = None,
    fallback: Any = None,
    store: Any = None,
    scope: Literal["process"] | None = None,
    max_chars: int | None = None,
    timeout: float | None = None,
    deadline: float | None = None,
    registry: CollectorRegistry | None = None,
) -> Preset:
    """For a laptop: prompts and answers in the log, masked, and a dollar a day.

    Without metrics, cache and breaker: an edited prompt is asked, and a failure is seen each time.
    Arguments are those of `production`.

    Examples:
        >>> import agentguard as ag
        >>> ag.presets.development("support").kind
        'development'
    """
    return _made("development", locals())


@_spelled
def internal_tool(
    name: str | None = None,
    *,
    model: str | None = None,
    usd_per_day: float | None = None,
    tokens_per_day: int | None = None,
    fallback: Any = None,
    store: Any = None,
    scope: Literal["process"] | None = None,
    max_chars: int | None = None,
    timeout: float | None = None,
    deadline: float | None = None,
    registry: CollectorRegistry | None = None,
) -> Preset:
    """For colleagues, who ask the same again and can wait: cached for a day, five dollars a day.

    Arguments are those of `production`.

    Examples:
        >>> import agentguard as ag
        >>> ag.presets.internal_tool("wiki").kind
        'internal_tool'
    """
    return _made("internal_tool", locals())


def preset(name: str | None = None, **arguments: Any) -> Preset:
    """The preset that AGENTGUARD_ENV names; production where it names none, which is logged once.

    Args:
        name: of what is guarded.
        **arguments: of the preset.

    Raises:
        ValueError: AGENTGUARD_ENV names no preset.

    Examples:
        >>> import agentguard as ag
        >>> ag.preset("support").kind
        'production'
    """
    wanted = os.environ.get(_ENVIRONMENT, "").strip().lower()
    if not wanted:
        _tell_unset()
    kind = _ALIASES.get(wanted, wanted or "production")
    makers = {
        "production": production,
        "staging": staging,
        "development": development,
        "internal_tool": internal_tool,
    }
    if kind not in makers:
        raise ValueError(
            f"{_ENVIRONMENT} is {wanted!r}: it names one of {', '.join(makers)}, or "
            f"{', '.join(_ALIASES)} for short"
        )
    return makers[kind](name, **arguments)


_KEYS: Final = {
    "usd_per_day": "budget.usd_per_day",
    "tokens_per_day": "budget.tokens_per_day",
    "fallback": "fallback.model",
    "store": "budget.store",
    "scope": "budget.scope",
    "max_chars": "validate_input.max_chars",
    "timeout": "timeout.seconds",
    "deadline": "deadline.seconds",
}


def _made(kind: str, given: Mapping[str, Any]) -> Preset:
    if callable(given["name"]):
        raise TypeError(
            f"write presets.{kind}() with its parentheses, and around that the callable"
        )
    label(kind, "name", given["name"])
    arguments = {_KEYS.get(key, key): value for key, value in given.items() if key != "registry"}
    values = resolved(kind, PRESETS, _DIFFERENCES[kind], arguments)
    begin()  # what the file switches holds from the start
    policies = Stack(kind, values, given["registry"]).policies()
    return Preset(*policies, kind=kind, values=values)


def _section(key: str) -> str:
    return key.partition(".")[0]


def _tell_unset() -> None:
    if _ENVIRONMENT in _told:
        return
    _told.add(_ENVIRONMENT)
    import logging

    logging.getLogger("agentguard").info(
        "%s is not set: the preset is production. Set it to one of %s",
        _ENVIRONMENT,
        ", ".join(PRESETS),
    )
