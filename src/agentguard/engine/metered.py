"""Streams that somebody counts: asked for their usage, and followed item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.providers import stream_options
from agentguard.providers.shapes import shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentguard.engine.call import Attempt, ItemHook

__all__ = ["followed", "metered", "unmetered"]


async def metered(attempt: Attempt) -> Any:
    """Invoke the attempt's target with the option that makes its stream tell its usage.

    A server that refuses the option is asked once more without it, and not again with it.
    """
    call = attempt.call
    kwargs = stream_options.asking(call.target, call.kwargs)
    if kwargs is None:
        return await call.runtime.invoke(attempt)
    attempt.call = call.replace(kwargs=kwargs)
    attempt.metered = True
    try:
        return await call.runtime.invoke(attempt)
    except Exception as error:
        if not stream_options.refused(error, call.target, call.kwargs):
            raise
    attempt.call = call
    attempt.metered = False
    return await call.runtime.invoke(attempt)


def unmetered(attempt: Attempt, step: Callable[[], Any], waits: bool) -> Callable[[], Any]:  # noqa: FBT001
    """The step of a stream without the chunk that its caller did not ask for.

    Args:
        attempt: whose stream it is; the chunk is read for it.
        step: what gets the next item.
        waits: whether that is to be awaited.
    """

    def is_extra(item: Any) -> bool:
        if not stream_options.tells_usage_alone(item):
            return False
        shape_of(item).read(item, attempt.reading)
        return True

    def following() -> Any:
        item = step()
        while is_extra(item):
            item = step()
        return item

    async def awaited() -> Any:
        item = await step()
        while is_extra(item):
            item = await step()
        return item

    return awaited if waits else following


def followed(
    attempt: Attempt,
    hooks: Sequence[ItemHook],
    step: Callable[[], Any],
    waits: bool,  # noqa: FBT001
) -> Callable[[], Any]:
    """The step of a stream whose items `hooks` see before anybody gets them.

    Args:
        attempt: whose stream it is.
        hooks: see `Attempt.on_item`.
        step: what gets the next item.
        waits: whether that is to be awaited.
    """
    runtime = attempt.call.runtime

    def following() -> Any:
        item = step()
        for work in [hook(attempt, item) for hook in hooks]:  # all see what one of them cuts
            if work is not None:
                work()
        return item

    async def awaited() -> Any:
        item = await step()
        for work in [hook(attempt, item) for hook in hooks]:
            if work is not None:
                await runtime.blocking(work)
        return item

    return awaited if waits else following
