"""A FastAPI service whose model calls are guarded; as a script it asks itself a few questions.

python examples/fastapi_app.py
uvicorn --app-dir examples fastapi_app:app --port 8000    # for Prometheus: see docs/monitoring.md
"""

from __future__ import annotations

import os
import threading

import httpx
import openai
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import agentguard as ag
from agentguard.integrations.asgi import ContextMiddleware, ErrorMiddleware
from agentguard.stores.memory import MemoryLedger
from agentguard.testing import FakeProvider, fault

provider = FakeProvider(answer="It was guarded.").start()  # yours is the client's own default
daily = ag.budget(
    usd=float(os.environ.get("USD_PER_DAY", "20")),
    per="day",
    name="support",
    store=os.environ.get("STORE") or MemoryLedger(),  # "redis://..." where there are several of you
    max_output=500,
)
circuit = ag.breaker()
client = ag.guard(
    ag.metrics("support"),
    ag.log("support"),
    ag.mask_pii(),
    ag.cache(ttl="10m", share="all"),
    daily,
    ag.fallback(model="gpt-5-mini"),
    ag.retry(attempts=2),
    circuit,
    ag.timeout(30),
)(openai.AsyncOpenAI(base_url=provider.openai_url, api_key="sk-fake", max_retries=0))

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
        model="gpt-5",
        messages=[{"role": "user", "content": q}],
        stream=True,
        stream_options={"include_usage": True},
    )
    return StreamingResponse(ag.sse(chunks), media_type="text/event-stream")


@app.get("/metrics")
def metrics():
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


# Liveness and readiness say only that this process can serve. With an open circuit it can: it answers
# from the cache, by the fallback, or at once that the provider is down. Restarting it, or taking it and
# all its like out of service, would make an outage of the provider one of your own.
@app.get("/livez")
@app.get("/readyz")
def serves():
    return {"status": "ok"}


@app.get("/health")
def health():  # for people: circuits, budgets and switches. In a thread: a store may be remote
    return ag.health(client)


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
        refused = browser.get("/ask", params={"q": "Why not?"})
        print(refused.status_code, refused.headers["retry-after"], refused.json())
        print(browser.get("/readyz").json(), browser.get("/health").json())
        print(
            *(
                line
                for line in browser.get("/metrics").text.splitlines()
                if "d_requests_total{" in line
            )
        )
    server.should_exit = True
