"""`ground`: an answer says nothing that its sources do not say."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from agentguard import events
from agentguard.engine.arguments import number, one_of
from agentguard.engine.chain import Policy
from agentguard.engine.gate import Window
from agentguard.engine.judging import checked_hold, judged
from agentguard.engine.spelling import Bare
from agentguard.engine.verdict import Finding, Stop, checked, reask, replace, stop
from agentguard.grounding.sources import texts_of
from agentguard.providers.said import said

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.judging import Answer, Hold
    from agentguard.engine.reply import Reply
    from agentguard.engine.target import Target
    from agentguard.engine.verdict import Then
    from agentguard.grounding.evidence import Evidence
    from agentguard.grounding.meaning import Meaning
    from agentguard.grounding.sentences import Sentence

    Found = list[tuple["Sentence", tuple[str, ...]]]

__all__ = ["Ground", "annotate", "ground"]

_LARGE: Final = 20_000
"""Characters of sources and answer from which on they are compared off the event loop."""
_QUOTED: Final = 200
_FAILED: Final = "nothing could be checked: a judge or an encoder failed, and on_error is closed"


class annotate(replace):  # noqa: N801  reads like a verb, as `stop` does
    """After a finding the answer is handed on with its unsupported sentences marked.

    Args:
        template: what stands in place of such a sentence, with `{sentence}` once.

    Examples:
        >>> from agentguard.policies.ground import annotate
        >>> annotate("{sentence} (not in the sources)")
        annotate('{sentence} (not in the sources)')
    """

    __slots__ = ("spans", "template")

    def __init__(self, template: str = "{sentence} [unverified]") -> None:
        super().__init__(template)
        if template.count("{sentence}") != 1:
            raise TypeError('annotate() takes a text with {sentence} once, as in "{sentence} [?]"')
        self.template = template
        self.spans: list[tuple[int, int]] = []

    def __repr__(self) -> str:
        return f"annotate({self.template!r})"

    def said(self, answer: str) -> str:
        """The answer with the sentences at `spans` marked."""
        before, after = self.template.split("{sentence}")
        pieces: list[str] = []
        position = 0
        for start, end in self.spans:
            pieces += [answer[position:start], before, answer[start:end], after]
            position = end
        return "".join([*pieces, answer[position:]])


class Ground(Policy):
    """Hold an answer to its sources: each fact in it must stand in them or in the prompt.

    Looked up are numbers with their units, dates and times, quotations, codes, web and mail
    addresses, and names that are capitalised or quoted, in English and Korean, however they are
    written: 3만 5천원 is 35,000 won, "$1.2M" is 1,200,000 dollars, 3 March 2025 is 2025-03-03. A number
    with a decimal point or a scale may be rounded, a whole one only beside a word such as "about".
    90 seconds are a minute and a half; what has to be rounded to be converted is not the same.
    Whether the facts were put together rightly, no rule can see: for that pass `judge=`.

    Args:
        sources: what answers rest on beside the prompt: texts, documents or dicts in a list; a
            function of the call that returns such; the name of an argument that holds them; or
            "tools", the default: what tools have returned in the conversation. What the model itself
            has said before is no source.
        then: what follows a finding: `stop`, `reask(n)`, `replace(text)` or `annotate(template)`.
        hold: how a stream is judged: "all" holds it back until its end; a `Window` lets sentence
            by sentence through, each when it is whole and was checked. Without it a stream is refused.
        semantic: also compare sentences in which nothing can be looked up with those of the
            sources, by their embeddings. Needs the extra `semantic`; with `embed`, numpy.
        threshold: the least cosine, 0.45 unless given.
        embed: turns a text into a vector, in place of the extra's model.
        judge: a function that asks a model: it gets a prompt and returns the model's answer, a JSON
            object. It may be async in async calls. Guard it by itself. It gets answer and
            prompt as they are masked, and `sources` as you gave them.
        on_error: a judge or encoder that fails, or answers with something else than was asked for,
            refuses ("closed", the default) or lets through ("open").

    Events:
        `Rejected`; `CheckFailed`, for "judge" or "semantic".

    Raises:
        OutputRejected: the answer was refused. Each of its findings names a sentence, where it is,
            and what kind of thing was not found; none quotes it.
        TypeError: at decoration, for an async judge of a sync function.

    Examples:
        >>> import agentguard as ag
        >>> @ag.ground(sources="documents")
        ... def ask(question: str, documents: list[str]) -> str:
        ...     return "You have 40 days to return it."
        >>> try:
        ...     ask("Can I return it?", documents=["Returns are free within 30 days."])
        ... except ag.errors.OutputRejected as error:
        ...     print(error.findings[0])
        sentence 1: a number is in no source
    """

    refuses = True
    spellings: ClassVar[Mapping[str, str]] = {
        "documents": 'sources=[...], or sources="documents" for an argument of that name',
        "context": 'sources="context"',
        "source": "sources=",
        "action": "then=",
        "on_fail": "then=",
        "model": "judge=, a function that asks the model",
        "llm": "judge=, a function that asks the model",
        "embeddings": "embed=",
        "min_score": "threshold=",
        "fail_open": 'on_error="open"',
        "window": "hold=Window(...)",
    }

    def __init__(
        self,
        sources: Any = "tools",
        *,
        then: Then = stop,
        hold: Hold = None,
        semantic: bool = False,
        threshold: float | None = None,
        embed: Callable[[str], Sequence[float]] | None = None,
        judge: Callable[[str], str | Awaitable[str]] | None = None,
        on_error: Literal["closed", "open"] = "closed",
    ) -> None:
        one_of("ground", "on_error", on_error, "closed", "open")
        self.then = checked("ground", then, Stop, reask, replace, annotate)
        if isinstance(then, annotate) and isinstance(hold, Window):
            raise TypeError('ground(then=annotate()) marks whole answers: pass hold="all"')
        if judge is not None and not callable(judge):
            raise TypeError("ground(judge=) is a function of a prompt that returns the answer")
        self.sources = sources
        self.hold: Hold = checked_hold("ground", hold)
        self.judge = judge
        self.closed = on_error == "closed"
        fixed = not isinstance(sources, str) and not callable(sources)
        self.given: tuple[str, ...] = tuple(texts_of(sources)) if fixed else ()
        self._standing: Evidence | None = None
        self.meaning: Meaning | None = None
        if semantic:
            from agentguard.grounding.meaning import DEFAULT, Meaning

            least = DEFAULT if threshold is None else number("ground", "threshold", threshold)
            if not 0 < least <= 1:
                raise ValueError(
                    f"ground(threshold=) is a cosine above 0 and at most 1, not {least!r}"
                )
            self.meaning = Meaning(least, embed)
        elif threshold is not None or embed is not None:
            raise TypeError("ground(threshold=) and ground(embed=) go with semantic=True")

    def __repr__(self) -> str:
        return "ground(...)"

    @classmethod
    def takes(cls, value: object) -> bool:
        """Texts, or the name of an argument, as in `ground("documents")`."""
        return isinstance(value, (str, list, tuple))

    def check(self, target: Target) -> None:
        """Refuse an argument that is not there, and an async function in a sync one."""
        for name, fn in (("sources", self.sources), ("judge", self.judge)):
            waits = inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(
                getattr(fn, "__call__", None)  # noqa: B004  an object whose call is a coroutine
            )
            if callable(fn) and waits and not (target.is_async or target.hands_back):
                raise TypeError(
                    f"ground({name}=) is asynchronous and {target.name} is not: pass a sync one, or "
                    "guard an async function"
                )
        if isinstance(self.sources, str) and self.sources != "tools":
            names, open_ended = _parameters(target)
            if self.sources not in names and not open_ended:
                raise TypeError(
                    f"ground(sources={self.sources!r}) names an argument of {target.name}, which has "
                    f"{', '.join(names) or 'none'}; texts are passed as a list"
                )

    async def around(self, call: Call, next: Next) -> Reply:
        """Make the call and hold its answer to the sources."""
        from agentguard.grounding.sentences import settled  # its patterns take time to compile

        checking = _Checking(self, call)
        then = annotate(self.then.template) if isinstance(self.then, annotate) else self.then
        if isinstance(then, annotate):
            checking.marked = then
        return await judged(
            self,
            call,
            next,
            checking.judge,
            then=then,
            hold=self.hold,
            feedback=checking.feedback,
            cut=settled,
        )

    def explain(self) -> Sequence[tuple[str, object]]:
        """What answers rest on, and who looks."""
        given = self.sources if isinstance(self.sources, str) else "a function"
        sources = f"{len(self.given)} texts" if isinstance(self.sources, (list, tuple)) else given
        return [
            ("sources", f"{sources}, and the prompt"),
            ("semantic", "off" if self.meaning is None else f"from {self.meaning.threshold:g}"),
            ("judge", "none" if self.judge is None else "asked"),
            ("then", repr(self.then)),
        ]

    async def texts(self, call: Call) -> list[str]:
        """What the answer of a call may rest on beside `given`, as masked as the call is."""
        by = {"system", "user", "tool"} if self.sources == "tools" else {"system", "user"}
        heard = said(call.target, call.args, call.kwargs)
        prompt = [each.text for each in heard if each.by in by]
        if callable(self.sources):
            return [*texts_of(await _called(call, self.sources, call)), *prompt]
        if isinstance(self.sources, str) and self.sources != "tools":
            return [*texts_of(_argument(call, self.sources)), *prompt]
        return prompt

    def standing(self) -> Evidence:
        """What the texts say that are the same for every call: read once."""
        if self._standing is None:
            from agentguard.grounding.evidence import Evidence

            self._standing = Evidence(self.given)
        return self._standing


ground = Bare(Ground)


class _Checking:
    """One call's answer, looked at as a whole or sentence by sentence."""

    __slots__ = (
        "_call",
        "_evidence",
        "_offset",
        "_policy",
        "_quoted",
        "_splitter",
        "_texts",
        "marked",
    )

    def __init__(self, policy: Ground, call: Call) -> None:
        from agentguard.grounding.sentences import Splitter

        self._policy = policy
        self._call = call
        self._evidence: tuple[Evidence, ...] = ()
        self._texts: list[str] = []
        self._splitter = Splitter()
        self._offset = 0
        self._quoted: list[str] = []
        self.marked: annotate | None = None

    async def judge(self, answer: Answer) -> Sequence[Finding]:
        """The findings of an answer, or of the sentences that a window lets through next."""
        runtime = self._call.runtime
        if answer.value is not None:  # a whole answer, which may be the next of several
            self._splitter, self._offset = type(self._splitter)(), 0
        size = len(answer.masked)
        if not self._evidence:
            self._texts = [*self._policy.given, *await self._policy.texts(self._call)]
            size += sum(map(len, self._texts))
        look = runtime.blocking if size > _LARGE else _at_once
        found, sentences, plain = await look(self._look, answer.masked)
        found = await self._ask(found, sentences, plain, answer)
        self._quoted = [answer.masked[each.start : each.end][:_QUOTED] for each, _ in found]
        if self.marked is not None:
            self.marked.spans = [(each.start, each.end) for each, _ in found]
        findings = self._findings(found, answer.masked)
        self._offset += len(answer.text)
        return findings

    def _look(self, masked: str) -> tuple[Found, list[Sentence], list[str]]:
        """What the rules and the encoder find, all sentences, and their texts with nothing masked."""
        from agentguard.grounding.check import lacking
        from agentguard.grounding.claims import claims
        from agentguard.grounding.evidence import Evidence

        if not self._evidence:
            asked = self._texts[len(self._policy.given) :]
            self._evidence = (self._policy.standing(), Evidence(map(self._call.restore, asked)))
        sentences = list(self._splitter.over(masked))
        plain = [self._call.restore(masked[each.start : each.end]) for each in sentences]
        found: Found = []
        vague: list[int] = []
        for index, (each, text) in enumerate(zip(sentences, plain, strict=True)):
            stated = claims(text, heading=each.heading)
            kinds = lacking(stated, self._evidence)
            if kinds:
                found.append((each, kinds))
            elif not any(stated) and not each.heading:
                vague.append(index)
        if self._policy.meaning is not None and vague:
            found = sorted([*found, *self._vague([(sentences[at], plain[at]) for at in vague])])
        return found, sentences, plain

    def _vague(self, vague: list[tuple[Sentence, str]]) -> Found:
        """Those of sentences without anything to look up that no source comes near."""
        from agentguard.grounding.meaning import states

        meaning = self._policy.meaning
        stated = [(each, text) for each, text in vague if states(text)]
        if meaning is None or not stated:
            return []
        try:
            near = meaning.nearest(
                [text for _, text in stated], [*map(self._call.restore, self._texts)]
            )
        except Exception as error:
            self._call.emit(events.CheckFailed, "ground", "semantic", type(error).__name__)
            return [(each, ("failed",)) for each, _ in stated] if self._policy.closed else []
        return [
            (each, ("meaning",))
            for (each, _), cosine in zip(stated, near, strict=True)
            if cosine < meaning.threshold
        ]

    async def _ask(
        self, found: Found, sentences: list[Sentence], plain: list[str], answer: Answer
    ) -> Found:
        """What the judge adds to what was found."""
        judge = self._policy.judge
        if judge is None or not sentences:
            return found
        from agentguard.grounding.asking import prompt, unsupported

        masked = [answer.masked[each.start : each.end] for each in sentences]
        try:
            told = await _called(self._call, judge, prompt(masked, self._texts))
            named = unsupported(told, len(sentences))
        except Exception as error:
            self._call.emit(events.CheckFailed, "ground", "judge", type(error).__name__)
            if not self._policy.closed:
                return found
            return found or [(sentences[0], ("failed",))]
        known = {each.number for each, _ in found}
        more = [sentences[at - 1] for at in named]
        return sorted([*found, *((each, ("judge",)) for each in more if each.number not in known)])

    def _findings(self, found: Found, masked: str) -> list[Finding]:
        findings: list[Finding] = []
        position, length = 0, self._offset
        for each, kinds in found:
            start = length + len(self._call.restore(masked[position : each.start]))
            length = start + len(self._call.restore(masked[each.start : each.end]))
            position = each.end
            findings.append(
                Finding("ungrounded", _reason(kinds), f"sentence {each.number}", start, length)
            )
        return findings

    def feedback(self, findings: Sequence[Finding]) -> str:
        """What a model that is asked again is told; of its answer it gets to see what it said."""
        told = [
            f'- {each.where} ("{text}"): {each.reason}'
            for each, text in zip(findings, self._quoted, strict=False)
        ]
        return (
            "Some sentences of your answer do not rest on the sources or on what was asked:\n"
            + "\n".join(told)
            + "\nAnswer again, from the sources alone. Leave out what they do not say."
        )


