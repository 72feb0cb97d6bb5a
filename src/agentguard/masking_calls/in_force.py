"""The vault that stands in a scope, and whether a masked call is under way there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard.engine.scope import surrounding
from agentguard.masking_calls.conversations import Conversations

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from agentguard.engine.call import Call
    from agentguard.masking.vault import Vault

__all__ = ["AroundCalls", "AroundTool", "InsideCall", "whose"]


class InsideCall:
    """Stands in `Scope.vault` where a masked call is under way.

    What is called there sees placeholders, and only the outermost call restores them.

    Attributes:
        vault: of the call.
        masked: by whom, and what was sent: the same policy has nothing to do there a second time.
    """

    __slots__ = ("masked", "vault")

    def __init__(self, vault: Vault, masked: tuple[object, Any, Any]) -> None:
        self.vault = vault
        self.masked = masked

    def restore(self, text: str, /) -> str:
        """The text with what its placeholders stand for."""
        return self.vault.restore(text)

    def has(self, policy: object, call: Call) -> bool:
        """Whether `policy` has masked what this very call sends."""
        by, args, kwargs = self.masked
        return by is policy and args is call.args and kwargs is call.kwargs

    def __repr__(self) -> str:
        return f"<{self.vault!r} of a call>"


class AroundCalls:
    """Stands in `Scope.vault` inside `with mask_pii(...)`: the calls of one user share a vault."""

    __slots__ = ("_vaults",)

    def __init__(self) -> None:
        self._vaults = Conversations()

    def of(self, tags: Mapping[str, object]) -> Vault:
        """The vault of whoever the context says is asking."""
        return self._vaults.of(whose(tags))

    def restore(self, text: str, /) -> str:
        """The text with what its placeholders stand for, for whoever asks here."""
        return self.of(surrounding().tags).restore(text)

    def __repr__(self) -> str:
        return "<vaults of a block>"


class AroundTool:
    """Stands in `Scope.vault` where a tool runs inside a masked call: it has the values.

    What it asks a model itself is masked in the same vault, and it gets the values of the answer.
    """

    __slots__ = ("_vault",)

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def of(self, _: object) -> Vault:
        """The vault of the call."""
        return self._vault

    def restore(self, text: str, /) -> str:
        """The text with what its placeholders stand for."""
        return self._vault.restore(text)

    def __repr__(self) -> str:
        return f"<{self._vault!r} around a tool>"


_OWNERS: Final = ("tenant", "user")


def whose(tags: Mapping[str, object]) -> Hashable:
    """Tenant and user, who share nothing with others."""
    return tuple(None if each is None else str(each) for each in map(tags.get, _OWNERS))
