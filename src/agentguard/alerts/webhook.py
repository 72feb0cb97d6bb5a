"""`webhook`: post what happened to an address, as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.alerts.alert import alert_of, subject_of
from agentguard.alerts.rate import Rate
from agentguard.engine import clock
from agentguard.engine.arguments import count, length, plain, seconds, told
from agentguard.exporters.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentguard.alerts.alert import Alert
    from agentguard.alerts.posting import Post
    from agentguard.events import Event

__all__ = ["Webhook", "webhook"]

_QUEUE: Final = 256
_NAME: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)  # a token of HTTP (RFC 9110, 5.6.2)


class Webhook:
    """A handler for `on_event` that posts what it hears: made by `webhook(...)` and `slack(...)`."""

    def __init__(
        self,
        owner: str,
        url: str,
        *,
        template: Callable[[Alert], Any],
        headers: Mapping[str, str] | None,
        secret: str | None,
        every: float | str,
        tags: Sequence[str],
        timeout: float,
        retries: int,
    ) -> None:
        from agentguard.alerts.posting import Post, checked_url  # which load an HTTP client
        from agentguard.alerts.signing import key_of

        self._owner = owner
        self._template = template
        self._headers = _headers(owner, headers)
        self._key = key_of(owner, secret)
        self._tags = _names(owner, tags)
        self._rate = Rate(_every(owner, every))
        silence, again = seconds(owner, "timeout", timeout), count(owner, "retries", retries, 0)
        self._post: Post = Post(checked_url(owner, url), silence, again)
        self._outbox = Outbox(owner, self._deliver, size=_QUEUE)

    def __repr__(self) -> str:
        return f"{self._owner}(...)"

    def __call__(self, event: Event) -> None:
        """Have an event sent soon, unless one like it was sent a moment ago. Never waits."""
        held_back = self._rate.take((type(event), subject_of(event)), clock.monotonic())
        if held_back is not None:
            self._outbox.put(alert_of(event, held_back, self._tags))

    @property
    def suppressed(self) -> int:
        """Events that were not sent because one like them was a moment ago."""
        return self._rate.suppressed

    @property
    def dropped(self) -> int:
        """Alerts that nobody got: the receiver did not take them, or too many waited."""
        return self._outbox.dropped

    def flush(self, timeout: float = 5.0) -> bool:
        """Send what waits, for at most `timeout` seconds; whether that was all.

        `agentguard.flush()` does so for all handlers.
        """
        return self._outbox.flush(timeout)

    def _deliver(self, alert: Alert) -> None:
        from agentguard.alerts.signing import signature

        told = json.dumps(self._template(alert), ensure_ascii=False, default=_untellable)
        body = told.encode(errors="replace")  # half a character in a tag loses no alert
        headers = {"Content-Type": "application/json", "User-Agent": "agentguard", **self._headers}
        if self._key is not None:
            headers |= signature(self._key, body)
        self._post.send(body, headers)


def webhook(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    secret: str | None = None,
    every: float | str = 60,
    tags: Sequence[str] = (),
    timeout: float = 10,
    retries: int = 3,
    template: Callable[[Alert], Any] | None = None,
) -> Webhook:
    """A handler for `on_event` that posts each event to an address, as JSON.

    The guarded call does not wait: the alert is put into a queue of 256, and a thread sends one after
    the other. What there is no room for, and what the receiver does not take, is dropped and counted
    in `.dropped`. `agentguard.flush()` sends what waits.

    No prompt, no answer and no user is sent, unless `tags` asks for one. The address is a secret: it
    is in no log, error or repr, and redirects are not followed.

    Args:
        url: where to, "https://...".
        headers: to send along, as in {"Authorization": "Bearer ..."}.
        secret: signs each message as standardwebhooks.com says: HMAC-SHA256 of id, time and body, in
            the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`. One that begins with
            "whsec_" is base64.
        every: seconds, or as in "5m", within which one alert is sent of a kind of event and what it
            is about (the circuit, the budget and its threshold, the store). The next one says how
            many were left out in `suppressed`.
        tags: names of tags of `context(...)` to send, as in ("tenant",).
        timeout: seconds for which the receiver may be silent.
        retries: how often an alert is sent again after 408, 425, 429, 5xx or no answer, with growing
            pauses, or the ones that the receiver asks for with Retry-After, of a minute at most.
        template: makes of an `Alert` what is sent, for `json.dumps`. By default its fields.

    Examples:
        >>> import agentguard as ag
        >>> tell = ag.alerts.webhook("https://alerts.example.test/hook", every="5m")
        >>> ag.on_event(ag.events.CircuitOpened, tell)
        on_event(CircuitOpened, <Webhook>)
    """
    plain("webhook", "template", template, "a function of an Alert")
    return Webhook(
        "webhook",
        url,
        template=template or _fields,
        headers=headers,
        secret=secret,
        every=every,
        tags=tags,
        timeout=timeout,
        retries=retries,
    )


def _fields(alert: Alert) -> dict[str, Any]:
    return {"version": 1, **alert._asdict()}


def _untellable(value: object) -> str:
    return type(value).__name__


def _headers(owner: str, headers: object) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f"{owner}(headers=) is a dict of names and values, not {told(headers)}")
    found: dict[str, str] = {}
    for name, value in cast("Mapping[object, object]", headers).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"{owner}(headers=) is a dict of texts")
        if not (name.isprintable() and value.isprintable()):
            raise ValueError(f"{owner}(headers=) has a line break or the like in it")
        if not _NAME.fullmatch(name):
            raise ValueError(f"{owner}(headers=) has a name with a sign that no header has")
        if max(value, default="") > "\xff":
            raise ValueError(f"{owner}(headers=) has a value with letters that no header can carry")
        found[name] = value
    return found


def _names(owner: str, tags: object) -> tuple[str, ...]:
    given = cast("Sequence[object]", tags if isinstance(tags, (list, tuple)) else (None,))
    names = tuple(each for each in given if isinstance(each, str))
    if len(names) < len(given):
        raise TypeError(f'{owner}(tags=) is names of tags, as in ("tenant",)')
    return names


def _every(owner: str, every: object) -> float:
    found = length(every)
    if found is None and isinstance(every, str):
        raise ValueError(f'{owner}(every=) is a number of seconds, or as in "5m", not {every!r}')
    return seconds(owner, "every", every if found is None else found, zero=True)
