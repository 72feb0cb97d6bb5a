"""`slack`: post what happened to a channel of Slack, or of what speaks its language."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.alerts.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.alerts.alert import Alert

__all__ = ["slack"]

_LONGEST: Final = 2_900
"""Slack takes 3,000 characters in a block of text."""


def slack(
    url: str,
    channel: str | None = None,
    *,
    every: float | str = 60,
    tags: Sequence[str] = (),
    timeout: float = 10,
    retries: int = 3,
) -> Webhook:
    """A handler for `on_event` that posts each event to Slack.

    For incoming webhooks of Slack, and of Mattermost and Rocket.Chat, which take the same. See
    `webhook` for what is sent, and how.

    Args:
        url: of the incoming webhook, a secret.
        channel: another one than the webhook's own, where the server allows it, as in "#alerts".
        every: seconds, or as in "5m", within which one alert is sent of a kind and subject.
        tags: names of tags of `context(...)` to send, as in ("tenant",).
        timeout: seconds for which the receiver may be silent.
        retries: how often an alert is sent again.

    Examples:
        >>> import agentguard as ag
        >>> tell = ag.alerts.slack("https://hooks.example.test/services/T0/B0/x")
        >>> ag.on_event((ag.events.BudgetThreshold, ag.events.CircuitOpened), tell)
        on_event((BudgetThreshold, CircuitOpened), <Webhook>)
    """
    if not isinstance(cast("object", channel), (str, type(None))):
        raise TypeError(f'slack(channel=) is a name, as in "#alerts", not {type(channel).__name__}')
    return Webhook(
        "slack",
        url,
        template=functools.partial(_message, channel),
        headers=None,
        secret=None,
        every=every,
        tags=tags,
        timeout=timeout,
        retries=retries,
    )


def _message(channel: str | None, alert: Alert) -> dict[str, Any]:
    text = _escaped(alert.text)[:_LONGEST]
    beside = [alert.event, alert.at]
    beside += [f"{name} {value}" for name, value in alert.tags.items()]
    if "circuit" in alert.details:
        beside.append(f"circuit {alert.details['circuit']}")
    if alert.trace is not None:
        beside.append(f"trace {alert.trace}")
    if alert.suppressed:
        beside.append(f"{alert.suppressed:,} more like it since the last one")
    about = _escaped(" · ".join(beside))[:_LONGEST]
    message: dict[str, Any] = {
        "text": text,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": text}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": about}]},
        ],
    }
    if channel is not None:
        message["channel"] = channel
    return message


def _escaped(text: str) -> str:
    """As Slack asks for: else a name could call everybody in the channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
