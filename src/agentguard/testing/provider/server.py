"""FakeProvider: a real HTTP server on loopback that speaks the providers' protocols, and fails."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import unquote

from agentguard.testing.provider import fault as faults
from agentguard.testing.provider.anthropic_messages import AnthropicCountTokens, AnthropicMessages
from agentguard.testing.provider.connection import Connection, Gone, Request
from agentguard.testing.provider.google_embeddings import GoogleEmbeddings
from agentguard.testing.provider.google_generate import GoogleGenerate
from agentguard.testing.provider.journal import Received
from agentguard.testing.provider.openai_chat import OpenAIChat
from agentguard.testing.provider.openai_embeddings import OpenAIEmbeddings
from agentguard.testing.provider.openai_responses import OpenAIResponses
from agentguard.testing.provider.prompt_blocks import refusal
from agentguard.testing.provider.prompt_caches import PromptCaches
from agentguard.testing.provider.respond import Response
from agentguard.testing.provider.script import On, Schedule, Script, as_fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from agentguard.testing.provider.answer import Answer
    from agentguard.testing.provider.fault import Fault
    from agentguard.testing.provider.protocol import Protocol

_PROTOCOLS: tuple[Protocol, ...] = (
    OpenAIChat(),
    OpenAIResponses(),
    OpenAIEmbeddings(),
    AnthropicMessages(),
    AnthropicCountTokens(),
    GoogleGenerate(),
    GoogleEmbeddings(),
)
_BACKLOG = 1024
_JOIN = 10.0

_live: weakref.WeakSet[FakeProvider] = weakref.WeakSet()


class FakeProvider:
    """A provider that runs in this process and does what the test tells it to.

    It protects from tests that mock the SDK and so miss what the SDK itself does: its own retries,
    its exceptions, its parsing of streams. Point a real client at it; nothing leaves the machine.

        >>> import openai
        >>> from agentguard.testing import FakeProvider, fault
        >>> with FakeProvider(answer="hello") as provider:
        ...     _ = provider.script(fault.status(429, retry_after=0.01))
        ...     with openai.OpenAI(base_url=provider.openai_url, api_key="test-key") as client:
        ...         answer = client.chat.completions.create(
        ...             model="gpt-5", messages=[{"role": "user", "content": "hi"}]
        ...         )
        >>> answer.choices[0].message.content
        'hello'
        >>> [record.status for record in provider.journal]  # the SDK has retried on its own
        [429, 200]

    As a pytest fixture, `with FakeProvider() as provider: yield provider` is all it takes.

    Requests take, in this order: the outage set with `always`, the next step of a `script`, what
    `schedule` chooses, the default answer. Any number of clients, threads and event loops may use
    one provider at once; it has one thread for each open connection. In a forked child the object
    keeps its URLs, which the parent still serves, and owns nothing.

    Prompts are cached as Anthropic (where `cache_control` stands) and OpenAI (from 1,024 tokens on) do,
    and the usage of good answers says what was read and written. A word is a token. Cached prompts
    grow old on the library's clock: `FakeRuntime.advance(301)` ends five minutes.

    Args:
        answer: the text of a good answer, or a function from the request's JSON body to the text
            or to a fault.
        journal_size: how many requests the journal remembers, the last ones.
    """

    def __init__(
        self,
        *,
        answer: str | Callable[[Any], str | Fault] = "Hello from the fake provider.",
        journal_size: int = 10_000,
    ) -> None:
        self._answer = answer
        self._script = Script()
        self._prompts = PromptCaches()
        self._records: deque[Received] = deque(maxlen=journal_size)
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._running = 0
        self._count = 0
        self._closing = threading.Event()
        self._listener: socket.socket | None = None
        self._port: int | None = None
        self._acceptor: threading.Thread | None = None
        self._threads: set[threading.Thread] = set()
        self._connections: set[Connection] = set()
        self._error: BaseException | None = None
        self._started = 0.0

    def start(self) -> Self:
        """Listen on a free port of 127.0.0.1; `with` does it too."""
        if self._listener is not None:
            raise RuntimeError("this FakeProvider is already running")
        self._closing = threading.Event()
        listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self._listener = listener
        self._port = listener.getsockname()[1]
        self._started = time.monotonic()
        _live.add(self)
        self._acceptor = self._spawn(self._accept, listener)
        return self

    def close(self) -> None:
        """End every connection, stalled ones too, and every thread; safe to call twice.

        Raises:
            RuntimeError: a request could not be answered because a function given to the provider
                (`answer`, `schedule`, `on`) raised; its exception is the cause.
        """
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self._closing.set()
        # Portable way to wake accept(): closing a listening socket does not, everywhere.
        with contextlib.suppress(OSError):
            socket.create_connection(listener.getsockname(), timeout=1).close()
        if self._acceptor is not None:
            self._acceptor.join(_JOIN)
        listener.close()
        with self._lock:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            connection.interrupt()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN)
        error, self._error = self._error, None
        if error is not None:
            raise RuntimeError("FakeProvider could not answer a request") from error

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        place = self.url if self._listener is not None else "not running"
        return f"<FakeProvider {place}, {self._count} requests, {self._script.pending()} scripted>"

    @property
    def url(self) -> str:
        """The root, `http://127.0.0.1:port`."""
        if self._port is None:
            raise RuntimeError("start() the FakeProvider, or use it in a with statement")
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai_url(self) -> str:
        """The `base_url` of an OpenAI client."""
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        """The `base_url` of an Anthropic client."""
        return self.url

    @property
    def google_url(self) -> str:
        """The `HttpOptions(base_url=...)` of a google-genai client."""
        return self.url

    def script(self, *steps: Fault | str, on: On = None) -> Self:
        """Play these next, in order, one a request; a str is a good answer with that text.

        Args:
            *steps: values of `fault.*()`, or texts.
            on: for which requests: "openai", "openai.chat", "anthropic" ..., or a predicate on
                `Received`; all by default. Each `on` has a script of its own.
        """
        self._script.add(steps, on)
        return self

    def always(self, fault: Fault | str, on: On = None) -> Self:
        """Answer every request with this, an outage, until `recover`; scripts wait meanwhile."""
        self._script.outage(fault, on)
        return self

    def recover(self) -> Self:
        """End what `always` began."""
        self._script.recover()
        return self

    def schedule(self, choose: Schedule | None) -> Self:
        """Let `choose(n, received)` pick a fault, or None, for the n-th request from now on.

        It is asked when neither an outage nor a script has something to say, by many threads at
        once; `n` counts every request, from 1.
        """
        self._script.schedule(choose)
        return self

    def clear(self) -> Self:
        """Forget outages, scripts, the schedule, cached prompts and the journal; keep serving."""
        self._script.clear()
        self._prompts.clear()
        with self._lock:
            self._records.clear()
        return self

    @property
    def journal(self) -> list[Received]:
        """What was received so far, oldest first, at most `journal_size`."""
        with self._lock:
            return list(self._records)

    @property
    def requests(self) -> int:
        """How many requests came since the provider started."""
        return self._count

    @property
    def pending(self) -> int:
        """How many scripted steps are still to be played."""
        return self._script.pending()

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._connections)

    def settle(self, timeout: float = 5.0) -> bool:
        """Wait until no request is being answered; False when `timeout` seconds were not enough.

        A client that leaves is noticed a moment later: call this before looking at
        `client_disconnected`.
        """
        with self._idle:
            return self._idle.wait_for(lambda: self._running == 0, timeout)

    def _accept(self, listener: socket.socket) -> None:
        while not self._closing.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                if self._closing.is_set() or listener.fileno() < 0:
                    return
                time.sleep(0.01)  # out of file descriptors, or a client that left at once
                continue
            if self._closing.is_set():
                sock.close()
                return
            connection = Connection(sock, self._closing)
            with self._lock:
                self._connections.add(connection)
            try:
                self._spawn(self._serve, connection)
            except RuntimeError as error:  # the process can have no more threads
                self._error = self._error or error
                connection.close()

    def _spawn(self, target: Callable[..., None], argument: object) -> threading.Thread:
        def run() -> None:
            try:
                target(argument)
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="agentguard-fake-provider", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()
        return thread

    def _serve(self, connection: Connection) -> None:
        try:
            while (request := connection.read_request()) is not None:
                if not self._answer_one(connection, request) or not request.keep_alive:
                    break
        finally:
            connection.close()
            with self._lock:
                self._connections.discard(connection)

    def _answer_one(self, connection: Connection, request: Request) -> bool:
        protocol, received = self._receive(request)
        try:
            fault = self._choose(received)
            received.answered = fault
            answer = self._words(fault, received)
            return Response(connection, protocol, received, fault, answer, self._prompts).play()
        except Gone:
            received.client_disconnected = not self._closing.is_set()
            return False
        except Exception as error:
            # A daemon thread has nobody to tell, so close() raises it in the user's own thread.
            self._error = self._error or error
            return False
        finally:
            received.ended = time.monotonic() - self._started
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def _choose(self, received: Received) -> Fault:
        if received.protocol == "unknown":
            return _NOT_FOUND
        if not received.body:
            return _NOT_JSON
        refused = refusal(received.body) if received.protocol == "anthropic" else None
        if refused is not None:
            return faults.status(400, message=refused)
        return self._script.next(received) or self._default(received)

    def _default(self, received: Received) -> Fault:
        return as_fault(
            self._answer if isinstance(self._answer, str) else self._answer(received.body)
        )

    def _words(self, fault: Fault, received: Received) -> Answer:
        """Return what the fault says, or breaks off saying; the default where it has no text."""
        if fault.answer.text is not None or fault.act == "status":
            return fault.answer
        return fault.answer.saying(self._default(received).answer.text or "")

    def _receive(self, request: Request) -> tuple[Protocol, Received]:
        target, _, _query = request.target.partition("?")
        path = unquote(target)
        known = next((p for p in _PROTOCOLS if p.matches(path)), None)
        with self._lock:
            self._count += 1
            self._running += 1
            received = Received(
                self._count,
                at=time.monotonic() - self._started,
                method=request.method,
                path=path,
                protocol=known.name if known else "unknown",
                body=_json_object(request.body),
                headers=request.headers,
            )
            received.stream = known is not None and known.streams(received)
            self._records.append(received)
        # What nobody serves is refused in OpenAI's words.
        return known or _PROTOCOLS[0], received

    def forget(self) -> None:
        """Let go, in a forked child, of what belongs to the parent."""
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._script = Script()
        self._prompts = PromptCaches()
        for connection in self._connections:
            connection.forget()
        self._connections = set()
        self._threads = set()
        self._running = 0
        if self._listener is not None:
            self._listener.close()
            self._listener = None


_NOT_FOUND = faults.status(404, message="FakeProvider serves no such endpoint.")
_NOT_JSON = faults.status(400, message="The request body is not a JSON object.")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}  # answered with 400, as the providers do
    return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}


def _after_fork() -> None:
    for provider in list(_live):
        provider.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
