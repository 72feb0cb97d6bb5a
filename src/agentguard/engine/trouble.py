"""Where failures go that must not break a call: of listeners, hooks and clean-up."""

from __future__ import annotations

__all__ = ["trouble"]


def trouble(where: str, error: BaseException) -> None:
    """Log that `where` failed, on the logger "agentguard"."""
    import logging

    logging.getLogger("agentguard").error(
        "%s failed (%s); the guarded call goes on",
        where,
        type(error).__name__,
        exc_info=(type(error), error, error.__traceback__),
    )
