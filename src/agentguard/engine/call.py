"""A guarded call, an attempt (one invocation of one target), and how either ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, cast

from agentguard import events
from agentguard.engine import clock
from agentguard.engine.bill import Bill
from agentguard.engine.loop import finish_later, kept
from agentguard.engine.lost import lost, put_aside, settle_lost
from agentguard.engine.records import AttemptRecord
from agentguard.engine.trouble import trouble
from agentguard.engine.verdict import refusal, stop
from agentguard.errors import InputRejected, OutputRejected, Partial
from agentguard.providers.failures import classify
from agentguard.providers.pickling import let_cross
from agentguard.providers.shapes import Reading, shape_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence

    from agentguard.engine.chain import Policy
    from agentguard.engine.limits import Deadline
    from agentguard.engine.records import CallRecord
    from agentguard.engine.reply import Reply
    from agentguard.engine.runtime import Runtime
    from agentguard.engine.scope import Scope
    from agentguard.engine.surround import Enter
    from agentguard.engine.target import Target
    from agentguard.engine.verdict import Finding, Then
    from agentguard.events import Event
    from agentguard.providers.usage import Usage

    AttemptHook = Callable[["Attempt"], Awaitable[None] | None]
    ItemHook = Callable[["Attempt", Any], Callable[[], None] | None]
    LateHook = Callable[["Attempt"], None]
    OutcomeHook = Callable[["Outcome"], Awaitable[None] | None]

__all__ = ["Attempt", "Call", "Outcome", "announce", "hear", "tell"]

P = ParamSpec("P")

OutcomeKind = Literal["completed", "failed", "abandoned"]


class Call:
    """One guarded call as a policy sees it. Never changed: `replace` makes another.

    Attributes:
        target: what will be called.
        args: positional arguments.
        kwargs: keyword arguments.
        runtime: sleep, clock, randomness and everything else that waits.
        scope: what surrounded the call when it was made.
        deadline: the bound that no wait inside may pass, or None.
        number: which attempt this is, from 1.
        wait: seconds waited before this attempt.
        hooks: who sees every attempt inside.
        record: for the listeners, None when there are none.
    """

    __slots__ = (
        "args",
        "deadline",
        "hooks",
        "kwargs",
        "number",
        "record",
        "runtime",
        "scope",
        "target",
        "wait",
    )

    def __init__(
        self,
        target: Target,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        runtime: Runtime,
        scope: Scope,
        deadline: Deadline | None,
        number: int,
        wait: float,
        hooks: tuple[AttemptHook, ...],
        record: CallRecord | None,
    ) -> None:
        self.target = target
        self.args = args
        self.kwargs = kwargs
        self.runtime = runtime
        self.scope = scope
        self.deadline = deadline
        self.number = number
        self.wait = wait
        self.hooks = hooks
        self.record = record

    def __repr__(self) -> str:
        return f"<call of {self.target.name}, attempt {self.number}>"

    @property
    def key(self) -> Hashable:
        """What circuits and retry budgets are kept for: provider, base URL and model, or the function."""
        key, model = self.target.key, self.kwargs.get("model")
        if model is not None and self.target.endpoint.provider is not None:
            return (*cast("tuple[Hashable, ...]", key)[:2], model)
        return key

    def replace(self, **changes: Any) -> Call:
        """The same call but for `changes`, given by attribute name."""
        other = self._copy()
        for name, value in changes.items():
            setattr(other, name, value)
        return other

    def _copy(self) -> Call:
        return Call(
            self.target,
            self.args,
            self.kwargs,
            self.runtime,
            self.scope,
            self.deadline,
            self.number,
            self.wait,
            self.hooks,
            self.record,
        )

    def on_attempt(self, hook: AttemptHook) -> Call:
        """The same call with `hook(attempt)` run before every attempt inside it.

        It sees attempts of fallback targets and of guarded calls made inside too. What it raises
        refuses the attempt. `attempt.on_end(...)` hears how each ended, `attempt.on_item(...)` sees
        what a stream brings. Putting another call in `attempt.call` changes what is sent.
        """
        other = self._copy()
        other.hooks = (*self.hooks, hook)
        return other

    def emit(
        self, event: Callable[Concatenate[CallRecord, P], Event], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Build the event and pass it to the listeners, if there are any."""
        if self.record is not None:
            announce(self.scope, self.record, event(self.record, *args, **kwargs))

    def reject(
        self,
        policy: Policy,
        findings: Sequence[Finding],
        then: Then = stop,
        error: type[InputRejected | OutputRejected] = InputRejected,
    ) -> bool:
        """Refuse, for what `policy` has found: every judging policy does it through here.

        Args:
            policy: that judges. One that is shadowed only reports.
            findings: at least one.
            then: what follows. With `stop` the error is raised here.
            error: `errors.InputRejected`, or `errors.OutputRejected` for an answer.

        Returns:
            Whether the caller has to do what `then` says.
        """
        rules = tuple(dict.fromkeys(each.rule for each in findings))
        what: Literal["request", "answer"] = "request" if error is InputRejected else "answer"
        word = type(then).__name__.lower()
        self.emit(events.Rejected, policy.name, what, rules, word, policy.shadowed)
        if policy.shadowed:
            return False
        if then is stop:
            raise error(refusal(policy, self.target.name, findings, what), findings=findings)
        return True

    def acts(self) -> None:
        """Tell the calls around this one that a tool runs: what has effects is not replayed."""
        attempt = self.scope.attempt
        while attempt is not None:
            attempt.call.runtime.acted = self.target.name
            attempt = attempt.call.scope.attempt

    def restore(self, text: str) -> str:
        """The text as its reader will see it: what `mask_pii`, further out, has masked is put back."""
        vault = self.scope.vault
        return text if vault is None else vault.restore(text)

    async def run(self, target: Target, **changes: Any) -> Reply:
        """Invoke `target` as an attempt of this call, past the chain inside the asking policy."""
        from agentguard.engine.chain import invoke

        reply = await invoke(self.replace(target=target, **changes))
        if self.expects_stream:
            reply.streamed()
        return reply

    @property
    def expects_stream(self) -> bool:
        """Whether the caller will iterate the answer, as far as can be known before one is there."""
        asked = self.kwargs.get("stream")
        return asked is True or (asked is not False and self.runtime.target.streams)


