"""A signature by which a receiver knows that a message is ours, as standardwebhooks.com says."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

from agentguard.engine import clock

__all__ = ["key_of", "signature"]

_PREFIX: Final = "whsec_"


def key_of(owner: str, secret: object) -> bytes | None:
    """The key that a secret stands for: what follows "whsec_" is base64, any other its own bytes."""
    if secret is None:
        return None
    if not isinstance(secret, str) or not secret:
        raise TypeError(f"{owner}(secret=) is a text, not {type(secret).__name__}")
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(
            f'{owner}(secret=) begins with "{_PREFIX}", after which base64 is expected'
        ) from None


def signature(key: bytes, body: bytes) -> dict[str, str]:
    """The headers that sign a message: HMAC-SHA256 over its id, its time and its body.

    Args:
        key: that the receiver knows, too.
        body: as it is sent. Sent again it keeps its id, by which a receiver knows a repetition.
    """
    name, at = f"msg_{secrets.token_hex(12)}", str(int(clock.now().time()))
    signed = b".".join((name.encode(), at.encode(), body))
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": name, "webhook-timestamp": at, "webhook-signature": f"v1,{digest}"}
