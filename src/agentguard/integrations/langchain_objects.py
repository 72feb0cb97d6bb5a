"""LangChain's models, tools, embeddings, retrievers and other runnables.

What calls the model or acts is guarded, not `invoke` around it: chains, `bind_tools`, agents and
callbacks come through there, whichever way they take. Only of a runnable that is none of the
known kinds, such as a whole agent, the public methods are all there is.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from agentguard.integrations.held import Method, guarded_copy, held
from agentguard.integrations.langchain_answers import ChatMethod

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from agentguard.engine.guard import guard as Guard  # noqa: N812  the class, beside its instance
    from agentguard.integrations.held import Held

__all__ = ["guarded"]

T = TypeVar("T")

_MODEL: Final = (
    "_generate",
    "_agenerate",
    "_stream",
    "_astream",
    "_stream_chat_model_events",
    "_astream_chat_model_events",
)
_INNER: Final = {
    "BaseChatModel": _MODEL,
    "BaseLLM": _MODEL,
    "BaseTool": ("_run", "_arun"),
    "BaseRetriever": ("_get_relevant_documents", "_aget_relevant_documents"),
    "Embeddings": ("embed_documents", "embed_query", "aembed_documents", "aembed_query"),
}
"""What makes the call, by base class. The base's own versions only delegate to each other."""

_HOLDING: Final = {
    "RunnableBinding": ("bound",),
    "RunnableConfigurableFields": ("default",),
    "RunnableConfigurableAlternatives": ("default", "alternatives"),
    "RunnableWithFallbacks": ("runnable", "fallbacks"),
    "RunnableEachBase": ("bound",),
}
"""Runnables around others whose methods they hand out, and where they keep them."""

_OUTER: Final = ("invoke", "ainvoke", "stream", "astream")
_FED: Final = ("transform", "atransform")
_BATCHES: Final = ("batch", "abatch", "batch_as_completed", "abatch_as_completed")

_ONCE: Final = (
    "Its own retries are off: what is repeated, the guard decides. The original keeps its own."
)


def guarded(thing: T, guard: Guard) -> T:
    """A copy of `thing` that is still its class, and whose calls run through `guard`."""
    known = held(thing)
    base = type(thing) if known is None else known.base
    root, names = _inner(base)
    if root is None:
        return cast("T", _holding(thing, guard) or _runnable(thing, guard))
    own = [name for name in names if getattr(base, name, None) is not getattr(root, name, None)]
    method = _METHODS.get(root.__name__, Method)

    def make(base: type, guard: Guard) -> dict[str, Any]:
        return {name: method(base, guard, name) for name in own}

    retries = _retries(thing, base)
    twin = guarded_copy(thing, guard, make, calls=own, notes=(_ONCE,) if retries else ())
    if retries:
        _switch_retries_off(vars(twin))
    return twin


def _inner(kind: type) -> tuple[type | None, Sequence[str]]:
    for base in kind.__mro__:
        if base.__name__ in _INNER and base.__module__.startswith("langchain_core."):
            return base, _INNER[base.__name__]
    return None, ()


def _holding(thing: Any, guard: Guard) -> Any | None:
    """A binding and the like with guarded models in it, since they hand their methods out."""
    if "_ConfigurableModel" in _kinds(thing):
        raise TypeError(
            "what init_chat_model(configurable_fields=...) returns makes a new model for each call, "
            "which a guard around it would not reach: guard the models that it chooses from, or an "
            "agent's model calls with guard(...).middleware()"
        )
    if not _hands_out(thing):
        return None
    inner: dict[str, Any] = {}
    calls: list[str] = []
    notes: dict[str, None] = {}
    for place, path, each in _inside(thing):
        safe = guard(each)
        known = cast("Held", held(safe))
        calls += [f"{path}.{name}" for name in known.calls]
        notes |= dict.fromkeys(known.told(safe))
        inner.setdefault(place, []).append(safe)
    twin = guarded_copy(thing, guard, _as_it_is, calls=calls, notes=tuple(notes))
    for place, made in inner.items():
        kept = getattr(thing, place)
        if isinstance(kept, Mapping):
            vars(twin)[place] = dict(zip(cast("Mapping[str, Any]", kept), made, strict=True))
        else:
            vars(twin)[place] = made if isinstance(kept, (list, tuple)) else made[0]
    return twin


def _hands_out(thing: Any) -> bool:
    """Whether methods of a model come out of `thing`, or copies that lose a guard around it."""
    inside = _inside(thing)
    return "RunnableEachBase" in _kinds(thing) or any(
        _inner(each.__class__)[0] is not None or _hands_out(each) for _, _, each in inside
    )