def announce(scope: Scope, record: CallRecord, event: Event) -> None:
    """Pass one event to everybody who listens in `scope`."""
    event.at = clock.monotonic()
    record.events.append(event)
    for listener in scope.listeners:
        try:
            listener(event)
        except Exception as error:
            trouble(
                f"the listener {getattr(listener, '__qualname__', type(listener).__name__)}", error
            )


class Attempt:
    """One invocation of one target: what costs money and time.

    While it runs it stands in the scope variable, so that guarded calls made inside find their
    parent, their deadline and their hooks.

    Attributes:
        call: that it belongs to. A hook may put another one here before the target is invoked.
        started: monotonic seconds.
        first: seconds to the first content, or None.
        value: a unary answer.
        record: for the listeners, None when there are none.
        recorded: what `record(...)` was given inside it.
        watched: whether anybody wants to hear how it ends.
        metered: whether its stream was asked for usage that its caller did not ask for.
        nested: whether guarded calls were made inside it, which ask the model in its place.
        told_inside: whether a guarded call made inside it has told its usage, which then is its own.
        likely: the model that answers by all that a policy knows, where nobody names one, or None.
        looked_at: whether anybody has asked for `reading`, perhaps before there was an answer.
        items: who sees each item of its stream, or None.
        around: what is set around each step of its target, or None.
    """

    __slots__ = (
        "_ended",
        "_ends",
        "_lates",
        "_reading",
        "around",
        "call",
        "first",
        "items",
        "likely",
        "looked_at",
        "metered",
        "nested",
        "record",
        "recorded",
        "started",
        "told_inside",
        "value",
        "watched",
    )

    def __init__(self, call: Call) -> None:
        self.call = call
        self.started = clock.monotonic()
        self.first: float | None = None
        self.likely: str | None = None
        self.value: Any = None
        self.record: AttemptRecord | None = None
        self.recorded: list[Reading] | None = None
        self.watched = self.looked_at = self.metered = False
        self.nested = self.told_inside = False
        self._ended = False
        self._ends: list[OutcomeHook] | None = None
        self._lates: list[LateHook] | None = None
        self.items: list[ItemHook] | None = None
        self.around: list[Enter] | None = None
        self._reading: Reading | None = None

    @property
    def asked(self) -> str | None:
        """The model that is asked for, where it can be seen."""
        model = self.call.kwargs.get("model")
        return model if isinstance(model, str) else self.call.target.endpoint.model

    @property
    def model(self) -> str | None:
        """The model that served, where the answer or a recorded response says so."""
        found = self.reading.model or None
        if found is not None or self.recorded is None:
            return found
        return next((each.model for each in reversed(self.recorded) if each.model), None)

    @property
    def usage(self) -> Usage | None:
        """The provider's figures, but for those that guarded calls inside have told: see `figures`.

        So that each is counted once, where it was made.
        """
        return None if self.told_inside else self.figures

    @property
    def figures(self) -> Usage | None:
        """The provider's figures: of the answer, or of all recorded responses together."""
        found = self.reading.usage
        if found is not None or self.recorded is None:
            return found
        told = [each.usage for each in self.recorded if each.usage is not None]
        return sum(told[1:], told[0]) if told else None

    @property
    def reading(self) -> Reading:
        """What has been read of the answer so far: text, model, usage."""
        if self._reading is None:
            self.looked_at = True
            self._reading = Reading()
            if self.value is not None:
                shape_of(self.value).read(self.value, self._reading)
        return self._reading

    def scope(self) -> Scope:
        """What guarded calls made inside this attempt find around themselves."""
        call = self.call  # made anew each time: kept here it would be a cycle
        return call.scope.within(deadline=call.deadline, hooks=call.hooks, attempt=self)

    def on_end(self, hook: OutcomeHook) -> None:
        """Have `hook(outcome)` called once when this attempt has ended."""
        if self._ends is None:
            self.watched = True
            self._ends = []
        self._ends.append(hook)

    def on_item(self, hook: ItemHook) -> None:
        """Have `hook(attempt, item)` called with each item of its stream, before anybody gets it.

        What may block it returns as a function of nothing, which is called off the event loop.
        What either raises ends the stream in place of the item.
        """
        if self.items is None:
            self.items = []
        self.items.append(hook)

    def surround(self, enter: Enter) -> None:
        """Have `enter()` called before each step of its target, and what that returns after it.

        A step is the call, each pull of its stream, and its closing: in the thread or task where it
        is made, and not while the stream's reader is at work. For context variables of a tracer,
        say. What either raises is logged.
        """
        if self.around is None:
            self.around = []
        self.around.append(enter)

    def on_late(self, hook: LateHook) -> None:
        """Have `hook(attempt)` called when an answer comes after this attempt was given up.

        Its figures can be read then. It is called in the thread that was left behind.
        """
        if self._lates is None:
            self._lates = []
        self._lates.append(hook)

    def begin(self) -> None:
        """Tell the listeners that the target is about to be invoked."""
        call = self.call
        record = call.record
        if record is None:
            return
        self.watched = True
        self.record = AttemptRecord(call.target.name, call.number, call.wait, self.started)
        self.record.asked = self.asked
        self.record.provider = call.target.endpoint.provider
        record.attempts.append(self.record)
        if not call.target.tool:
            above = call.scope.attempt
            while above is not None:
                above.nested = True
                above = above.call.scope.attempt
        call.emit(events.AttemptStarted, self.record)

    def seen(self) -> None:
        """The first content is there."""
        if self.first is None:
            self.first = clock.monotonic() - self.started

    def late(self, value: object) -> None:
        """An answer that nobody waited for: its usage is booked, the answer itself let go."""
        shape_of(value).read(value, self.reading)
        for hook in (self._ended and self._lates) or ():
            try:
                hook(self)
            except Exception as error:
                trouble("booking an answer that came too late", error)
        record = self.record
        if record is not None:
            record.model = self.model
            if self._ended:  # else its end, which is near, tells of this too
                record.bill = Outcome("completed", None, self).bill
            self.call.emit(events.LateResult, record)

    async def end(self, outcome: Outcome, *, wait: bool = True) -> None:
        """The attempt is over, exactly once: tell its hooks and the listeners."""
        if wait and isinstance(outcome.error, GeneratorExit):
            put_aside(lambda: self.end(outcome, wait=False))
            return
        if self._ended:
            return
        self._ended = True
        if self.nested and lost:
            settle_lost()  # what the streams inside have used, which this one let go of, is theirs
        if outcome.error is not None:
            let_cross(outcome.error)
        if self.call.scope.attempt is not None and self.usage is not None:
            self._tell_outside()
        hooks, self._ends = self._ends, None
        try:
            if hooks is not None:
                await tell(hooks, outcome, wait=wait)
        finally:
            if self.record is not None:
                self._write(outcome)

    def recalled(self) -> None:
        """Nobody was asked: the answer is one given before, and paid for then."""
        self.seen()
        above = self.call.scope.attempt
        while above is not None:
            above.nested = above.told_inside = True
            above = above.call.scope.attempt

    def _tell_outside(self) -> None:
        above = self.call.scope.attempt
        while above is not None:
            above.told_inside = True
            above = above.call.scope.attempt

    def _write(self, outcome: Outcome) -> None:
        record = self.record
        if record is None:
            return
        record.outcome = outcome.kind
        record.duration = clock.monotonic() - self.started
        record.first_token = self.first
        record.model = outcome.model
        record.request_id = self.reading.request_id
        if outcome.error is not None:
            failure = classify(outcome.error)
            record.kind, record.status = failure.kind, failure.status
            record.error = type(outcome.error).__name__
            record.request_id = failure.request_id or record.request_id
        record.bill = outcome.bill
        self.call.emit(events.AttemptEnded, record)


