"""`mask_pii`: personal data and secrets do not leave the process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast

from agentguard import events
from agentguard.engine.arguments import one_of, told
from agentguard.engine.chain import Policy
from agentguard.engine.scope import Block, surrounding
from agentguard.engine.spelling import Bare
from agentguard.engine.verdict import Finding
from agentguard.errors import InputRejected, MaskingFailed
from agentguard.masking.answers import Masking
from agentguard.masking.masker import Masker
from agentguard.masking_calls.answers import Asking, Pieces, put_back, with_values, without_values
from agentguard.masking_calls.continued import continued, remember, remembering
from agentguard.masking_calls.conversations import MOST_VALUES, Conversations
from agentguard.masking_calls.in_force import AroundCalls, AroundTool, InsideCall, whose
from agentguard.masking_calls.request import LONG, Texts, is_large
from agentguard.masking_calls.tracing import cover, is_traced
from agentguard.providers.sent import Unwalkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentguard.detect import Detector
    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Reply
    from agentguard.engine.scope import Scope
    from agentguard.engine.target import Target
    from agentguard.masking.strategies import Strategy
    from agentguard.masking.vault import Vault
    from agentguard.providers.endpoint import Endpoint

__all__ = ["MaskPII", "mask_pii"]

_BLOCK: Final = "block"


class MaskPII(Block, Policy):
    """Send placeholders in place of personal data and secrets, and put the values back in answers.

    Protects from personal data in a provider's logs, and behind this policy in caches, reports and
    traces. `<EMAIL_1>` stands for the first address of a request, wherever it comes again;
    what a conversation begins with keeps its placeholders while it grows.

    Masked is all that is sent: messages of every role, tool results, the arguments of tool calls,
    system prompts, plain arguments however nested. Ids, model names and schemas stay, but for
    descriptions in them. Nothing that the caller holds is changed. Answers get the values back in
    text, tool arguments, parsed objects and reasoning, whole or streaming.

    Guarded calls made inside a masked one are masked in its vault. A guarded tool called there gets
    the values, and its result is masked. With `with mask_pii(...):` all calls inside that are made
    for one user share a vault.

    Args:
        entities: types to mask, as in {"email", "kr_rrn", "api_key"}; all that are detected by
            default.
        strategy: "replace" by placeholders, which alone can be restored, "redact", "partial",
            "hash", or "block" to refuse the request; a function of a value and its type; or a dict
            of these by type.
        restore: whether answers get the values back.
        answers: whether what a model itself brings up is masked in its answers as well.
        detectors: more detectors, beside the default ones.
        attachments: "allow" images, audio and files, in which nothing can be masked, with an event
            for each, or "block" requests that have some.
        on_error: what follows when a detector raises: "closed" refuses the request, "open" goes on
            without what it would have found, with an event.
        key: for "hash", at least 16 random bytes: a value has the same pseudonym wherever they are
            the same.
        conversation: the tag of `context(...)` that names a conversation, as in "thread": all its
            calls, of one tenant and user, share a vault. By default each call has its own.

    Events:
        `Masked(counts)`, `Unmasked(kind, where)`, `DetectorFailed(detector, error, then)`,
        `Rejected`.

    Raises:
        errors.InputRejected: out of a guarded call, for what is to be blocked, for a detector that
            failed, and for an argument that contains itself. It quotes nothing.

    Examples:
        >>> from agentguard import mask_pii
        >>> @mask_pii
        ... def ask(question: str) -> str:
        ...     print(question)
        ...     return "I wrote to <EMAIL_1>."
        >>> ask("Write to kim@example.com")
        Write to <EMAIL_1>
        'I wrote to kim@example.com.'
    """

    name: ClassVar[str] = "mask_pii"
    spellings: ClassVar[Mapping[str, str]] = {
        "": 'mask_pii(entities={"email", "phone"})',
        "types": "entities=",
        "pii_types": "entities=",
        "pii_type": "entities=",
        "mode": "strategy=",
        "operator": "strategy=",
        "operators": "strategy=, a dict by type",
        "unmask": "restore=",
        "deanonymize": "restore=",
        "output": "answers=",
        "apply_to_output": "answers=",
        "recognizers": "detectors=",
        "patterns": "detectors=",
        "fail": "on_error=",
        "images": "attachments=",
        "salt": "key=",
        "session": "conversation=",
        "thread": "conversation=",
    }

    unshown: ClassVar[frozenset[str]] = frozenset({"key"})

    def __init__(
        self,
        entities: Iterable[str] | None = None,
        strategy: Strategy | Mapping[str, Strategy] = "replace",
        *,
        restore: bool = True,
        answers: bool = False,
        detectors: Iterable[Detector] = (),
        attachments: Literal["allow", "block"] = "allow",
        on_error: Literal["closed", "open"] = "closed",
        key: str | bytes | None = None,
        conversation: str | None = None,
    ) -> None:
        one_of("mask_pii", "attachments", attachments, "allow", "block")
        one_of("mask_pii", "on_error", on_error, "closed", "open")
        if conversation is not None and not isinstance(cast("object", conversation), str):
            raise TypeError(
                "mask_pii(conversation=) is the name of a tag, as in conversation='thread' with "
                f"context(thread=...), not {told(conversation)}"
            )
        if isinstance(entities, str):
            raise TypeError(f"mask_pii(entities=) takes several types: write {{{entities!r}}}")
        self.entities = None if entities is None else frozenset(entities)
        self.strategy = strategy
        self.restores = restore
        self.masks_answers = answers
        self.attachments = attachments
        self.on_error = on_error
        self.conversation = conversation
        self.detectors = tuple(detectors)
        self._masker = Masker(self.entities, strategy, detectors=self.detectors, key=key)
        self._conversations = Conversations()
        self._trace()

    @classmethod
    def takes(cls, value: object) -> bool:
        """Types to mask, as in `mask_pii({"email"})`."""
        return isinstance(value, (set, frozenset, list, tuple, str))

    def check(self, target: Target) -> None:
        """Nothing is refused; where calls are traced by now, traces are masked."""
        self._trace()

    async def around(self, call: Call, next: Next) -> Reply:
        """Send masked texts, and restore the answer."""
        self._trace()
        held = call.scope.vault
        if isinstance(held, InsideCall):
            if call.target.tool:
                return await self._tool(call, held.vault, next)
            return await next(
                call if held.has(self, call) else await self._masked(call, held.vault)
            )
        if call.target.tool:
            return await next(call)
        kept = held.of(call.scope.tags) if isinstance(held, (AroundCalls, AroundTool)) else None
        vault = kept or self._vault(call)
        masked = await self._masked(call, vault)
        reply = await next(remembering(masked, self._conversations, vault))
        remember(call, reply, self._conversations, vault)
        if self.masks_answers:
            masker = self._for(call)
            await call.runtime.blocking(reply.transform, lambda: Masking(masker, vault))
        if self.restores and (vault.size or reply.source is not None):
            put_back(reply, vault)
        return reply

    def surround(self, outer: Scope) -> Scope:
        """Stand outermost around every guarded call inside; see `Block`."""
        inside = isinstance(outer.vault, InsideCall)
        return outer.within(
            policies=outer.policies if self in outer.policies else (*outer.policies, self),
            vault=outer.vault if inside else AroundCalls(),
        )

    def mask(self, text: str) -> str:
        """A text masked in the vault of the block in which this is called: for logs and files.

        Raises:
            RuntimeError: outside of `with mask_pii(...):`.
        """
        return self._masker.within(surrounding().known).mask(text, _vault_here())[0]

    def restore(self, text: str) -> str:
        """A text with the values that were masked in the block in which this is called.

        Raises:
            RuntimeError: outside of `with mask_pii(...):`.
        """
        return _vault_here().restore(text)

    def explain(self) -> Sequence[tuple[str, object]]:
        """What is masked and how, and whose the vaults are."""
        kinds = "all" if self.entities is None else " ".join(sorted(self.entities))
        whole = "a call" if self.conversation is None else f"context({self.conversation}=)"
        return [
            ("entities", kinds),
            ("strategy", _told(self.strategy)),
            ("restore", self.restores),
            *([("answers", True)] if self.masks_answers else []),
            ("vault of", whole),
            ("attachments", self.attachments),
            ("on_error", self.on_error),
            ("state", "this process"),
        ]

    def cannot_see(self, seen: Endpoint | None) -> Sequence[str]:
        """Attachments, and texts that come from inside a function."""
        unseen: list[str] = []
        if seen is not None and seen.provider is None:
            unseen.append(
                "text that the function adds to its prompt itself, which mask_pii finds only where "
                "the client that it uses is guarded as well"
            )
        if self.attachments == "allow":
            unseen.append(
                "what images, audio and files say: mask_pii sends them as they are, with an event "
                'for each; attachments="block" refuses them'
            )
        return unseen

    # The request

    def _vault(self, call: Call) -> Vault:
        """The vault of the conversation that the context names, or that the provider keeps."""
        if self.conversation is not None:
            name = call.scope.tags.get(self.conversation)
            if name is not None:
                return self._conversations.of(("tag", whose(call.scope.tags), str(name)))
        return continued(call, self._conversations)

    def _for(self, call: Call) -> Masker:
        """The masker, with what the context knows, and with somebody to tell of failures."""
        if self.on_error == "closed":
            return self._masker.within(call.scope.known)
        heard: set[str] = set()

        def hear(failure: MaskingFailed) -> None:
            if failure.detector not in heard:
                heard.add(failure.detector)
                call.emit(events.DetectorFailed, failure.detector, failure.error, _WITHOUT)

        return self._masker.within(call.scope.known, hear)

    async def _masked(self, call: Call, vault: Vault) -> Call:
        """The call with masked arguments, in a scope that says so."""
        if vault.size > MOST_VALUES:
            reason = f"its conversation has more than {MOST_VALUES:,} values: begin another"
            call.reject(self, [Finding("conversation_full", reason)])
        masker = self._for(call)
        texts = await self._texts(call, masker, vault)
        if texts is None:
            return call
        self._tell_attached(call, texts)
        args, kwargs = await self._replaced(call, texts, masker, vault)
        policies = call.scope.policies
        scope = call.scope.within(
            vault=InsideCall(vault, (self, args, kwargs)),
            policies=policies if self in policies else (*policies, self),
        )
        return call.replace(args=args, kwargs=kwargs, scope=scope)

    async def _texts(self, call: Call, masker: Masker, vault: Vault) -> Texts | None:
        """The texts of a request; None where it cannot be walked through and goes out all the same."""

        def pieces(source: Any) -> Pieces:
            return Pieces(source, masker, vault)

        try:
            if is_large(call):
                return await call.runtime.blocking(Texts.of_call, call, pieces)
            return Texts.of_call(call, pieces)
        except Unwalkable as error:
            reason = str(error)
        if self.on_error == "closed":
            call.reject(self, [Finding("unwalkable", reason)])
        call.emit(events.DetectorFailed, self.name, Unwalkable.__name__, "sent as it was")
        return None

    async def _replaced(self, call: Call, texts: Texts, masker: Masker, vault: Vault) -> Any:
        """What is sent in place of these texts."""
        count = call.record is not None
        findings: Sequence[Finding] = ()
        failure: MaskingFailed | None = None
        try:
            if texts.size > LONG:
                sent, counts = await call.runtime.blocking(texts.masked, masker, vault, count)
            else:
                sent, counts = texts.masked(masker, vault, count)
        except MaskingFailed as error:
            failure = error.with_traceback(None)
        except InputRejected as error:
            findings = cast("Sequence[Finding]", error.findings)
        else:
            if counts:
                call.emit(events.Masked, dict(counts))
            return sent
        if failure is not None:  # raised out here, no frame of what has failed goes with it
            call.emit(events.DetectorFailed, failure.detector, failure.error, "refused")
            raise failure
        call.reject(self, findings)
        raise AssertionError(self.name)  # reject has raised

    def _tell_attached(self, call: Call, texts: Texts) -> None:
        if texts.attachments and self.attachments == "block":
            reason = "there is an attachment of the kind {}, in which nothing can be masked"
            call.reject(
                self,
                [
                    Finding("attachment", reason.format(each.kind), each.where)
                    for each in texts.attachments
                ],
            )
        for each in texts.attachments:
            call.emit(events.Unmasked, each.kind, each.where)

    # Tools

    async def _tool(self, call: Call, vault: Vault, next: Next) -> Reply:
        """A tool gets values; what it says is masked."""
        masker = self._for(call)
        scope = call.scope.within(vault=AroundTool(vault))
        try:
            reply = await next(with_values(call, vault).replace(scope=scope))
        except Exception as error:
            without_values(error, masker, vault)
            raise
        if reply.source is None:
            texts = Texts.of_value(reply.value)
            reply.value = await self._replaced(call, texts, masker, vault)
        else:
            reply.transform(lambda: Asking(masker, vault))
        return reply

    # Traces

    def _trace(self) -> None:
        if is_traced():
            cover(self)


mask_pii = Bare(MaskPII)

_WITHOUT: Final = "masked without it"


def _vault_here() -> Vault:
    scope = surrounding()
    if isinstance(scope.vault, InsideCall):
        return scope.vault.vault
    if isinstance(scope.vault, (AroundCalls, AroundTool)):
        return scope.vault.of(scope.tags)
    raise RuntimeError(
        "mask_pii has no vault here: use mask() and restore() inside `with mask_pii(...):`, or "
        "Masker() on its own"
    )


def _told(strategy: object) -> str:
    """A strategy for `explain`."""
    if isinstance(strategy, str):
        return strategy
    return "by type" if isinstance(strategy, Mapping) else "a function"
