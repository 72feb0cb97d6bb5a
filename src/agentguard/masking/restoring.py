"""Values back in the place of placeholders, while a text arrives in pieces."""

from __future__ import annotations

import json as json_
from typing import TYPE_CHECKING

from agentguard.masking.json_text import JsonText, escaped
from agentguard.masking.placeholder import canonical, numbered, spelled

if TYPE_CHECKING:
    from agentguard.masking.vault import Vault

__all__ = ["Restoring"]


class Restoring:
    """A step (`engine.channels.Step`) that restores what a vault holds.

    Text goes out as soon as it can be no part of a placeholder: only the longest end of it is held
    back that begins one which the vault knows, in any spelling. In an answer that is JSON a value
    is escaped where a string would end with it.

    Args:
        vault: what is restored.
        json: whether the text is JSON source: what is put in is escaped for a JSON string.

    Attributes:
        unknown: placeholders met whose number stands for nothing. They stay as they are.
    """

    __slots__ = ("_before", "_held", "_json", "_text", "_vault", "unknown")

    def __init__(self, vault: Vault, *, json: bool = False) -> None:
        self._vault = vault
        self._json = json
        self._text = JsonText()
        self._held: str = ""
        self._before: str = ""  # the character before: `XEMAIL_1` is no placeholder
        self.unknown = 0

    def feed(self, text: str) -> str:
        """Take the next piece; return what can already go out."""
        return self._out(text, last=False)

    def flush(self) -> str:
        """The text is complete: return what was held back."""
        return self._out("", last=True)

    def _out(self, text: str, *, last: bool) -> str:
        live = self._vault.live
        text = self._before + self._held + text
        begin = begun = len(self._before)
        held = len(text) if last else live.first_begun(text, begin)
        out: list[str] = []
        at = begin
        while (found := spelled().search(text, at)) is not None and found.start() < held:
            value = live.values.get(canonical(found[found.lastindex or 0]))
            at = found.start() + 1
            if value is not None:
                before = text[begin : found.start()]
                self._text.read(before)
                out += (before, self._written(value))
                self._text.read(found[0])
                begin = at = found.end()
        held = max(held, begin)
        self._text.read(text[begin:held])
        out.append(text[begin:held])
        self.unknown += self._unknown(text, begun, held)
        self._held = text[held:]
        self._before = text[held - 1 : held] if held else ""
        return "".join(out)

    def _unknown(self, text: str, begin: int, end: int) -> int:
        live = self._vault.live
        return sum(
            kind in live.kinds and f"{kind}_{found[2]}" not in live.values
            for found in numbered().finditer(text, begin, end)
            for kind in (canonical(found[1]),)
        )

    def _written(self, value: str) -> str:
        if self._json:
            return json_.dumps(value, ensure_ascii=False)[1:-1]
        return escaped(value) if self._text.in_string else value