class Outcome:
    """How a call or attempt ended, known once and for all.

    Attributes:
        kind: "completed", "failed" or "abandoned" (cancelled, or a stream that nobody read on).
        error: what was raised, or None.
        attempt: whose answer it was, None when no attempt was reached.
    """

    __slots__ = ("_bill", "attempt", "error", "kind")

    def __init__(
        self, kind: OutcomeKind, error: BaseException | None, attempt: Attempt | None
    ) -> None:
        self.kind: OutcomeKind = kind
        self.error = error
        self.attempt = attempt
        self._bill: Bill | None = None

    def __repr__(self) -> str:
        return f"<outcome {self.kind}>"

    @classmethod
    def of(cls, error: BaseException, attempt: Attempt | None = None) -> Outcome:
        """Failed for an exception; abandoned for what is none (cancellation, exit)."""
        kind: OutcomeKind = "failed" if isinstance(error, Exception) else "abandoned"
        return cls(kind, error, attempt)

    @property
    def model(self) -> str | None:
        """The model that served, where the provider says so."""
        return None if self.attempt is None else self.attempt.model

    @property
    def usage(self) -> Usage | None:
        """The provider's figures, None when it sent none."""
        return None if self.attempt is None else self.attempt.usage

    @property
    def bill(self) -> Bill | None:
        """What the attempt used and what that cost, one for all who ask; None where none was reached."""
        if self._bill is None and self.attempt is not None:
            self._bill = Bill(self.attempt, self)
        return self._bill

    @property
    def first_token(self) -> float | None:
        """Seconds from the attempt's beginning to its first content; of a unary answer, to its end."""
        return None if self.attempt is None else self.attempt.first

    @property
    def partial(self) -> Partial | None:
        """Text and usage so far, when the answer was interrupted."""
        if self.kind == "completed" or self.attempt is None:
            return None
        reading = self.attempt.reading
        return Partial(reading.text, self.attempt.figures)