def _reason(kinds: Sequence[str]) -> str:
    if "failed" in kinds:
        return _FAILED
    from agentguard.grounding.check import LACKING

    things = [LACKING[kind] for kind in kinds]
    listed = ", ".join(things[:-1]) + " and " + things[-1] if len(things) > 1 else things[0]
    return f"{listed} {'are' if len(things) > 1 else 'is'} in no source"


async def _at_once(fn: Callable[..., Any], *args: Any) -> Any:
    return fn(*args)


async def _called(call: Call, fn: Callable[..., Any], *args: Any) -> Any:
    """What a function of the user's returns, which may block, or be a coroutine function."""
    runtime = call.runtime
    waits = inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(
        getattr(fn, "__call__", None)  # noqa: B004  as above
    )
    given = fn(*args) if waits else await runtime.blocking(fn, *args)
    if inspect.isawaitable(given):
        if not runtime.is_async:
            if inspect.iscoroutine(given):
                given.close()
            raise TypeError("an async function was given to ground() for a sync call")
        given = await given
    return given


def _parameters(target: Target) -> tuple[list[str], bool]:
    try:
        known = inspect.signature(target.fn).parameters.values()
    except (TypeError, ValueError):
        return [], True
    return [each.name for each in known], any(each.kind is each.VAR_KEYWORD for each in known)


def _argument(call: Call, name: str) -> Any:
    known = call.target.given(call.kwargs)
    if name in known:
        return known[name]
    names, _ = _parameters(call.target)
    place = names.index(name) if name in names else len(call.args)
    return call.args[place] if place < len(call.args) else ()
