"""What comes back: answers with their values, tools' arguments with theirs, and tools' errors masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard.engine.channels import Channels
from agentguard.errors import InputRejected
from agentguard.masking.masker import refusal
from agentguard.masking.restoring import Restoring
from agentguard.providers.sent import rewritten
from agentguard.providers.structured import STRUCTURED, changing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from agentguard.engine.call import Call
    from agentguard.engine.reply import Reply
    from agentguard.masking.finding import Part
    from agentguard.masking.masker import Masker
    from agentguard.masking.vault import Vault

__all__ = ["Asking", "Pieces", "put_back", "with_values", "without_values"]

_OF_FRAMEWORKS: Final = frozenset({"config", "run_manager", "runtime", "state", "store"})
"""What agents hand to tools beside what the model has asked for."""


def put_back(reply: Reply, vault: Vault) -> None:
    """Put the values back into all that an answer says.

    Args:
        reply: to a masked request.
        vault: of the request.
    """
    if reply.source is None and changing(reply.value) is STRUCTURED:  # also into keys, and sets
        reply.value = rewritten(reply.value, lambda text, _: vault.restore(text))
    else:
        reply.transform(lambda: Restoring(vault), source=lambda: Restoring(vault, json=True))


def with_values(call: Call, vault: Vault) -> Call:
    """The call of a tool with the values that its arguments stand for.

    Args:
        call: made inside a masked one.
        vault: of that.
    """

    def change(text: str, _: object) -> str:
        return vault.restore(text)

    def one(name: str, value: Any) -> Any:
        if type(value).__name__ == "ToolCallRequest":  # of a LangChain agent, with all its state
            return value.override(tool_call=rewritten(value.tool_call, change))
        kept = name in _OF_FRAMEWORKS and not isinstance(value, str)
        return value if kept else rewritten(value, change)

    return call.replace(
        args=tuple(one("", each) for each in call.args),
        kwargs={name: one(name, each) for name, each in call.kwargs.items()},
    )


def without_values(error: Exception, masker: Masker, vault: Vault) -> None:
    """Take the values out of what an exception of a tool says: the model may be told of it.

    Args:
        error: that comes out of the tool.
        masker: finds and replaces.
        vault: of the masked call.
    """

    def masked(value: Any) -> Any:
        return rewritten(value, lambda text, _: masker.mask(text, vault)[0])

    try:
        error.args = masked(error.args)
        if hasattr(error, "__notes__"):
            error.__notes__ = masked(error.__notes__)
    except Exception:  # what cannot be masked says nothing
        error.args = ()
        error.__notes__ = []


class Pieces:
    """A stream that is an argument, whose items go on from one to the next, masked as it is read."""

    in_pieces = True

    def __init__(self, source: Any, masker: Masker, vault: Vault) -> None:
        self._source = source
        self._step = lambda: Asking(masker, vault)

    def __iter__(self) -> Iterator[Any]:
        channels = Channels()
        channels.add(self._step)
        for item in self._source:
            yield from channels.feed(item)
        yield from channels.flush()

    async def __aiter__(self) -> AsyncIterator[Any]:
        channels = Channels()
        channels.add(self._step)
        async for item in self._source:
            for each in channels.feed(item):
                yield each
        for each in channels.flush():
            yield each


class Asking:
    """A step that masks what is sent; its placeholders can be restored."""

    __slots__ = ("_masker", "_search", "_vault")

    def __init__(self, masker: Masker, vault: Vault) -> None:
        self._masker = masker
        self._vault = vault
        self._search = masker.finder().search()

    def feed(self, text: str) -> str:
        """Take the next piece; return what can already go out."""
        return self._out(self._search.feed(text))

    def flush(self) -> str:
        """The text is complete: return what was held back."""
        return self._out(self._search.flush())

    def _out(self, parts: Iterable[Part]) -> str:
        out: list[str] = []
        for part in parts:
            findings = [*self._masker.refused(part, None, 0)]
            if findings:
                raise InputRejected(refusal(findings, "request"), findings=findings)
            self._vault.reserve([part[0]])
            out.append(self._masker.masked(part, self._vault))
        return "".join(out)
