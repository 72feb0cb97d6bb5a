"""`validate_output`: an answer that is not what was asked for never comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, TypeVar, cast, overload

from agentguard.engine.arguments import one_of
from agentguard.engine.chain import Policy
from agentguard.engine.judging import judged
from agentguard.engine.reply import Reply
from agentguard.engine.spelling import Spelled
from agentguard.engine.verdict import Stop, checked, reask, stop
from agentguard.errors import OutputRejected
from agentguard.providers.answered import is_message
from agentguard.providers.forced_tool import forced_tool
from agentguard.validating.answers import Wanted
from agentguard.validating.kinds import Predicate, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from typing import ParamSpec

    from pydantic import TypeAdapter

    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.judging import Answer
    from agentguard.engine.target import Target
    from agentguard.engine.verdict import Finding, Then
    from agentguard.validating.reasons import Problem

    P = ParamSpec("P")

__all__ = ["ParseOutput", "ValidateOutput", "validate_output"]

M = TypeVar("M")

_TWICE: Final = reask(2)


class ValidateOutput(Policy):
    """Hold the answer against what it must be; ask again, with the reasons, when it is not.

    Protects from answers that parse today and not tomorrow: JSON with prose around it, a field that
    is missing, a number out of range, an answer cut off at its length limit. Only an answer that is
    right comes out.

    The JSON is found in a markdown fence and with prose before or behind it. Where several values
    in an answer fit and differ, none is taken. The arguments of a tool call are the answer where the
    request forces that tool, or where the tool has the type's name; any other tool call is a step on
    the way and passes.

    Args:
        wanted: a pydantic model, or any type that `pydantic.TypeAdapter` takes (`list[Item]`,
            `Literal["yes", "no"]`, a TypedDict, a dataclass, a union), such an adapter itself, a JSON
            schema as a dict, or a predicate. A predicate gets the text of the answer, or what a
            function of yours returned, and says True or False, or raises a ValueError whose message
            the model is told.
        parse: return the object instead of the answer. The decorated function's return type becomes
            that type. Not for streams, nor for clients and models, whose answers must stay theirs.
        then: what follows when an answer is not right: `reask(n, tokens=, usd=)`, `stop`, or
            `replace(text)`.
        hold: "all" holds a stream back until its end, to be judged. A stream is refused without it.

    Events:
        `Rejected(policy, what, rules, then, shadow)` for each answer that is not right.

    Raises:
        errors.OutputRejected: `.findings` has the fields and reasons of the last answer. None quotes
            a value, nor do notes, causes or contexts.

    Examples:
        >>> from pydantic import BaseModel
        >>> from agentguard import validate_output
        >>> class City(BaseModel):
        ...     name: str
        >>> @validate_output(City, parse=True)
        ... def capital(country: str) -> str:
        ...     return 'Of course! {"name": "Seoul"}'
        >>> capital("Korea").name
        'Seoul'
    """

    name: ClassVar[str] = "validate_output"
    refuses = True
    spellings: ClassVar[Mapping[str, str]] = {
        "": "validate_output(MyModel)",
        "response_model": "the model as the first argument, with parse=True",
        "model": "the model as the first argument",
        "schema": "the schema as the first argument",
        "max_retries": "then=reask(2), which asks twice more at most",
        "retries": "then=reask(2), which asks twice more at most",
        "attempts": "then=reask(2), which asks twice more at most",
        "on_fail": "then=reask(2), then=stop or then=replace(text)",
        "reask": "then=reask(2)",
        "stream": 'hold="all"',
    }

    def __init__(
        self,
        wanted: Any,
        *,
        parse: bool = False,
        then: Then = _TWICE,
        hold: Literal["all"] | None = None,
    ) -> None:
        one_of("validate_output", "hold", hold, "all")
        kind = kind_of("validate_output", wanted)
        if parse and isinstance(kind, Predicate):
            raise TypeError(
                "validate_output(parse=True) needs a type or a schema to parse into: a predicate only "
                "says whether an answer is good"
            )
        if parse and hold is not None:
            raise TypeError(_NO_STREAM)
        self.then = checked("validate_output", then, *((Stop, reask) if parse else ()))
        self.wanted = Wanted(kind, parse=parse)
        self.parse = parse
        self.refuses = not parse  # shadowed, it would have to return what is none
        self.hold: Literal["all"] | None = hold

    async def around(self, call: Call, next: Next) -> Reply:
        """Call, judge, and ask again."""
        verdict = _Verdict(self.wanted, call)
        return await judged(
            self,
            call,
            next,
            verdict.judge,
            then=self.then,
            hold=self.hold,
            feedback=verdict.feedback,
        )

    def check(self, target: Target) -> None:
        """A stream can only be judged as a whole, and never become one object."""
        if not target.streams:
            return
        if self.parse:
            raise TypeError(f"{target.name} is a generator: {_NO_STREAM}")
        if self.hold is None:
            raise TypeError(
                f"{target.name} is a generator, and validate_output would judge its answer when half of "
                'it is with the user: pass hold="all" to hold it back until its end'
            )

    def requests(self, inner: int) -> int:
        """Every re-ask makes the requests of the chain inside."""
        return inner * (1 + self.then.times) if isinstance(self.then, reask) else inner

    def explain(self) -> Sequence[tuple[str, object]]:
        """What is wanted, and what follows."""
        return [
            ("wanted", self.wanted.kind.name),
            ("parse", self.parse),
            ("then", repr(self.then)),
            *([("hold", self.hold)] if self.hold else []),
        ]


class ParseOutput(ValidateOutput, Generic[M]):
    """`validate_output(..., parse=True)`: the answer comes out as the object that it describes."""

    name: ClassVar[str] = "validate_output"

    async def around(self, call: Call, next: Next) -> Reply:
        """Call, judge, and ask again; a stream is none of what is asked for."""

        async def whole(call: Call) -> Reply:
            return await _whole(await next(call))

        return await super().around(call, whole)

    async def deliver(self, call: Call, reply: Reply) -> Reply:
        """Make the object of what every guard further out has let through, caches included."""
        await _whole(reply)
        found = self.wanted.judge([reply.value])
        if found.problems:
            call.reject(self, [each.finding for each in found.problems], stop, OutputRejected)
        return Reply(reply.attempt, found.value)

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def __call__(  # pyright: ignore[reportOverlappingOverload]
            self, fn: Callable[P, Coroutine[Any, Any, Any]], /
        ) -> Callable[P, Coroutine[Any, Any, M]]: ...

        @overload
        def __call__(self, fn: Callable[P, Any], /) -> Callable[P, M]: ...

        def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
            self, fn: Any, /
        ) -> Any:
            """Guard `fn`, which then returns the object."""


async def _whole(reply: Reply) -> Reply:
    if reply.source is not None:
        await reply.discard()
        raise TypeError(_NO_STREAM)
    return reply


class _Verdict:
    """The judgement of one call's answers, with what only the model may be told of the last."""

    __slots__ = ("_call", "_problems", "_tool", "_wanted")

    def __init__(self, wanted: Wanted, call: Call) -> None:
        self._wanted = wanted
        self._call = call
        self._tool = forced_tool(call.target.given(call.kwargs))
        self._problems: Sequence[Problem] = ()

    def judge(self, answer: Answer) -> Sequence[Finding]:
        value = answer.value
        items: list[Any] = cast("Any", value) if isinstance(value, list) else []
        self._problems = self._wanted.judge(
            items if any(map(is_message, items)) else [value],
            reason=answer.reading.finish_reason,
            tool=self._tool,
            restore=None if self._call.scope.vault is None else self._call.restore,
        ).problems
        return [each.finding for each in self._problems]

    def feedback(self, findings: Sequence[Finding]) -> str:
        """What the model is told. Where a mask hides values from it, nothing that quotes one."""
        masked = self._call.scope.vault is not None
        told = [str(each.finding) if masked else each.told for each in self._problems]
        reasons = "\n".join(f"- {each}" for each in told)
        return f"That answer cannot be used:\n{reasons}\nAnswer again, and mend this."


