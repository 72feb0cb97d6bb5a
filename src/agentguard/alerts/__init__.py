"""Handlers for `on_event` that tell people: over a webhook, or in Slack.

    import agentguard as ag
    from agentguard import alerts, events

    tell = alerts.slack(os.environ["SLACK_WEBHOOK_URL"])

    @ag.guard(ag.on_event((events.CircuitOpened, events.BudgetThreshold), tell), ag.breaker())
    def ask(question: str) -> str: ...

No call waits for them: a message is put into a bounded queue, and sent by a thread of its own.
"""

from __future__ import annotations

from agentguard.alerts.alert import Alert
from agentguard.alerts.slack import slack
from agentguard.alerts.webhook import Webhook, webhook

__all__ = ["Alert", "Webhook", "slack", "webhook"]
