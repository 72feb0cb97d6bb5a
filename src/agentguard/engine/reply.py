"""One Reply, whatever the callable answered: a unary answer is a stream of one item.

A streaming reply is handed up to the policies when its first content is there (the commit): until
then a failure can still be retried or fallen back from, afterwards nothing is ever replayed.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine import clock
from agentguard.engine.call import Outcome, hear, tell
from agentguard.engine.channels import Channels
from agentguard.engine.drive import Ended, drive
from agentguard.engine.limits import Deadline, narrower
from agentguard.engine.loop import finish_later
from agentguard.engine.marks import leave_partial, note
from agentguard.engine.surround import awaited_within
from agentguard.engine.trouble import trouble
from agentguard.errors import Partial, StreamTruncated, Timeout
from agentguard.providers.shapes import shape_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from agentguard.engine.call import Attempt, OutcomeHook
    from agentguard.engine.channels import Step
    from agentguard.engine.limits import Hung
    from agentguard.engine.workers import Job
    from agentguard.providers.shapes import Shape

__all__ = ["OPENING_ITEMS", "Patience", "Reply", "Source", "observe"]

_BROKE_OFF: Final = "not repeated: it broke off after its first content had come"
OPENING_ITEMS: Final = 64  # opening events without content held back at most before the commit


class Reply:
    """What `next(call)` returns: the answer, complete or still arriving.

    Attributes:
        attempt: the invocation that it came from.
        value: a unary answer; of a stream None.
        source: the stream, or None.
    """

    __slots__ = ("attempt", "source", "value")

    def __init__(self, attempt: Attempt, value: Any = None, source: Source | None = None) -> None:
        self.attempt = attempt
        self.value = value
        self.source = source

    def __repr__(self) -> str:
        return f"<{'streaming' if self.streaming else 'unary'} reply of {self.attempt.call.target.name}>"

    @property
    def streaming(self) -> bool:
        """Whether the answer is a stream."""
        return self.source is not None

    def transform(
        self, make_step: Callable[[], Step], *, source: Callable[[], Step] | None = None
    ) -> None:
        """Change the answer's texts: a step of its own for each text channel.

        Policies further in have been applied before, those further out come after.

        Args:
            make_step: makes a step.
            source: makes one for JSON source, such as the arguments of a tool call: what it puts in
                must be escaped as in a JSON string. By default `make_step` serves it, too.
        """
        if self.source is None:
            channels = Channels()
            channels.add(make_step, source)
            self.value = channels.all(self.value)
        else:
            if self.source.channels is None:
                self.source.channels = Channels()
            self.source.channels.add(make_step, source)

    async def answer(self, *, hold: str | None = None) -> Any:
        """The whole answer, for a verdict: of a stream its joined text, or the list of its items.

        Args:
            hold: "all" to hold a stream back until its end. Without it a stream is refused, since
                a verdict on it would come when half of it is with the user.
        """
        if self.source is None:
            return self.value
        if hold != "all":
            await self.discard()
            raise TypeError(
                "a predicate on the answer was given and the answer is a stream: pass "
                'hold="all" to hold it back until its end, or judge chunks where they are read'
            )
        items = await self.source.hold()
        return "".join(items) if items and all(isinstance(i, str) for i in items) else items

    def streamed(self) -> Source:
        """The answer as a stream: a unary one becomes a stream of one item."""
        if self.source is None:
            self.source = Source.of_items(self.attempt, (self.value,))
        return self.source

    async def discard(self) -> None:
        """Let the answer go before asking for another: close its stream, settle its attempt."""
        if self.source is not None:
            await self.source.close()


async def observe(pending: Awaitable[Reply], hook: OutcomeHook) -> Reply:
    """Hear, exactly once, how the call inside ended.

    Written as `return await observe(next(call), hook)`.

    The only way to watch an outcome: `hook(outcome)` is called exactly once, when an exception
    comes out of `next`, when a unary answer is there, or when a stream ends or is abandoned. It
    may be a coroutine function. What it raises is logged.
    """
    try:
        reply = await pending
    except BaseException as error:
        await tell((hook,), Outcome.of(error))
        raise
    if reply.source is not None:
        await reply.source.watched_by(hook)
        return reply
    outcome = Outcome("completed", None, reply.attempt)
    waiting = hear(hook, outcome)
    if waiting is not None:
        await tell((lambda _: waiting,), outcome)
    return reply


class Patience:
    """How long a stream may keep its consumer waiting: for each item (`idle`) and in all (`total`).

    The time that the consumer takes between items counts for neither.
    """

    __slots__ = ("hung", "idle", "left", "thread", "total")

    def __init__(
        self,
        idle: float | None,
        total: float | None,
        left: float | None,
        *,
        thread: bool,
        hung: Hung,
    ) -> None:
        self.idle = idle
        self.total = total
        self.left = left
        self.thread = thread
        self.hung = hung

    def until(self, now: float) -> Deadline | None:
        """The bound of a pull that begins now."""
        idle = total = None
        if self.idle is not None:
            idle = Deadline(now + self.idle, "idle", self.idle, thread=self.thread, hung=self.hung)
        if self.total is not None and self.left is not None:
            total = Deadline(
                now + self.left, "total", self.total, thread=self.thread, hung=self.hung
            )
        return narrower(total, idle)


class Source:
    """A stream that is still arriving: pulls it, bounds the wait, settles it exactly once.

    Attributes:
        origin: the provider's stream, whose attributes the caller may see; None where there is none.
    """

    __slots__ = (
        "_held",
        "_lock",
        "_shape",
        "attempt",
        "channels",
        "context",
        "deadline",
        "done",
        "hooks",
        "idle_since",
        "iterator",
        "late",
        "loop",
        "opening",
        "origin",
        "outcome",
        "patience",
        "reading",
        "ready",
        "returned",
        "runtime",
        "step",
    )

    def __init__(self, attempt: Attempt, iterator: Any, step: Callable[[], Any]) -> None:
        self.attempt = attempt
        self.iterator: Any = iterator
        self.origin: Any = iterator
        self.step = step
        self.reading = attempt.reading
        self.runtime = attempt.call.runtime
        self.deadline = attempt.call.deadline
        self.patience: list[Patience] = []
        self.channels: Channels | None = None
        self.hooks: list[OutcomeHook] = []
        self.opening: deque[Any] = deque()  # pulled, and not yet through the steps
        self.ready: deque[Any] = deque()  # through the steps, and not yet with the consumer
        self.outcome: Outcome | None = None
        self.context: contextvars.Context | None = (
            None if self.runtime.is_async else contextvars.copy_context()
        )
        self.late: Timeout | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.idle_since: float | None = None
        self.returned: object = None
        self.done = False
        self._held = False
        self._shape: Shape | None = None
        self._lock = threading.Lock()

    @classmethod
    def of_items(cls, attempt: Attempt, items: Iterable[Any]) -> Source:
        """A stream of items that are there already, whose attempt has ended."""
        source = cls(attempt, None, Ended)
        source.opening.extend(items)
        source._held = True
        return source

    async def open(self) -> None:
        """Pull until the first content is there; what came before waits in `opening`."""
        try:
            while not self.reading.content and len(self.opening) < OPENING_ITEMS:
                item = self.runtime.pull(self, self.step, self.deadline)
                if self.runtime.is_async:
                    item = await item
                if type(item) is Ended:
                    await self._end(item)
                    return
                self._read(item)
                self.opening.append(item)
        except BaseException as error:
            await self._fail(error)
            raise
        self.attempt.seen()

    async def pull(self, step: Callable[[], Any] | None = None) -> Any:
        """The next item for the consumer, or `Ended`.

        Args:
            step: what to resume a generator with (its `send` or `throw`), else its next.
        """
        if not self._lock.acquire(False):  # by name the argument would cost as much as the lock
            raise RuntimeError("this stream is already being read by another thread or task")
        runtime = self.runtime
        try:
            self.idle_since = None  # the reaper sets it when it finds nobody reading
            while not self.ready:
                if self.opening:
                    item, step = self.opening.popleft(), None
                elif self.done:
                    return self._over()
                else:
                    step = step or self.step
                    item = (
                        self._ask(step)
                        if self.patience or self._held
                        else runtime.pull(self, step, self.deadline)
                    )
                    if runtime.is_async:
                        item = await item
                    step = None
                    if self.outcome is not None:  # closed meanwhile by another thread or task
                        await self._closing()
                        return Ended()
                    if type(item) is Ended:
                        await self._end(item)
                        continue
                    # `_read`, written out: its frame is a twentieth of what a chunk costs
                    self._shape = shape = shape_of(item)
                    shape.read(item, self.reading)
                    if self.reading.error is not None:
                        raise self.reading.error
                if self.channels is None:
                    return item
                self.ready.extend(self.channels.feed(item))
            return self.ready.popleft()
        except BaseException as error:
            await self._fail(error)
            raise
        finally:
            self._lock.release()

    @property
    def being_read(self) -> bool:
        """Whether somebody waits for its next item at this moment."""
        return self._lock.locked()

    async def hold(self) -> list[Any]:
        """Pull everything now, settle the attempt, and keep the items for the consumer."""
        items: list[Any] = []
        while True:
            item = await self.pull()
            if type(item) is Ended:
                break
            items.append(item)
        # From here on this is a new, complete stream: for the policies further out and the reader.
        self.opening.extend(items)
        self.channels = self.outcome = None
        self.done, self._held = False, True
        return items

    async def watched_by(self, hook: OutcomeHook) -> None:
        """Have `hook` told the outcome, at once if the stream has ended already."""
        if self.outcome is None:
            self.hooks.append(hook)
        else:
            await tell((hook,), self.outcome)

    async def close(self, late: Timeout | None = None) -> None:
        """The consumer stops here: settle as abandoned, unless the end was reached before.

        Args:
            late: what a consumer is told who comes back after the stream was closed for it.
        """
        if self.done:
            return
        if late is not None and not self._lock.acquire(blocking=False):
            return  # the consumer came back at this very moment
        self.late = late
        self.opening.clear()
        self.ready.clear()
        try:
            await self._settle(Outcome("abandoned", None, self.attempt))
        finally:
            if late is not None:
                self._lock.release()

    def forsake(self) -> None:
        """Its event loop is gone: nothing can be awaited, but its accounts can be settled."""
        shared = getattr(self.iterator, "forsake", None)
        if shared is not None:  # it reads another one, which is settled as well
            shared()
        self.runtime.is_async = False
        self.iterator = self.origin = self.loop = None

    def left_behind(self, job: Job) -> None:
        """A worker that was given up came back with an item: close what it was reading."""
        try:
            drive(self._closing())
        except Exception as error:
            trouble("closing a stream whose time was up", error)

    def _closing(self) -> Coroutine[Any, Any, None]:
        closing = self.runtime.close(self.iterator)
        attempt = self.attempt
        return closing if attempt.around is None else awaited_within(attempt, closing)

    def _ask(self, step: Callable[[], Any]) -> Any:
        """The next item of a stream that is bounded or held; in async mode, to be awaited."""
        asked = self._replayed() if self._held else self._ask_patiently(step)
        return asked if self.runtime.is_async else drive(asked)

    async def _replayed(self) -> Ended:
        return self._over()

    def _over(self) -> Ended:
        if self.late is not None:
            raise self.late
        return Ended(self.returned)

    async def _ask_patiently(self, step: Callable[[], Any]) -> Any:
        until = self.deadline
        began = clock.monotonic()
        for each in self.patience:
            until = narrower(until, each.until(began))
        item = self.runtime.pull(self, step, until)
        if self.runtime.is_async:
            item = await item
        waited = clock.monotonic() - began
        for each in self.patience:
            if each.left is not None:
                each.left -= waited
        return item

    def _read(self, item: Any) -> None:
        self._shape = shape = shape_of(item)
        shape.read(item, self.reading)
        if self.reading.error is not None:
            raise self.reading.error

    async def _end(self, ended: Ended) -> None:
        if not self._held and self._cut():
            raise StreamTruncated(
                f"the stream of {self.attempt.call.target.name} ended without its terminal signal: "
                "the answer is cut off. errors.partial(error) has what arrived; if this server "
                "never sends the signal, pass guard(strict_streams=False)"
            )
        self.returned = ended.value
        if self.channels is not None:
            self.ready.extend(self.channels.flush())
        await self._settle(Outcome("completed", None, self.attempt))

    def _cut(self) -> bool:
        """Whether the stream lacks an end that it must have."""
        reading, target = self.attempt.reading, self.attempt.call.target
        if reading.finished:
            target.ends = True
            return False
        strict = self.runtime.options.strict_streams
        if strict is not None:
            return strict
        shape = self._shape
        if shape is None:  # not one item came: judged by what the provider is known to send
            return target.ends or target.endpoint.provider is not None
        if shape.ends is None:
            return target.ends or target.endpoint.official
        return shape.ends

    async def _fail(self, error: BaseException) -> None:
        if isinstance(error, GeneratorExit):
            return  # a suspended reader is closed where it stands: whoever holds the stream settles
        if not self.done:
            attempt = self.attempt
            leave_partial(error, Partial(attempt.reading.text, attempt.figures))
            if attempt.first is not None and isinstance(error, Exception):
                note(error, _BROKE_OFF)  # a retry of what is still held back says so instead
            await self._settle(Outcome.of(error, attempt))

    async def _settle(self, outcome: Outcome) -> None:
        self.done, self.outcome = True, outcome
        runtime = self.runtime
        hooks, self.hooks = self.hooks, []
        if self._held:
            await tell(hooks, outcome)
            return
        unended = self.attempt.call.runtime.open
        if unended is not None and self in unended:
            unended.remove(self)
        wait = outcome.error is None or isinstance(outcome.error, Exception)
        try:
            if outcome.kind != "completed":
                closing = self._closing()
                if wait or not (runtime.is_async and finish_later(closing)):
                    await closing
        except BaseException:  # cancelled in the middle of it: once more, where nobody waits
            wait = False
            if runtime.is_async:
                finish_later(self._closing())
            raise
        finally:
            try:
                await self.attempt.end(outcome, wait=wait)
            finally:
                if hooks:
                    await tell(hooks, outcome, wait=wait)