_NO_STREAM: Final = (
    "validate_output(parse=True) makes one object of the whole answer, and a stream cannot be one: use a "
    'function that returns the answer whole, or hold="all" without parse'
)


class _ValidateOutput(Spelled[..., ValidateOutput]):
    """Says which type comes out."""

    @overload
    def __call__(
        self, wanted: type[M], /, *, parse: Literal[True], then: Then = ...
    ) -> ParseOutput[M]: ...

    @overload
    def __call__(
        self, wanted: TypeAdapter[M], /, *, parse: Literal[True], then: Then = ...
    ) -> ParseOutput[M]: ...

    @overload
    def __call__(
        self, wanted: object, /, *, parse: Literal[True], then: Then = ...
    ) -> ParseOutput[Any]: ...

    @overload
    def __call__(
        self,
        wanted: object,
        /,
        *,
        parse: Literal[False] = False,
        then: Then = ...,
        hold: Literal["all"] | None = None,
    ) -> ValidateOutput: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A policy with these settings."""
        return (_PARSING if kwargs.get("parse") else self)._policy(args, kwargs)  # noqa: SLF001


_PARSING: Final[Spelled[..., ParseOutput[Any]]] = Spelled(ParseOutput)
validate_output = _ValidateOutput(ValidateOutput)
