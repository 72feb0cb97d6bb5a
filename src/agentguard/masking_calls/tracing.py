"""LangSmith's ambient client, kept from sending what a mask keeps from the provider.

Where tracing is switched on in the environment, LangChain and `@traceable` hand a run's inputs to
one client of the process before any guarded method is entered, so that nothing around the call
could change them. That client takes an anonymizer for inputs, outputs, metadata and errors: it gets
one that masks, behind whatever anonymizer it had.
"""

from __future__ import annotations

import os
import weakref
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine.scope import surrounding
from agentguard.engine.trouble import trouble
from agentguard.masking.masker import Masker
from agentguard.masking.vault import Vault
from agentguard.providers.sent import rewritten

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from agentguard.exporters.langsmith import LangSmith
    from agentguard.policies.mask_pii import MaskPII

__all__ = ["already_masked", "cover", "is_traced", "mask_client"]

_SWITCHES: Final = tuple(
    f"{vendor}_TRACING{version}" for vendor in ("LANGSMITH", "LANGCHAIN") for version in ("_V2", "")
)
_raw: Final[Mapping[Any, Any]] = getattr(os.environ, "_data", os.environ)
_KEYS: Final = frozenset((*_SWITCHES, *map(str.encode, _SWITCHES)))
_is_masked: Final[ContextVar[bool]] = ContextVar("agentguard masked", default=False)
_HIDERS: Final = ("_hide_inputs", "_hide_outputs", "_hide_metadata")


def is_traced() -> bool:
    """Whether the environment switches LangSmith's tracing on."""
    # Asked before every call: `os.environ.get` takes a microsecond for each name that is not set.
    return not _KEYS.isdisjoint(_raw) and any(os.environ.get(name) == "true" for name in _SWITCHES)


def cover(policy: MaskPII) -> None:
    """Have the ambient client mask what it sends, from here on: every type, whatever the policy's.

    Args:
        policy: whose own detectors are asked as well, as long as it lives.
    """
    try:
        from langsmith import run_trees

        mask_client(run_trees.get_cached_client(), policy)
    except ImportError:
        return  # nothing can be traced
    except Exception as error:
        trouble("reaching LangSmith's client", error)


def mask_client(client: Any, owner: MaskPII | LangSmith) -> None:
    """Have a client mask what it sends, from here on; once is enough.

    Args:
        client: a `langsmith.Client`.
        owner: whose own detectors are asked as well, as long as it lives.
    """
    hiders = {name: getattr(client, name) for name in _HIDERS}
    if client._anonymizer is None and any(map(callable, hiders.values())):  # noqa: SLF001
        for name, hides in hiders.items():  # an anonymizer would stand before them
            if hides is not True:
                setattr(client, name, _behind(hides or None, owner))
    else:
        client._anonymizer = _behind(client._anonymizer, owner)  # noqa: SLF001


def _behind(before: Callable[[Any], Any] | None, owner: MaskPII | LangSmith) -> _Anonymizer:
    found = before if isinstance(before, _Anonymizer) else _Anonymizer(before)
    if owner.detectors:
        found.owners.add(owner)
    return found


@contextmanager
def already_masked() -> Generator[None]:
    """Inside, a client is handed nothing but what is masked, which takes its time only once."""
    token = _is_masked.set(True)
    try:
        yield
    finally:
        _is_masked.reset(token)


class _Anonymizer:
    """Masks what a run has, behind what the client had in its place."""

    def __init__(self, before: Callable[[Any], Any] | None) -> None:
        self._before = before
        self.owners: weakref.WeakSet[MaskPII | LangSmith] = weakref.WeakSet()

    def __call__(self, data: Any) -> Any:
        told = data if self._before is None else self._before(data)
        if _is_masked.get():
            return told
        detectors = [each for owner in tuple(self.owners) for each in owner.detectors]
        masker, vault = Masker(detectors=detectors, known=surrounding().known), Vault()
        try:
            return rewritten(told, lambda text, _: masker.mask(text, vault)[0])
        except Exception as error:  # what cannot be masked is not sent
            trouble("masking a trace", error)
            return dict.fromkeys(told)