def hear(hook: OutcomeHook, outcome: Outcome) -> Awaitable[None] | None:
    """Call one outcome hook; what it returns, if anything, is still to be awaited."""
    try:
        return hook(outcome)
    except Exception as error:
        trouble(f"the outcome hook {getattr(hook, '__qualname__', type(hook).__name__)}", error)
    return None


async def tell(hooks: Iterable[OutcomeHook], outcome: Outcome, *, wait: bool = True) -> None:
    """Run outcome hooks, each of them whatever happens to the others.

    What they raise is logged. A cancelled caller does not wait for them, and one that is cancelled
    while it waits interrupts none.

    Args:
        hooks: functions or coroutine functions of the outcome.
        outcome: what they are told.
        wait: False when the caller was cancelled already.
    """
    ordinary = outcome.error is None or isinstance(outcome.error, Exception)
    if wait and not ordinary and isinstance(outcome.error, GeneratorExit):
        put_aside(lambda: tell(hooks, outcome, wait=False))
        return
    attempt, cancelled = outcome.attempt, None
    wait = wait and ordinary
    for hook in hooks:
        try:
            pending = hook(outcome)
            if pending is None or (not wait and finish_later(pending)):
                continue
            if attempt is not None and attempt.call.runtime.is_async:
                await kept(pending)
            else:
                await pending
        except Exception as error:
            trouble(f"the outcome hook {getattr(hook, '__qualname__', type(hook).__name__)}", error)
        except BaseException as error:
            cancelled, wait = cancelled or error, False
    if cancelled is not None:
        raise cancelled