def _inside(thing: Any) -> list[tuple[str, str, Any]]:
    """What a runnable of `_HOLDING` holds: attribute, path, runnable."""
    kinds = _kinds(thing)
    places = next((places for kind, places in _HOLDING.items() if kind in kinds), ())
    found: list[tuple[str, str, Any]] = []
    for place in places:
        kept: Any = getattr(thing, place)
        if isinstance(kept, Mapping):
            named = cast("Mapping[str, Any]", kept)
            found += [(place, f"{place}[{name!r}]", each) for name, each in named.items()]
        elif isinstance(kept, (list, tuple)):
            several = cast("Sequence[Any]", kept)
            found += [(place, f"{place}[{index}]", each) for index, each in enumerate(several)]
        else:
            found.append((place, place, kept))
    for _, path, each in found:
        if "Runnable" not in _kinds(each):
            raise TypeError(
                f"{path} of {type(thing).__name__} is a function that makes a new model for each "
                "call, which a guard around it would not reach: give configurable_alternatives the "
                "model itself, or have the function return a guarded one and guard the others, too"
            )
    return found


def _kinds(thing: object) -> set[str]:
    return {base.__name__ for base in type(thing).__mro__}


def _as_it_is(_base: type, _guard: Guard) -> dict[str, Any]:
    return {}


def _runnable(thing: Any, guard: Guard) -> Any:
    from langchain_core.runnables import Runnable, RunnableBinding, RunnableSequence

    if isinstance(thing, RunnableSequence):
        # `|` takes sequences apart and joins their steps: the guard would be lost with the whole
        thing = RunnableBinding(bound=cast("Any", thing))

    def make(base: type, guard: Guard) -> dict[str, Any]:
        # A binding's own goes to what is bound, past `astream`.
        own: Any = Runnable
        names = ("astream_events", "stream_events")
        events = {name: getattr(own, name) for name in names if hasattr(own, name)}
        binding = "RunnableBindingBase" in {each.__name__ for each in base.__mro__}
        return {
            **(events if binding else {}),
            **{name: _RunnableMethod(base, guard, name) for name in _OUTER},
            **{name: _Fed(base, guard, name) for name in _FED},
            # A class's own may call the steps inside, all at once for all items.
            **{name: getattr(Runnable, name) for name in _BATCHES},
        }

    calls = (*_OUTER, *_FED, *_BATCHES)
    return guarded_copy(thing, guard, make, calls=calls)


class _ToolMethod(Method):
    """A tool's: what it does is not done again, and it goes by the tool's name."""

    def __init__(self, base: type, guard: Guard, name: str) -> None:
        super().__init__(base, guard, name, tool=True)

    def called(self, owner: Any) -> str:
        return str(owner.name)


_METHODS: Final = {"BaseChatModel": ChatMethod, "BaseTool": _ToolMethod}


class _RunnableMethod(Method):
    """Goes by the name that LangChain's own traces have for the runnable."""

    def called(self, owner: Any) -> str:
        return f"{owner.get_name()}.{self._name}"


class _Fed(_RunnableMethod):
    """A method whose first argument streams in: every attempt reads it from its beginning."""

    def __get__(self, owner: object, kind: type | None = None) -> Any:
        found = super().__get__(owner, kind)
        if owner is None or not hasattr(found, "__agentguard__"):
            return found

        @functools.wraps(found)
        def fed(input: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: A002  LangChain's name
            return found(_Kept(input), *args, **kwargs)

        return fed


class _Kept:
    """A stream that can be read again: it keeps what came."""

    in_pieces = True  # its texts go on from item to item

    def __init__(self, source: Any) -> None:
        self._source = source
        self._came: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        yield from self._came
        for item in self._source:
            self._came.append(item)
            yield item

    async def __aiter__(self) -> AsyncIterator[Any]:
        for item in self._came:
            yield item
        async for item in self._source:
            self._came.append(item)
            yield item


def _retries(thing: object, base: type) -> bool:
    """Whether `thing` makes its requests with a client of the openai or anthropic SDK."""
    packages = {each.__module__.partition(".")[0] for each in base.__mro__}
    return not packages.isdisjoint({"langchain_openai", "langchain_anthropic"}) or any(
        _client(value) is not None for value in vars(thing).values()
    )


def _switch_retries_off(known: dict[str, Any]) -> None:
    """In the attributes of the copy: the number, and every client that was made with it."""
    if "max_retries" in known:
        known["max_retries"] = 0
    known.pop("_client_params", None)  # what ChatAnthropic makes its next client with
    for name, value in [*known.items()]:
        client = _client(value)
        if client is not None:
            once = client.with_options(max_retries=0)
            known[name] = once if client is value else type(value)(once)


def _client(value: object) -> Any:
    """The SDK's client that `value` is, or that it is a resource of."""
    names = {base.__name__ for base in type(value).__mro__}
    if not names.isdisjoint({"SyncAPIClient", "AsyncAPIClient"}):
        return value
    if not names.isdisjoint({"SyncAPIResource", "AsyncAPIResource"}):
        return getattr(value, "_client", None)
    return None
