"""Vaults that outlive a call: one for each conversation of each user, the latest of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from agentguard.masking.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["MOST_CONVERSATIONS", "MOST_VALUES", "Conversations"]

MOST_CONVERSATIONS: Final = 1_000
"""Conversations remembered at most; the one that rested longest is forgotten first."""

MOST_VALUES: Final = 10_000
"""Values that one conversation may have."""


class Conversations:
    """The vaults of conversations, by whose they are and what they are called."""

    __slots__ = ("_lock", "_vaults")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vaults: OrderedDict[Hashable, Vault] = OrderedDict()

    def __len__(self) -> int:
        return len(self._vaults)

    def of(self, key: Hashable) -> Vault:
        """The vault of a conversation, a new one for a new conversation.

        Args:
            key: whose it is, and what it is called.
        """
        with self._lock:
            vault = self._vaults.get(key)
            if vault is None:
                vault = Vault()
            self._keep(key, vault)
        return vault

    def find(self, key: Hashable) -> Vault | None:
        """The vault of a conversation; None where it is not known here.

        Args:
            key: as it was kept.
        """
        with self._lock:
            vault = self._vaults.get(key)
            if vault is not None:
                self._vaults.move_to_end(key)
        return vault

    def keep(self, key: Hashable, vault: Vault) -> None:
        """Remember a vault.

        Args:
            key: whose it is, and what it is called.
            vault: to be found under it.
        """
        with self._lock:
            self._keep(key, vault)

    def _keep(self, key: Hashable, vault: Vault) -> None:
        self._vaults[key] = vault
        self._vaults.move_to_end(key)
        if len(self._vaults) > MOST_CONVERSATIONS:
            self._vaults.popitem(last=False)
