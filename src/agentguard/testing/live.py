"""Keep tests away from live providers: they cost money, and fail for reasons of their own."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HOSTS", "NoLive"]

HOSTS: Final = (
    "openai.com",
    "openai.azure.com",
    "cognitiveservices.azure.com",
    "inference.ai.azure.com",
    "anthropic.com",
    "generativelanguage.googleapis.com",
    "aiplatform.googleapis.com",
    "mistral.ai",
    "cohere.com",
    "cohere.ai",
    "groq.com",
    "together.xyz",
    "together.ai",
    "fireworks.ai",
    "deepseek.com",
    "perplexity.ai",
    "api.x.ai",
    "openrouter.ai",
    "replicate.com",
    "api-inference.huggingface.co",
    "router.huggingface.co",
    "cerebras.ai",
    "voyageai.com",
)
"""Where models answer for money: these hosts, everything below them, and their regional hosts."""


class NoLive:
    """While in use, looking up the address of a live provider raises at once.

    Every HTTP client asks `socket.getaddrinfo` before it connects. Loopback, and any other host,
    is reached as before. Proxies would hide the host's name, so that they are bypassed for these
    hosts (`NO_PROXY`).

    Args:
        fail: makes the exception from a message. One that is not an `Exception`, such as pytest's
            own, comes through SDKs, retries and fallbacks.
    """

    def __init__(self, fail: Callable[[str], BaseException]) -> None:
        self._fail = fail
        self._lookup: Callable[..., Any] | None = None
        self._proxies: dict[str, str | None] = {}

    def start(self) -> None:
        """Forbid live providers."""
        lookup = self._lookup = socket.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            if live(host):
                raise self._fail(_message(host))
            return lookup(host, *args, **kwargs)

        socket.getaddrinfo = getaddrinfo
        for name in ("NO_PROXY", "no_proxy"):
            before = self._proxies[name] = os.environ.get(name)
            os.environ[name] = ",".join([*([before] if before else []), *HOSTS])

    def stop(self) -> None:
        """Allow them again."""
        if self._lookup is not None:
            socket.getaddrinfo = self._lookup
            self._lookup = None
        for name, before in self._proxies.items():
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before
        self._proxies.clear()


def live(host: object) -> bool:
    """Whether a host name is a live provider's."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str):
        return False
    name = host.lower().rstrip(".")
    if name.startswith("bedrock") and name.endswith(".amazonaws.com"):
        return True
    return any(name == known or name.endswith((f".{known}", f"-{known}")) for known in HOSTS)


def _message(host: object) -> str:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    return (
        f"a test connects to the live provider {name}, and live providers are forbidden here "
        "(--agentguard-no-live or agentguard_no_live). Point the client at the fixture "
        "fake_provider, as in OpenAI(base_url=fake_provider.openai_url, api_key='test-key'), or put "
        "a ScriptedModel under the guard with agentguard.testing.replace"
    )
