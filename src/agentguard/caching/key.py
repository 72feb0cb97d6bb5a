"""The key of a call: everything that can change its answer, as a digest."""

from __future__ import annotations

import functools
import inspect
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Literal, TypeGuard, cast

from agentguard.caching.asked import ASKED, asked
from agentguard.caching.beside import beside
from agentguard.caching.canonical import NoForm, packed
from agentguard.caching.fingerprint import Fingerprint
from agentguard.caching.objects import owner_form
from agentguard.engine.arguments import plain
from agentguard.providers.embeddings import items_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentguard.engine.call import Call
    from agentguard.engine.target import Target

__all__ = ["Keys"]

_FORMAT: Final = 1
"""Part of every key: raised when the same request gets another form."""

_NOBODY: Final = packed([None, None])
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Keys:
    """What makes the keys of one cache.

    Args:
        ignore: names of arguments that do not change the answer.
        key: a function of the call's arguments that returns what identifies the answer.
        version: part of every key.
        share: who may be answered with what somebody else asked: None, nobody; "tenant", the users
            of one tenant; "all", everybody.
    """

    def __init__(
        self,
        *,
        ignore: Sequence[str] = (),
        key: Callable[..., object] | None = None,
        version: str | int | None = None,
        share: Literal["tenant", "all"] | None = None,
    ) -> None:
        plain("cache", "key", key, "a function of the call's arguments")
        if version is not None and not isinstance(cast("object", version), (str, int)):
            raise TypeError(f"cache(version=) is a str or an int, not {type(version).__name__}")
        self._ignore = frozenset(ignore)
        self._key = key
        self._version = version
        self._share = share

    def check(self, target: Target) -> None:
        """Refuse at decoration what no call of `target` could mean."""
        parameters = _parameters(target.fn)
        if parameters is None or any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
            return
        known = {*parameters, "self"} if hasattr(target.fn, "__self__") else {*parameters}
        unknown = sorted(self._ignore - known)
        if unknown:
            raise TypeError(
                f"cache(ignore={unknown[0]!r}): {target.name} has no such argument, only "
                f"{', '.join(parameters) or 'none'}"
            )

    def of(self, call: Call) -> str:
        """The key of a call.

        Raises:
            TypeError: for an argument without a canonical form, by name.
        """
        plan = call.target.plans.get(self) or self._plan(call.target)
        given = plan.given(call.args, call.kwargs) if self._key is None else self._given(plan, call)
        try:
            said = packed(given)
        except NoForm as error:
            raise self._refusal(call.target, given, error) from None
        return sha256(plan.head() + self._whose(call) + said).hexdigest()

    def around(self, call: Call) -> tuple[str, str] | None:
        """For a search by meaning: a digest of everything else, and what the user said last.

        None where the last turn is not a user's text. With `key=`, the text is what that returns.

        Raises:
            TypeError: for an argument without a canonical form, by name.
        """
        plan = call.target.plans.get(self) or self._plan(call.target)
        given = self._given(plan, call)
        if self._key is not None:
            _, text, model = given
            if not isinstance(text, str):
                return None
            return self._rest(call, plan, given, ["key", ASKED, model]).hexdigest(), text
        named, more = _apart(given)
        found = asked(named, plan.names) if _is_named(named) else None
        if found is None:
            return None
        text, rest = found
        return self._rest(call, plan, given, [rest, *more]).hexdigest(), text

    def each(self, call: Call, name: str) -> tuple[list[Any], list[str]]:
        """The items of an argument, and a digest for each that includes everything else.

        Args:
            call: the call.
            name: of the argument.

        Raises:
            TypeError: for an argument that holds no list, or that has no canonical form.
        """
        plan = call.target.plans.get(self) or self._plan(call.target)
        given = plan.given(call.args, call.kwargs)
        named, more = _apart(given)
        held = named.get(name) if _is_named(named) else None
        items = items_of(call.target, held)
        if items is None:
            raise TypeError(
                f"cache(each={name!r}) takes {call.target.name} apart by a list in its argument "
                f"{name!r}, which holds {_told(held)}"
            )
        rest: Any = [{**named, name: ASKED}, *more]
        if self._key is not None:
            rest = self._given(plan, call)
        digest = self._rest(call, plan, given, rest)
        digests: list[str] = []
        for item in items:
            own = digest.copy()
            try:
                own.update(packed(item))
            except NoForm as error:
                raise self._refusal(call.target, {name: item}, error) from None
            digests.append(own.hexdigest())
        return items, digests

    def _given(self, plan: _Plan, call: Call) -> Any:
        """What identifies the answer: the arguments, or what `key=` makes of them."""
        if self._key is None:
            return plan.given(call.args, call.kwargs)
        model = call.target.given(call.kwargs).get("model")
        return ["key", self._key(*call.args, **call.kwargs), model]

    def _rest(self, call: Call, plan: _Plan, given: Any, rest: Any) -> Any:
        try:
            return sha256(plan.head() + self._whose(call) + packed(["rest", rest]))
        except NoForm as error:
            raise self._refusal(call.target, given, error) from None

    def _whose(self, call: Call) -> bytes:
        """Whose answers may be given."""
        tags = call.scope.tags
        if not tags or self._share == "all":
            return _NOBODY
        tenant = tags.get("tenant")
        # Where no tenant is known, nobody can be told to be of the same.
        user = None if self._share == "tenant" and tenant is not None else tags.get("user")
        try:
            return packed([tenant, user])
        except NoForm as error:
            raise TypeError(
                f"answers are kept apart by the tenant and the user of context(...), and {error}: "
                "give their ids there, as str or int"
            ) from None

    def _plan(self, target: Target) -> _Plan:
        plan = target.plans[self] = _Plan(target, self._ignore, self._version)
        return plan

    def _refusal(self, target: Target, given: Any, error: NoForm) -> TypeError:
        if self._key is not None and isinstance(given, list):
            return TypeError(
                f"what cache(key=) returned for {target.name} cannot be part of a key: {error}. "
                "Let it return texts, numbers, or lists and dicts of them"
            )
        name, what = _blamed(given) or ("an argument", error.what)
        wish = f'cache(ignore=("{name}",))'
        if name == "self":
            return TypeError(
                f"cache cannot tell apart the objects that {target.name} is called on: {what} has "
                "no canonical form. Give the class a method __cache_key__ that returns what "
                f"identifies its answers, make it a dataclass, or write {wish} if all of its "
                "objects give the same ones"
            )
        return TypeError(
            f"cache cannot make the argument {name!r} of {target.name} part of a key: {what} has no "
            f"canonical form. If it does not change the answer, write {wish}; else let cache(key=) "
            "be a function of the arguments that returns what does"
        )


