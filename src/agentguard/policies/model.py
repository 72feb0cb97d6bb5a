"""`model`: which model is asked where the caller names none, as a preset sets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from agentguard.engine.arguments import told
from agentguard.engine.chain import Policy
from agentguard.engine.model_argument import embeds, model_given, takes_model, with_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Reply
    from agentguard.engine.target import Target
    from agentguard.providers.endpoint import Endpoint

__all__ = ["Model"]


class Model(Policy):
    """Name the model where the caller did not: for what has a parameter `model`, it is filled in.

    What has none asks whatever it asks. There the name only prices and labels the call, where the
    answer names no model itself. Calls for embeddings are left alone: vectors of two models cannot
    be compared.

    Args:
        model: its name.

    Examples:
        >>> from agentguard import presets
        >>> @presets.development(model="gpt-4o-mini").without("log", "budget")
        ... def ask(question: str, model: str | None = None) -> str:
        ...     return f"asked {model}"
        >>> ask("?")
        'asked gpt-4o-mini'
    """

    name: ClassVar[str] = "model"

    def __init__(self, model: str) -> None:
        if not isinstance(cast("object", model), str) or not model:
            raise TypeError(
                f'model= is the name of a model, as in "gpt-4o-mini", not {told(model)}'
            )
        self.model = model

    def check(self, target: Target) -> None:
        """Label and price what takes no model by this one."""
        if not embeds(target) and not takes_model(target.fn) and target.endpoint.model is None:
            target.endpoint.model = self.model

    async def around(self, call: Call, next: Next) -> Reply:
        """Fill it in where it is missing."""
        target = call.target
        fills = target.plans.get(self)
        if fills is None:
            known = target.endpoint.model is not None
            fills = target.plans[self] = not known and not embeds(target) and takes_model(target.fn)
        if fills and not model_given(call):
            args, kwargs = with_model(call, self.model)
            return await next(call.replace(args=args, kwargs=kwargs))
        return await next(call)

    def explain(self) -> Sequence[tuple[str, object]]:
        """The model."""
        return [("model", self.model), ("fills", "model= where it is taken and was not given")]

    def cannot_see(self, seen: Endpoint | None) -> Sequence[str]:
        """Where it only prices and labels, or not even that."""
        if seen is None or seen.model is None:
            return []
        if seen.model == self.model:
            return [f"which model is asked: nothing takes model=, {self.model} prices and labels"]
        return [f"a use for model={self.model!r}: the object names {seen.model} itself"]

    def __repr__(self) -> str:
        return f"model({self.model!r})"
