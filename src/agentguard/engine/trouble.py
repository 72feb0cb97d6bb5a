"""Where failures go that must not break a call: of listeners, hooks and clean-up."""

from __future__ import annotations

__all__ = ["trouble"]


def trouble(where: str, error: BaseException, then: str = "the guarded call goes on") -> None:
    """Log that `where` failed, and where in it, on the logger "agentguard".

    Never with the exception's own words: a provider quotes prompts in them. Nor does it raise: a
    handler or filter of the application may, as on a full disk.
    """
    import logging
    import traceback
    from contextlib import suppress

    with suppress(Exception):
        logging.getLogger("agentguard").error(
            "%s failed (%s); %s\n%s",
            where,
            type(error).__name__,
            then,
            "".join(traceback.format_tb(error.__traceback__)).rstrip(),
        )
