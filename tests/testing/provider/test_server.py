"""The server itself: HTTP, many connections, forks, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from agentguard.testing import FakeProvider, fault
from tests.testing.provider import calls

BODY = {"model": "m", "messages": calls.PROMPT}


def _threads() -> int:
    return sum(t.name == "agentguard-fake-provider" for t in threading.enumerate())


def _sockets() -> int:
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the descriptor of this listing itself is gone
            count += str(link.readlink()).startswith("socket:")
    return count


def _address(provider: FakeProvider) -> tuple[str, int]:
    return "127.0.0.1", int(provider.url.rpartition(":")[2])


def _chat(provider: FakeProvider) -> str:
    return f"{provider.openai_url}/chat/completions"


def test_a_connection_serves_many_requests(provider: FakeProvider) -> None:
    """Keep-alive: unary answers, errors and whole streams share one connection."""
    provider.script("one", fault.status(429), fault.ok("stream"), "two")
    with httpx2.Client() as client:
        for stream in (False, False, True, False):
            client.post(_chat(provider), json={**BODY, "stream": stream})
            assert provider.connections == 1
    assert [record.status for record in provider.journal] == [200, 429, 200, 200]


def test_connection_close_is_honoured(provider: FakeProvider) -> None:
    """A client that asks to close gets its answer and the end of the connection."""
    raw = _raw(provider, "Connection: close\r\n")
    assert raw.startswith(b"HTTP/1.1 200 OK\r\n")
    assert json.loads(raw.partition(b"\r\n\r\n")[2])["object"] == "chat.completion"


def test_chunked_and_expected_bodies_are_read(provider: FakeProvider) -> None:
    """A request body may come in chunks, and after a 100 Continue."""
    data = json.dumps(BODY).encode()
    chunks = b"%x;ext=1\r\n%s\r\n%x\r\n%s\r\n0\r\nTrailer: x\r\n\r\n" % (
        5,
        data[:5],
        len(data) - 5,
        data[5:],
    )
    head = "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n"
    raw = _raw(provider, head, chunks)
    assert raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert provider.journal[0].body == BODY


def test_pipelined_requests_are_answered_in_order(provider: FakeProvider) -> None:
    """A second request sent before the first answer waits its turn, also during a stall."""
    provider.script(fault.stall(0.02), fault.slow("second", first=0.01))
    data = json.dumps(BODY).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(data)}\r\n"
    first = f"{head}\r\n".encode() + data
    with socket.create_connection(_address(provider), timeout=calls.PATIENT) as sock:
        sock.sendall(first)
        sock.sendall(f"{head}Connection: close\r\n\r\n".encode() + data)
        received = b""
        while part := sock.recv(65536):
            received += part
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert b"second" in received.rpartition(b"HTTP/1.1")[2]


def test_errors_exist_in_every_protocol(provider: FakeProvider) -> None:
    """Endpoints that only answer in one piece fail in their provider's words, too."""
    provider.always(fault.status(413))
    for path, kind in (
        ("/v1/embeddings", "invalid_request_error"),
        ("/v1/responses", "invalid_request_error"),
        ("/v1/messages/count_tokens", "request_too_large"),
    ):
        answer = httpx2.post(f"{provider.url}{path}", json={"model": "m"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (413, kind)


def _raw(provider: FakeProvider, headers: str, body: bytes | None = None) -> bytes:
    """Send one request by hand and read until the end of the connection."""
    if body is None:
        body = json.dumps(BODY).encode()
        headers += f"Content-Length: {len(body)}\r\n"
    with socket.create_connection(_address(provider), timeout=calls.PATIENT) as sock:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n{headers}\r\n"
        sock.sendall(head.encode() + body)
        received = b""
        while part := sock.recv(65536):
            received += part
    return received


def test_what_is_not_served_is_refused_and_journaled(provider: FakeProvider) -> None:
    """An unknown path is a 404 that takes no step of the script; broken JSON is a 400."""
    provider.script("kept")
    assert httpx2.get(f"{provider.url}/v1/models").status_code == 404
    assert httpx2.post(_chat(provider), content=b"{broken").status_code == 400
    assert httpx2.post(_chat(provider), json=[1]).status_code == 400
    assert [record.protocol for record in provider.journal] == [
        "unknown",
        "openai.chat",
        "openai.chat",
    ]
    assert provider.pending == 1


@pytest.mark.parametrize("garbage", [b"", b"\x16\x03\x01\x02\r\n\r\n", b"GET /\r\n\r\n", b"x" * 99])
def test_garbage_is_dropped_without_noise(
    provider: FakeProvider, garbage: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is not HTTP ends its connection; nothing is printed and the server goes on."""
    with socket.create_connection(_address(provider), timeout=calls.PATIENT) as sock:
        sock.sendall(garbage)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b""
    assert httpx2.post(_chat(provider), json=BODY).status_code == 200
    assert capfd.readouterr() == ("", "")


def test_an_abrupt_client_makes_no_noise(
    provider: FakeProvider, capfd: pytest.CaptureFixture[str]
) -> None:
    """Clients that reset their connection in mid-stream leave nothing on stderr."""
    provider.schedule(lambda n, received: fault.ok(chunks=["x"] * 500, each=0.001))
    data = json.dumps({**BODY, "stream": True}).encode()
    for _ in range(10):
        sock = socket.create_connection(_address(provider), timeout=calls.PATIENT)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        head = f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(data)}\r\n\r\n"
        sock.sendall(head.encode() + data)
        sock.recv(10)
        sock.close()
    assert provider.settle()
    assert all(record.client_disconnected for record in provider.journal)
    assert capfd.readouterr() == ("", "")


def test_hundreds_of_connections_at_once(provider: FakeProvider) -> None:
    """Three hundred streams run side by side, each whole."""
    provider.schedule(lambda n, received: fault.slow("a b c d", first=0.05, each=0.01))

    async def all_at_once() -> list[str]:
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(limits=limits, timeout=60) as client:
            url = _chat(provider)
            posts = [client.post(url, json={**BODY, "stream": True}) for _ in range(300)]
            return [answer.text for answer in await asyncio.gather(*posts)]

    texts = asyncio.run(all_at_once())
    assert len(texts) == 300
    assert all(text.endswith("data: [DONE]\n\n") for text in texts)
    assert provider.requests == 300


def test_close_ends_stalls_promptly() -> None:
    """Closing does not wait for stalled answers, and blames no client for them."""
    provider = FakeProvider().start()
    provider.always(fault.stall(), on="anthropic").always(fault.stall(after=1), on="openai")
    with ThreadPoolExecutor(8) as pool:
        outcomes = [
            pool.submit(call, provider, calls.PATIENT)
            for call in (calls.anthropic_create, calls.openai_chat_stream) * 4
        ]
        deadline = time.monotonic() + 20
        while provider.requests < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        begun = time.monotonic()
        provider.close()
        # Far below the clients' patience; a bound against hanging, not a measurement.
        assert time.monotonic() - begun < 10
        names = {calls.error_name(o.exception()) for o in outcomes}
    assert all(name.endswith(("ConnectionError", "RemoteProtocolError")) for name in names)
    assert not any(record.client_disconnected for record in provider.journal)


@pytest.mark.serial
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="sockets are counted in /proc")
def test_nothing_is_left_behind() -> None:
    """After many providers, faults and vanished clients no thread or socket remains."""
    steps = [fault.ok(), fault.drop(), fault.reset(after=1), fault.stall(), fault.cut()]

    def round_of_calls() -> None:
        with FakeProvider() as provider, httpx2.Client(timeout=0.1) as client:
            provider.script(*steps)
            for _ in range(len(steps) + 1):
                try:
                    client.post(_chat(provider), json={**BODY, "stream": True})
                except httpx2.TransportError:
                    continue

    round_of_calls()
    gc.collect()
    threads, sockets = _threads(), _sockets()
    for _ in range(5):
        round_of_calls()
    gc.collect()
    assert (_threads(), _sockets()) == (threads, sockets)
    assert threads == 0


def test_a_connection_takes_its_thread_with_it(provider: FakeProvider) -> None:
    """Threads do not pile up while the provider runs: one for each open connection."""
    for _ in range(20):
        httpx2.post(_chat(provider), json=BODY)
    deadline = time.monotonic() + 10
    while provider.connections and time.monotonic() < deadline:
        time.sleep(0.01)
    assert provider.connections == 0


def test_closing_twice_and_starting_again() -> None:
    """A provider may be closed twice and started again, on a new port."""
    provider = FakeProvider()
    with pytest.raises(RuntimeError, match="start"):
        _ = provider.url
    with provider:
        with pytest.raises(RuntimeError, match="already"):
            provider.start()
        assert "http://127.0.0.1" in repr(provider)
    provider.close()
    assert "not running" in repr(provider)
    with provider:
        assert httpx2.post(_chat(provider), json=BODY).status_code == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_uses_it_and_owns_nothing(provider: FakeProvider) -> None:
    """A child's requests are served by its parent; its exit and close() break nothing there."""
    with httpx2.Client() as client:
        assert client.post(_chat(provider), json=BODY).status_code == 200
        child = os.fork()
        if child == 0:
            # os._exit: the child must not run pytest's own teardown.
            try:
                status = httpx2.post(_chat(provider), json=BODY).status_code
                provider.close()
                os._exit(0 if status == 200 and provider.connections == 0 else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert client.post(_chat(provider), json=BODY).status_code == 200
    assert provider.requests == 3
    provider.script(fault.drop())
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.post(_chat(provider), json=BODY)


async def test_it_serves_any_event_loop(provider: FakeProvider) -> None:
    """The provider may be started and used inside a running event loop."""
    async with httpx2.AsyncClient() as client:
        answers = await asyncio.gather(*(client.post(_chat(provider), json=BODY) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5


def test_the_headers_are_those_of_a_provider(provider: FakeProvider) -> None:
    """Content types, request ids and extra headers are as a real answer has them."""
    provider.script(fault.ok(headers={"x-ratelimit-remaining-requests": "7"}), fault.status(502))
    good = httpx2.post(_chat(provider), json={**BODY, "stream": True})
    assert good.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert good.headers["x-ratelimit-remaining-requests"] == "7"
    assert good.headers["x-request-id"] == good.headers["request-id"] == "req_fake_000001"
    bad = httpx2.post(_chat(provider), json=BODY)
    assert bad.headers["content-type"].startswith("text/html")
    assert bad.headers["x-request-id"] == "req_fake_000002"
