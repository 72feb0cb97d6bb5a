"""A guarded Google client: retries, another model, functions that are not run twice.

`python examples/google_client.py` asks a provider on this machine that fails as told.
"""

from __future__ import annotations

from google import genai

import agentguard as ag
from agentguard.testing import FakeProvider, fault

guards = ag.presets.production(
    "weather", fallback="gemini-2.5-flash-lite", usd_per_day=1, scope="process"
).with_(ag.retry(attempts=3, wait=lambda _: 0.1))


def weather(city: str) -> str:
    """Tell the weather of a city."""
    print(f"weather({city!r}) runs")
    return "sunny, 21 degrees"


weather.__annotations__["city"] = str  # only since this file's annotations are not evaluated


def main() -> None:
    """Ask with a function, then in a stream; each is cured of a failure on the way."""
    with FakeProvider(answer="It is sunny in Seoul.") as provider, ag.report() as seen:
        http = genai.types.HttpOptions(base_url=provider.google_url)
        client = guards(genai.Client(api_key="your-key", http_options=http))

        provider.script(fault.ok(tools=[("weather", {"city": "Seoul"})]), fault.status(503))
        config = genai.types.GenerateContentConfig(tools=[weather])
        chat = client.chats.create(model="gemini-3.8-flash", config=config)
        print(chat.send_message("What is the weather in Seoul?").text)

        provider.script(*[fault.status(503)] * 3)
        ask = client.models.generate_content_stream
        chunks = ask(model="gemini-3.8-flash", contents="And tomorrow?")
        print("".join(chunk.text or "" for chunk in chunks))
        print(f"{len(provider.journal)} requests, {len(seen.calls)} calls, nothing failed")


if __name__ == "__main__":
    main()