class _Plan:
    """What is worked out once for the calls of one target."""

    __slots__ = (
        "_defaults",
        "_fingerprint",
        "_fixed",
        "_head",
        "_odd",
        "_only",
        "_owner",
        "_parts",
        "_rest",
        "_without",
        "names",
    )

    def __init__(self, target: Target, ignore: frozenset[str], version: str | int | None) -> None:
        fn: Any = target.fn
        self._fixed: functools.partial[Any] | None = None
        if isinstance(fn, functools.partial):  # one of a partial is made into one
            self._fixed, fn = fn, fn.func
        never, self._parts = beside(target)
        self._without = never | ignore
        self._odd = self._without | self._parts.keys()
        endpoint = target.endpoint
        owner: Any = getattr(fn, "__self__", None)
        self._owner = owner_form(fn, owner, endpoint.provider)
        if "self" in ignore:
            self._owner = None
        told = [_FORMAT, version, endpoint.provider, endpoint.base_url, endpoint.model]
        self._head = packed([told, target.name, getattr(fn, "__qualname__", None)])
        sent = endpoint.provider is not None and owner is not None
        self._fingerprint = None if sent else Fingerprint(fn)
        self.names: tuple[str, ...] = ()
        self._defaults: dict[str, Any] = {}
        self._rest = True
        self._only: frozenset[str] | None = None
        parameters = _parameters(fn)
        if parameters is not None:
            self._read(parameters, ignore)

    def _read(self, parameters: Mapping[str, inspect.Parameter], ignore: frozenset[str]) -> None:
        self.names = tuple(n for n, each in parameters.items() if each.kind in _POSITIONAL)
        for name, each in parameters.items():
            if each.default is not each.empty and name not in self._without:
                try:
                    packed(each.default)
                except NoForm:
                    continue
                part = self._parts.get(name)
                self._defaults[name] = each.default if part is None else part(each.default)
            if each.kind is each.VAR_POSITIONAL:
                self._rest = name not in ignore
            if each.kind is each.VAR_KEYWORD and name in ignore:
                self._only = frozenset(parameters)

    def head(self) -> bytes:
        """The target: where it sends what, or what its code is."""
        if self._fingerprint is None:
            return self._head
        return self._head + self._fingerprint.form()

    def given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The arguments of a call that count, by name where they have one."""
        if self._fixed is not None:
            args, kwargs = (*self._fixed.args, *args), {**self._fixed.keywords, **kwargs}
        given, more = kwargs, args
        if args:
            given, more = dict(zip(self.names, args, strict=False)), args[len(self.names) :]
            if kwargs:
                if not given.keys().isdisjoint(kwargs):  # one name twice
                    return [[*args], kwargs, None]
                given.update(kwargs)
        if not self._odd.isdisjoint(given):
            given = self._counting(given)
        if self._only is not None:
            given = {name: each for name, each in given.items() if name in self._only}
        if self._defaults:
            given = {**self._defaults, **given}
        if self._owner is not None:
            return [given, [*more] if self._rest else None, self._owner()]
        return [given, [*more]] if more and self._rest else given

    def _counting(self, given: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, each in given.items():
            if name not in self._without:
                part = self._parts.get(name)
                value = each if part is None else part(each)
                if value is not None or part is None or name in self._defaults:
                    found[name] = value
        return found


def _apart(given: Any) -> tuple[Any, list[Any]]:
    """The arguments with a name, and the rest."""
    if _is_named(given):
        return given, []
    return given[0], [*given[1:]]


def _is_named(given: Any) -> TypeGuard[dict[str, Any]]:
    return type(given) is dict


def _told(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _parameters(fn: Any) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(fn, follow_wrapped=False).parameters
    except (TypeError, ValueError):
        return None


def _blamed(given: Any) -> tuple[str, str] | None:
    """Which argument has no canonical form, and why."""
    first, more = _apart(given)
    named: dict[str, Any] = {}
    if isinstance(first, dict):
        named.update(cast("dict[str, Any]", first))
    if len(more) > 1:
        named["self"] = more[1]
    if more:
        named |= {f"*{at}": each for at, each in enumerate(more[0] or ())}
    for name, value in named.items():
        try:
            packed(value)
        except NoForm as error:
            return name, error.what
    return None
