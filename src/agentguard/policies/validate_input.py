"""`validate_input`: a bad request is refused before it is sent or paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from agentguard.engine import arguments
from agentguard.engine.bill import request_of
from agentguard.engine.chain import Policy
from agentguard.engine.spelling import Spelled
from agentguard.engine.verdict import Finding
from agentguard.providers.sent import Unwalkable, rewrite
from agentguard.validating.kinds import kind_of
from agentguard.validating.request import Request
from agentguard.validating.settings import (
    models_of,
    refused_models,
    refused_settings,
    rule_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Reply

__all__ = ["ValidateInput", "validate_input"]

_UNKNOWN: Final = "unknown"


class ValidateInput(Policy):
    """Refuse a request that breaks your rules, before anything is sent, masked, cached or charged.

    Protects from paying for requests that cannot end well, and from callers who ask for more than
    they may have: another model, ten answers, a book for a prompt.

    Args:
        *checks: of the arguments by name, bound to the callable's signature: pydantic models (or other
            types, such as a TypedDict), JSON schemas, and predicates. A predicate gets the arguments
            as a dict and says True or False, or raises a ValueError.
        max_chars: characters that all texts of the request may have together: every message, tool
            result and argument.
        max_tokens: tokens of input that the request may have, by `count_tokens`. They are counted
            only where a cheap upper bound does not already fit.
        models: names of the models that may be asked for; `*` stands for anything, as in "claude-*".
            A request in which no model is seen is refused.
        parameters: settings and what they may be: `(low, high)`, either of them None for no end; a set
            of values; a type; or a predicate. One that is left out of a request is the provider's
            default and passes.
        forbidden: settings that may not be given at all.
        system: a system prompt is required.

    Events:
        `Rejected(policy, what, rules, then, shadow)`.

    Raises:
        errors.InputRejected: `.findings` has a reason for each field. None quotes a value.

    Examples:
        >>> from agentguard import errors, validate_input
        >>> @validate_input(lambda given: bool(given["question"].strip()), max_chars=1000)
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> try:
        ...     ask(" ")
        ... except errors.InputRejected as error:
        ...     print(error.findings[0].rule)
        predicate
    """

    name: ClassVar[str] = "validate_input"
    refuses = True
    spellings: ClassVar[Mapping[str, str]] = {
        "": "validate_input(max_chars=10_000)",
        "model": "models={...}, or the pydantic model as the first argument",
        "schema": "the schema as the first argument",
        "max_length": "max_chars=",
        "max_input_tokens": "max_tokens=",
        "allowed_models": "models=",
        "params": "parameters=",
        "forbid": "forbidden=",
        "require_system": "system=True",
        "system_prompt": "system=True",
        "then": "nothing: a request that is refused ends with errors.InputRejected",
        "on_fail": "nothing: a request that is refused ends with errors.InputRejected",
    }

    def __init__(
        self,
        *checks: Any,
        max_chars: int | None = None,
        max_tokens: int | None = None,
        models: Collection[str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        forbidden: Collection[str] = (),
        system: bool = False,
    ) -> None:
        count = arguments.count
        self.kinds = [kind_of("validate_input", each) for each in checks]
        self.max_chars = (
            None if max_chars is None else count("validate_input", "max_chars", max_chars)
        )
        self.max_tokens = (
            None if max_tokens is None else count("validate_input", "max_tokens", max_tokens)
        )
        self.models = None if models is None else models_of(models)
        self.rules = {name: rule_of(name, each) for name, each in (parameters or {}).items()}
        if isinstance(forbidden, str):
            raise TypeError('validate_input(forbidden=) takes a set of names, as in {"logprobs"}')
        self.forbidden = tuple(forbidden)
        self.system = system
        self._reads = bool(self.kinds or self.models or self.rules or self.forbidden or system)
        if not (self._reads or self.max_chars or self.max_tokens):
            raise TypeError(
                "validate_input() has nothing to check: pass a pydantic model, a predicate, max_chars=, "
                "max_tokens=, models=, parameters=, forbidden= or system=True"
            )

    async def around(self, call: Call, next: Next) -> Reply:
        """Check, then call."""
        findings = self._findings(call) if self._reads else []
        if not findings:
            findings = await self._sizes(call)
        if findings:
            call.reject(self, findings)
        return await next(call)

    def _findings(self, call: Call) -> list[Finding]:
        request = Request(call.target, call.args, call.kwargs)
        found: list[Finding] = []
        if self.models is not None:
            found += refused_models(request, self.models)
        found += refused_settings(request, self.rules, self.forbidden)
        if self.system and not request.instructed():
            found.append(Finding("system_prompt", "there is no system prompt"))
        if not request.arguments and (call.args or call.kwargs):
            return found  # they do not fit the signature: the callable says so itself
        for kind in self.kinds:
            given = dict(request.arguments)
            found += [each.finding for each in kind.of(given).problems]
        return found

    async def _sizes(self, call: Call) -> list[Finding]:
        if self.max_chars is None and self.max_tokens is None:
            return []
        try:
            texts = _texts(call)
        except Unwalkable:
            return [Finding("unreadable", "an argument contains itself, so it cannot be measured")]
        if self.max_chars is not None and sum(map(len, texts)) > self.max_chars:
            return [Finding("too_long", f"has more than {self.max_chars} characters")]
        if self.max_tokens is not None and await self._too_many(call, texts, self.max_tokens):
            return [Finding("too_long", f"has more than {self.max_tokens} tokens")]
        return []

    async def _too_many(self, call: Call, texts: list[str], most: int) -> bool:
        from agentguard.tokens.count import bound_tokens, count_tokens

        request = request_of(call)
        model = str(call.kwargs.get("model") or call.target.endpoint.model or _UNKNOWN)
        thing: Any = texts
        if isinstance(request, dict):
            thing = cast("dict[str, Any]", request)
        try:
            if bound_tokens(thing, model) <= most:
                return False
        except TypeError:
            thing = texts
            if bound_tokens(thing, model) <= most:
                return False
        return await call.runtime.blocking(count_tokens, thing, model) > most

    def explain(self) -> Sequence[tuple[str, object]]:
        """What is checked, by name."""
        told: list[tuple[str, object]] = [
            ("checks", ", ".join(each.name for each in self.kinds) or None),
            ("max_chars", self.max_chars),
            ("max_tokens", self.max_tokens),
            ("models", None if self.models is None else ", ".join(self.models)),
            ("parameters", ", ".join(self.rules) or None),
            ("forbidden", ", ".join(self.forbidden) or None),
            ("system", self.system or None),
        ]
        return [(name, value) for name, value in told if value is not None]


def _texts(call: Call) -> list[str]:
    """Every text that the call sends."""
    found: list[str] = []

    def collect(text: str, _: object) -> str:
        found.append(text)
        return text

    rewrite(call.target, call.args, call.kwargs, collect)
    return found


validate_input = Spelled(ValidateInput)
