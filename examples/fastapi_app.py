"""A FastAPI application whose model calls are guarded; as a script it asks itself three questions."""

from __future__ import annotations

import threading

import httpx
import openai
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

import agentguard as ag
from agentguard.integrations.asgi import ContextMiddleware, ErrorMiddleware
from agentguard.testing import FakeProvider, fault

provider = FakeProvider(answer="It was guarded.").start()  # yours is the client's own default
client = ag.guard(ag.retry(attempts=2), ag.timeout(30))(
    openai.AsyncOpenAI(base_url=provider.openai_url, api_key="sk-fake")
)

app = FastAPI()
app.add_middleware(ErrorMiddleware)
app.add_middleware(
    ContextMiddleware, context=lambda request: {"user": request.headers.get("x-user")}, deadline=60
)


@app.get("/ask")
async def ask(q: str):
    answer = await client.chat.completions.create(
        model="gpt-5", messages=[{"role": "user", "content": q}]
    )
    return answer.choices[0].message.content


@app.get("/stream")
async def stream(q: str):
    chunks = await client.chat.completions.create(
        model="gpt-5", messages=[{"role": "user", "content": q}], stream=True
    )
    return StreamingResponse(ag.sse(chunks), media_type="text/event-stream")


if __name__ == "__main__":
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", params={"q": "Why?"}) as browser:
        print(browser.get("/ask").json())
        print(browser.get("/stream").text)
        provider.always(fault.status(429, retry_after=120))  # longer than the request may take
        refused = browser.get("/ask")
        print(refused.status_code, refused.headers["retry-after"], refused.json())
    server.should_exit = True
