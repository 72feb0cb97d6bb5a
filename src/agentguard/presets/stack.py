"""Which policies a preset's values make, in the canonical order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from agentguard.engine.arguments import told
from agentguard.policies.breaker import breaker
from agentguard.policies.budget import budget
from agentguard.policies.cache import cache
from agentguard.policies.fallback import fallback
from agentguard.policies.log import log
from agentguard.policies.mask_pii import mask_pii
from agentguard.policies.metrics import metrics
from agentguard.policies.model import Model
from agentguard.policies.prompt_cache import prompt_cache
from agentguard.policies.retry import retry
from agentguard.policies.timeout import CallDeadline, timeout
from agentguard.policies.trace import trace
from agentguard.policies.validate_input import validate_input
from agentguard.settings.values import STORE, Value
from agentguard.stores.memory import MemoryLedger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.engine.chain import Policy

__all__ = ["Stack"]


class Stack:
    """The policies of a preset.

    Args:
        kind: "production", say.
        values: all of them, by key.
        registry: of the metrics.
    """

    def __init__(self, kind: str, values: dict[str, Value], registry: Any) -> None:
        self._kind = kind
        self._values = values
        self._registry = registry
        self._name: str | None = self._of("name")

    def _of(self, key: str) -> Any:
        known = self._values.get(key)
        return None if known is None else known.value

    def _section(self, name: str) -> dict[str, Any] | None:
        """The values of a policy; None where it is left out."""
        if not self._of(f"{name}.enabled"):
            return None
        head = f"{name}."
        return {
            key.removeprefix(head): each.value
            for key, each in self._values.items()
            if key.startswith(head) and not key.endswith(".enabled")
        }

    def policies(self) -> Iterator[Policy]:
        """All of them, outermost first."""
        if (given := self._section("deadline")) is not None:
            yield CallDeadline(total=given["seconds"], thread=self._of("timeout.thread"))
        if self._of("model") is not None:
            yield Model(self._of("model"))
        yield from self._telling()
        if (given := self._section("validate_input")) is not None:
            yield validate_input(**given)
        if (given := self._section("mask_pii")) is not None:
            yield mask_pii(**given)
        if (given := self._section("cache")) is not None:
            given["when"] = None if given["when"] == "all" else given["when"]
            yield cache(**given, name=self._label("cache.store") if given["store"] else None)
        yield from self._budget()
        if (given := self._section("fallback")) is not None and given["model"] is not None:
            other = given["model"]
            yield fallback(model=other) if isinstance(other, str) else fallback(other)
        if (given := self._section("retry")) is not None:
            yield retry(**given)
        if (given := self._section("breaker")) is not None:
            yield breaker(**given)
        if (given := self._section("timeout")) is not None:
            yield timeout(**given)
        if self._section("prompt_cache") is not None:
            yield prompt_cache()

    def _telling(self) -> Iterator[Policy]:
        if self._section("metrics") is not None:
            yield metrics(self._name, registry=self._registry)
        if (given := self._section("log")) is not None:
            yield log(self._name, **given)
        if (given := self._section("trace")) is not None:
            try:
                yield trace(name=self._name, **given)
            except ImportError as error:  # the core alone is a whole installation: explain says why
                self._values["trace.enabled"] = Value("trace.enabled", False, str(error))

    def _budget(self) -> Iterator[Policy]:
        given = self._section("budget") or {}
        usd, tokens = given.get("usd_per_day"), given.get("tokens_per_day")
        if usd is None and tokens is None:
            return
        scope, store = self._values["budget.scope"], given["store"]
        if scope.value == "process" and scope.nearness >= self._values["budget.store"].nearness:
            store = None
        elif store is None:
            key, amount = ("usd", usd) if usd is not None else ("tokens", tokens)
            size = f"{amount:g}" if isinstance(amount, float) else told(amount)
            asked = f"{key}_per_day={size}"
            raise ValueError(
                f"{self._kind}({asked}) holds for all processes together and after a restart, so it "
                'needs a store that they share: pass store="redis://..." (or "sqlite:///budgets.db" '
                f'on one machine), set {STORE}, or say scope="process" where there is but one process'
            )
        label = self._label("store") if store is not None else self._name or self._kind
        where = MemoryLedger() if store is None else store
        # What nobody asked for must not refuse a model of one's own, which has no price.
        asked_for = self._values["budget.usd_per_day"].source != "default"
        unpriced: Literal["refuse", "pass"] = "refuse" if asked_for else "pass"
        yield budget(usd=usd, tokens=tokens, per="day", name=label, store=where, unpriced=unpriced)

    def _label(self, key: str) -> str:
        if self._name is None:
            raise ValueError(
                f"{self._kind}({key}=) needs a name under which it is kept, one that outlives your "
                f'code: {self._kind}("support", ...)'
            )
        return self._name
