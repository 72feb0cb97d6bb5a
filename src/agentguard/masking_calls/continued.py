"""Conversations that the provider keeps: a request that goes on with one needs the same vault.

OpenAI's Responses API is told `previous_response_id` or `conversation`, and has the placeholders of
what was sent before: given out anew, they would stand for other values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.masking.vault import Vault
from agentguard.masking_calls.in_force import whose
from agentguard.providers.items import fields

if TYPE_CHECKING:
    from collections.abc import Hashable

    from agentguard.engine.call import Attempt, Call
    from agentguard.engine.reply import Reply
    from agentguard.masking_calls.conversations import Conversations

__all__ = ["continued", "remember", "remembering"]


def continued(call: Call, known: Conversations) -> Vault:
    """The vault of the conversation that a request goes on with; a new one where it begins.

    Args:
        call: the request.
        known: the vaults of conversations.
    """
    if call.target.endpoint.provider is None:
        return Vault()
    given = call.target.given(call.kwargs)
    conversation = given.get("conversation")
    if conversation is not None:
        name = conversation if isinstance(conversation, str) else fields(conversation).get("id")
        if isinstance(name, str):
            return known.of(_key(call, name))
    previous = given.get("previous_response_id")
    found = known.find(_key(call, previous)) if isinstance(previous, str) else None
    return Vault() if found is None else found


def remembering(call: Call, known: Conversations, vault: Vault) -> Call:
    """The call, whose streaming response is remembered when it says its id.

    Args:
        call: the request.
        known: the vaults of conversations.
        vault: of the request.
    """
    if not _responds(call):
        return call

    def note(_: Attempt, item: Any) -> None:
        if fields(item).get("type") == "response.created":
            _remember(call, fields(item).get("response"), known, vault)

    return call.on_attempt(lambda attempt: attempt.on_item(note))


def remember(call: Call, reply: Reply, known: Conversations, vault: Vault) -> None:
    """Remember the id of a response that is there.

    Args:
        call: the request.
        reply: to it.
        known: the vaults of conversations.
        vault: of the request.
    """
    if reply.source is None and _responds(call):
        _remember(call, reply.value, known, vault)


def _responds(call: Call) -> bool:
    return call.target.endpoint.provider == "openai" and "esponses" in call.target.name


def _remember(call: Call, response: Any, known: Conversations, vault: Vault) -> None:
    name = fields(response).get("id")
    if isinstance(name, str) and vault.counts:
        known.keep(_key(call, name), vault)


def _key(call: Call, name: str) -> Hashable:
    return "response", whose(call.scope.tags), name
