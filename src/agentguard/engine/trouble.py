"""Where failures go that must not break a call: of listeners, hooks and clean-up."""

from __future__ import annotations

__all__ = ["trouble"]


def trouble(where: str, error: BaseException) -> None:
    """Log that `where` failed, and where in it, on the logger "agentguard".

    Never with the exception's own words: a provider quotes prompts in them.
    """
    import logging
    import traceback

    logging.getLogger("agentguard").error(
        "%s failed (%s); the guarded call goes on\n%s",
        where,
        type(error).__name__,
        "".join(traceback.format_tb(error.__traceback__)).rstrip(),
    )
