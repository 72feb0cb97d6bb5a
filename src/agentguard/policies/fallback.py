"""`fallback`: when a target fails, another one answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from agentguard import events
from agentguard.engine import marks
from agentguard.engine.alternative import Alternative
from agentguard.engine.arguments import one_of, plain
from agentguard.engine.chain import Policy
from agentguard.engine.model_argument import embeds, takes_model, with_model
from agentguard.engine.spelling import Spelled
from agentguard.engine.triggers import TRANSIENT, Triggers
from agentguard.engine.trouble import trouble
from agentguard.errors import InputRejected
from agentguard.providers.failures import classify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Reply
    from agentguard.engine.target import Target
    from agentguard.engine.triggers import Trigger
    from agentguard.errors import Kind

__all__ = ["Fallback", "fallback"]

_REFUSED: Final[frozenset[Kind]] = frozenset(
    {"quota_exhausted", "circuit_open", "saturated", "budget_exceeded", "rejected"}
)
_CURED: Final = TRANSIENT | _REFUSED
_BUGS: Final = (TypeError, NameError, AttributeError, KeyError)


class Fallback(Policy):
    """When the guarded callable fails, ask another: a model, a provider, a canned answer.

    Targets are tried in order and are called with the same arguments, past everything inside the
    fallback: a target's failure never votes on the primary's circuit, and a target that needs
    guards of its own is given guarded. Streams fall back until their first content is handed out.

    Several in one guard make typed chains; each acts on its own causes:

        guard(fallback(long_context, on="context_length"), fallback(other_provider), retry())

    Args:
        *targets: callables with the guarded one's signature. A sync target of an async call runs
            in a worker thread; a target that answers at once in place of a stream arrives as a
            stream of one item. Around a client or a chat model also another client or model of the
            same kind, which then makes the same call.
        model: repeat the call with this model instead, or with each of several in turn. Calls for
            embeddings are not: vectors of two models cannot be compared.
        on: what is fallen back from: exception types, kinds, "transient", or a predicate of the
            exception; one or several. Default: transient failures, exhausted quotas, open
            circuits and our other refusals (not those of the input), and unknown exceptions
            except TypeError, NameError, AttributeError and KeyError, which are bugs.
        when: a predicate of the answer that says True to ask the next target instead. On streams
            it needs `hold="all"`. When no target does better, the first answer is returned.
        hold: "all" holds a stream back until its end, for `when` to judge.
        replay: repeat with another model also a call in which a guarded tool ran, whose effects
            then happen twice. Targets of their own are asked in any case.

    Events:
        `FellBack(kind, target)`.

    Raises:
        Exception: the primary's own, when every target failed; its note names each failure.

    Examples:
        >>> from agentguard import fallback
        >>> def sorry(question: str) -> str:
        ...     return "I cannot answer at the moment."
        >>> @fallback(sorry)
        ... def ask(question: str) -> str:
        ...     raise ConnectionError("provider is down")
        >>> ask("?")
        'I cannot answer at the moment.'
    """

    spellings: ClassVar[Mapping[str, str]] = {
        "fallbacks": "fallback(target, another)",
        "targets": "fallback(target, another)",
        "default": "fallback(lambda *args, **kwargs: value)",
        "exceptions": "on=",
        "exceptions_to_handle": "on=",
        "fallback_on": "on= for exceptions, when= for answers",
        "models": "model=",
        "on_result": "when=",
    }

    def __init__(
        self,
        *targets: object,
        model: str | Sequence[str] | None = None,
        on: Trigger | Sequence[Trigger] | None = None,
        when: Callable[[Any], bool] | None = None,
        hold: Literal["all"] | None = None,
        replay: bool = False,
    ) -> None:
        for target in targets:
            if isinstance(target, str):
                raise TypeError(
                    f"fallback() takes callables: for a model write model={target!r}, for a fixed "
                    "answer fallback(lambda *args, **kwargs: answer)"
                )
            if isinstance(target, (list, tuple)):
                raise TypeError("fallback() takes its targets one by one: fallback(first, second)")
        plain("fallback", "when", when, "a function of the answer")
        one_of("fallback", "hold", hold, "all")
        self.models = _names(model)
        if not targets and not self.models:
            raise TypeError(
                "fallback() needs somewhere to fall back to: fallback(another_function) or "
                'fallback(model="...")'
            )
        self.targets = tuple(map(Alternative, targets))
        self.on = None if on is None else Triggers("fallback", on)
        self.when = when
        self.hold = hold
        self.replay = replay

    async def around(self, call: Call, next: Next) -> Reply:
        """Ask the primary, then the targets in order until one serves."""
        first: Reply | None = None
        primary: Exception | None = None
        kind: Kind = "rejected"
        since = marks.moment
        try:
            first = await next(call)
            if self.when is None:
                return first
            answer = await first.answer(hold=self.hold)
        except Exception as error:
            kind = classify(error).kind
            not_held = first is not None and self.hold is None  # a stream that `when` cannot judge
            if not_held or not self._cures(error, kind):
                raise
            primary = error
        else:
            if not self.when(answer):
                return first
        failed: list[str] = []
        try:
            served = await self._turn_to_targets(call, kind, failed)
            if served is not None:
                return served
            if primary is None:
                return first  # type: ignore[return-value]  # one of the two is there
            if failed:
                told = marks.noted(primary, since)
                marks.note(primary, f"{told + '; ' if told else ''}fell back: {', '.join(failed)}")
            raise primary
        finally:
            del primary  # its traceback holds this frame: only the collector could free the two

    async def _turn_to_targets(self, call: Call, kind: Kind, failed: list[str]) -> Reply | None:
        """The answer of the first target that serves; None when all of them `failed`."""
        for alternative in self._alternatives(call):
            if call.deadline is not None and call.deadline.at <= call.runtime.monotonic():
                return None  # a bound around all of this has passed
            name = alternative.target.name
            if alternative.target.fn is call.target.fn and self._acted(call):
                failed.append(f"{name} was not asked: the tool {call.runtime.acted} ran already")
                continue
            call.emit(events.FellBack, kind, name)
            try:
                reply = await alternative.run(alternative.target, number=1, wait=0.0)
                answer = None if self.when is None else await reply.answer(hold=self.hold)
            except Exception as error:
                kind = classify(error).kind
                if kind in {"control", "cancelled"}:
                    raise
                if isinstance(error, _BUGS):  # the note has its type alone, and another may serve
                    trouble(f"the fallback target {name}", error)
                failed.append(f"{name} failed ({type(error).__name__}, {kind})")
                continue
            if self.when is None or not self.when(answer):
                return reply
            await reply.discard()
            kind = "rejected"
            failed.append(f"{name} was not better")
        return None

    def _acted(self, call: Call) -> bool:
        """Whether the call did something in the world that a repetition would do again."""
        return call.runtime.acted is not None and not self.replay

    def answers(self, error: Exception) -> bool:
        """Its targets do, to what it falls back from."""
        return self._cures(error, classify(error).kind)

    def _cures(self, error: Exception, kind: Kind) -> bool:
        if kind in {"control", "cancelled"}:
            return False
        if self.on is not None:
            return self.on.match(error, kind)
        if kind == "unknown":
            return not isinstance(error, _BUGS)
        return kind in _CURED and not isinstance(error, InputRejected)

    def _alternatives(self, call: Call) -> list[Call]:
        calls = [call.replace(target=each.instead_of(call.target)) for each in self.targets]
        for model in () if embeds(call.target) else self.models:
            args, kwargs = with_model(call, model)
            target = call.target.renamed(f"{call.target.name} ({model})")
            calls.append(call.replace(target=target, args=args, kwargs=kwargs))
        return calls

    def check(self, target: Target) -> None:
        """Refuse what could only fail when the primary does, which is the worst moment."""
        if self.models and not takes_model(target.fn):
            raise TypeError(
                f"{target.name} takes no `model` argument, so fallback(model=...) cannot change "
                "it: give it one, or pass a function as the target"
            )
        if self.when is not None and target.streams and self.hold is None:
            raise TypeError(
                f"{target.name} is a generator, and fallback(when=) would judge its answer when "
                'half of it is with the user: pass hold="all" to hold it back until its end'
            )
        for each in self.targets:
            each.check(target)

    def requests(self, inner: int) -> int:
        """Each target is one more, past the chain inside."""
        return inner + len(self.targets) + len(self.models)

    def explain(self) -> Sequence[tuple[str, object]]:
        """Where it falls back to, and from what."""
        names = [each.name for each in self.targets]
        return [
            ("targets", ", ".join([*names, *(f"model={model}" for model in self.models)])),
            ("on", "default" if self.on is None else str(self.on)),
        ]


def _names(model: str | Sequence[str] | None) -> tuple[str, ...]:
    names = () if model is None else (model,) if isinstance(model, str) else model
    checked: Sequence[object] = names if isinstance(names, (tuple, list)) else (names,)
    for each in checked:
        if not isinstance(each, str):
            raise TypeError(
                f"fallback(model=) takes the name of a model, or several, not {type(each).__name__}"
            )
    return tuple(names)


fallback = Spelled(Fallback)
