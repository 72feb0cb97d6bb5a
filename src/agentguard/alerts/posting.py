"""One HTTP request that is made again while the receiver is busy, and never says where it goes.

The address of a webhook is a secret: whoever has it can write there. It stands in no message, no
repr and no log, and no redirect is followed with what it sends.
"""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING, Any, Final
from urllib import error, parse, request

from agentguard.engine import clock
from agentguard.providers.retry_after import retry_after
from agentguard.retrying.backoff import delay

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Post", "Refused", "Unreachable", "checked_url"]

LONGEST_WAIT: Final = 60.0
"""Seconds: a receiver that asks for more gets the alert no later than this, or not at all."""

_AGAIN: Final = frozenset({None, 408, 425, 429, 500, 502, 503, 504})


class Refused(Exception):
    """The receiver does not take a message; sending it again would not help."""


class Unreachable(Exception):
    """The receiver was busy or did not answer, however often it was asked."""


class Post:
    """Sends messages to one address.

    Args:
        url: where to.
        timeout: seconds for which a receiver may be silent.
        retries: how often a message is sent again.
    """

    def __init__(self, url: str, timeout: float, retries: int) -> None:
        self._url = url
        self._timeout = timeout
        self._retries = retries
        self._opener: request.OpenerDirector | None = None

    def __repr__(self) -> str:
        return "<post to a webhook>"

    def send(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a message; blocks until it was taken.

        Raises:
            Refused: it is not wanted.
            Unreachable: all tries failed.
        """
        number = 0
        while True:
            number += 1
            status, asked = self._try(body, headers)
            if status is not None and 200 <= status < 300:
                return
            if status not in _AGAIN:
                raise Refused(f"the receiver answered {status}")
            if number > self._retries:
                answer = "did not answer" if status is None else f"answered {status}"
                raise Unreachable(f"the receiver {answer}, {number} times")
            backoff = delay(number, clock.now().random())
            time.sleep(min(LONGEST_WAIT, backoff if asked is None else asked))

    def _try(self, body: bytes, headers: Mapping[str, str]) -> tuple[int | None, float | None]:
        """Its status, None where there was no answer; and the seconds it asks to wait."""
        if self._opener is None:
            self._opener = request.build_opener(_NoRedirect)
        url = self._url  # http or https, see checked_url
        asked = request.Request(url, body, dict(headers), method="POST")  # noqa: S310
        try:
            with self._opener.open(asked, timeout=self._timeout) as response:
                return response.status, None
        except error.HTTPError as answer:
            with answer:
                return answer.code, retry_after([answer.headers])
        except (OSError, http.client.HTTPException):  # which name the address in their words
            return None, None


class _NoRedirect(request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None leaves the redirect an error."""


def checked_url(owner: str, url: object) -> str:
    """An address that can be sent to, or a ValueError that does not show it."""
    if not isinstance(url, str):
        raise TypeError(f"{owner}(url) is a text, not {type(url).__name__}")
    try:
        parts = parse.urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(
            f"{owner}(url) is an address that begins with https:// (what was given is not shown: it "
            "may be a secret)"
        ) from None
    return url
