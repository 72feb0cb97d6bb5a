"""`retry`: another attempt when the failure is one that passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from agentguard import events
from agentguard.engine import marks
from agentguard.engine.arguments import count, one_of, plain, seconds
from agentguard.engine.chain import Policy
from agentguard.engine.spelling import Bare
from agentguard.engine.triggers import TRANSIENT, Triggers
from agentguard.errors import GuardError
from agentguard.providers.failures import classify
from agentguard.retrying.backoff import delay
from agentguard.retrying.budget import RetryBudget, budget_for, budgets
from agentguard.retrying.strategies import asks_again, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Reply
    from agentguard.engine.target import Target
    from agentguard.engine.triggers import Trigger
    from agentguard.errors import Kind
    from agentguard.providers.failures import Failure
    from agentguard.retrying.strategies import Strategy

__all__ = ["Retry", "retry"]


class Retry(Policy):
    """Make another attempt when a failure is one that passes: rate limits, overload, resets.

    Costs nothing until something fails. Streams are retried until their first content has been
    handed out, never after. The caller gets the provider's own last exception, with a note that
    says what was tried.

    Retried by default are the kinds `rate_limited`, `overloaded`, `server`, `timeout`,
    `connection` and `truncated` (together: "transient"). Never retried are cancellation,
    frameworks' control flow, and what a `retry` further in has already given up on.

    Args:
        attempts: at most, the first included.
        within: seconds that all attempts and waits together may take.
        on: what is retried: exception types, kinds, "transient", or a predicate of the exception;
            one or several. Default "transient". A server's `x-should-retry` header has the last word.
        on_result: a predicate of the answer that says True to have it made again. When the
            attempts are used up, the last answer is returned. On streams it needs `hold="all"`.
        hold: "all" holds a stream back until its end, for `on_result` to judge, so that it can be
            retried up to there.
        max_retry_after: seconds. A wait that the provider asks for (Retry-After) is obeyed
            exactly up to this; when it asks for more, the call is not retried.
        wait: a tenacity wait strategy, or any function of its `RetryCallState`, instead of
            exponential back-off with full jitter from 0.5 s to 20 s.
        stop: a tenacity stop strategy, in addition to `attempts` and `within`.
        retry: a tenacity retry strategy, instead of `on`. `tenacity.TryAgain` is always retried.
        budget: the `RetryBudget` that retries take from. Default: one per provider, base URL and
            model (or per function) for the whole process; None for no budget.
        nested: "multiply" also retries what a guarded call inside has given up on.
        replay: repeat also an attempt in which a guarded tool ran, whose effects then happen twice.

    Events:
        `Retried(kind, number, wait, obeyed)` before each wait; `GaveUp(kind, number, reason)`.

    Raises:
        Exception: the provider's last one, same type and identity.

    Examples:
        >>> from agentguard import retry
        >>> @retry(attempts=3)
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> ask("?")
        '42'
    """

    spellings: ClassVar[Mapping[str, str]] = {
        "": "retry(attempts=3)",
        "max_attempts": "attempts=",
        "max_retries": "attempts=, which counts the first attempt too: max_retries=2 is attempts=3",
        "num_retries": "attempts=, which counts the first attempt too: num_retries=2 is attempts=3",
        "tries": "attempts=",
        "max_tries": "attempts=",
        "stop_after_attempt": "attempts=",
        "timeout": "within=, the seconds that all attempts and waits may take",
        "max_time": "within=, the seconds that all attempts and waits may take",
        "stop_after_delay": "within=",
        "wait_exponential": "wait=tenacity.wait_exponential(...)",
        "backoff": "wait=, a tenacity wait strategy",
        "delay": "wait=tenacity.wait_fixed(...)",
        "exceptions": "on=",
        "retry_on": "on=",
        "retry_if_exception_type": "on=",
        "retry_if_result": "on_result=",
        "reraise": "nothing: the caller always gets the provider's own exception",
        "before_sleep": "`with report() as r:` around the call; r.calls[0].events has events.Retried",
        "after": "`with report() as r:` around the call; r.calls[0].events has events.AttemptEnded",
        "before": "`with report() as r:` around the call; r.calls[0].events has events.AttemptStarted",
        "retry_error_callback": "fallback(...) around the retry",
    }

    def __init__(
        self,
        *,
        attempts: int = 3,
        within: float = 300.0,
        on: Trigger | Sequence[Trigger] = "transient",
        on_result: Callable[[Any], bool] | None = None,
        hold: Literal["all"] | None = None,
        max_retry_after: float = 120.0,
        wait: Strategy | None = None,
        stop: Strategy | None = None,
        retry: Strategy | None = None,
        budget: RetryBudget | Literal["process"] | None = "process",
        nested: Literal["multiply"] | None = None,
        replay: bool = False,
    ) -> None:
        for name, strategy, example in (
            ("wait", wait, "wait_fixed(1)"),
            ("stop", stop, "stop_after_attempt(3)"),
            ("retry", retry, "retry_if_exception_type(OSError)"),
        ):
            plain("retry", name, strategy, f"a strategy such as tenacity.{example}")
            if isinstance(strategy, type):
                raise TypeError(f"retry({name}=) takes {strategy.__name__}(...), not its class")
        plain("retry", "on_result", on_result, "a function of the answer")
        one_of("retry", "hold", hold, "all")
        one_of("retry", "nested", nested, "multiply")
        if not isinstance(budget, RetryBudget) and budget not in (None, "process"):
            raise TypeError("retry(budget=) takes a RetryBudget, or None for no budget")
        self.attempts = count("retry", "attempts", attempts)
        self.within = seconds("retry", "within", within)
        self.on = Triggers("retry", on)
        self.on_result = on_result
        self.hold = hold
        self.max_retry_after = seconds("retry", "max_retry_after", max_retry_after, zero=True)
        self.wait = wait
        self.stop = stop
        self.retry = retry
        self.judges = on_result is not None or retry is not None or hold is not None
        self.budget: RetryBudget | Literal["process"] | None = budget
        self.nested = nested
        self.replay = replay

    @classmethod
    def takes(cls, value: object) -> bool:
        """Strategies of tenacity are callable, but settings: `retry(wait_fixed(1))` is refused."""
        return type(value).__module__.partition(".")[0] == "tenacity"

    async def around(self, call: Call, next: Next) -> Reply:
        """Attempt, and attempt again while a failure passes and attempts, time and budget last."""
        series: _Series | None = None
        began, since = call.runtime.monotonic(), marks.moment
        number = 1
        while True:
            try:
                reply = await next(call)
                wait = None
                if self.judges:
                    series = series or _Series(self, call, began, since)
                    wait = await series.after_answer(reply)
                if wait is None:
                    self._succeeded(call, series)
                    return reply
                await reply.discard()
            except Exception as error:
                series = series or _Series(self, call, began, since)
                wait = series.after_failure(error)
                if wait is None:
                    raise
            await call.runtime.sleep(wait, call.deadline)
            number += 1
            call = call.replace(number=number, wait=wait)

    def check(self, target: Target) -> None:
        """A verdict on a stream's answer needs the whole of it."""
        if self.on_result is not None and target.streams and self.hold is None:
            raise TypeError(
                f"{target.name} is a generator, and retry(on_result=) would judge its answer when "
                'half of it is with the user: pass hold="all" to hold it back until its end'
            )

    def requests(self, inner: int) -> int:
        """Every attempt makes the requests of the chain inside."""
        return inner * self.attempts

    def budget_of(self, call: Call) -> RetryBudget | None:
        """The bucket that this call's retries take from."""
        if isinstance(self.budget, str):
            return budget_for(call.key)
        return self.budget

    def _succeeded(self, call: Call, series: _Series | None) -> None:
        if series is not None:
            series.over()
        if series is not None and series.budget is not None:
            series.budget.give(series.taken or 1)
        elif isinstance(self.budget, RetryBudget):
            self.budget.give(1)
        elif self.budget is not None and budgets:  # none before this process's first retry
            known = budgets.get(call.key)
            if known is not None:
                known.give(1)

    def explain(self) -> Sequence[tuple[str, object]]:
        """Attempts, bounds and what is retried."""
        return [
            ("attempts", self.attempts),
            ("within", self.within),
            ("on", str(self.on)),
            ("max_retry_after", self.max_retry_after),
            ("wait", "exponential, full jitter" if self.wait is None else "given"),
            ("budget", "per target, this process" if self.budget == "process" else self.budget),
            ("nested", self.nested),
        ]


class _Series:
    """The attempts of one call under one retry: what failed so far and whether to go on."""

    __slots__ = (
        "began",
        "budget",
        "call",
        "idle",
        "kinds",
        "last",
        "number",
        "policy",
        "since",
        "taken",
    )

    def __init__(self, policy: Retry, call: Call, began: float, since: int) -> None:
        self.policy = policy
        self.call = call
        self.began = began
        self.since = since
        self.number = 0
        self.idle = 0.0
        self.taken = 0
        self.kinds: list[Kind] = []
        self.last: Exception | None = None
        self.budget: RetryBudget | None = None

    def after_failure(self, error: Exception) -> float | None:
        """Seconds to wait before the next attempt; None to pass the exception on."""
        failure = classify(error, self.call.runtime.time())
        self.number += 1
        self.kinds.append(failure.kind)
        if isinstance(error, GuardError) and self.last is not None and error.__cause__ is None:
            error.__cause__ = self.last  # a refusal of ours says what led to it
        if not isinstance(error, GuardError):
            self.last = error
        wait, reason = self._judge(error, failure)
        if reason is None:
            return self._go(failure.kind, wait, obeyed=failure.retry_after is not None)
        self._give_up(error, failure.kind, reason)
        self.over()
        return None

    def over(self) -> None:
        """Let go of the last error: its traceback holds the frame that holds this, a cycle."""
        self.last = None

    async def after_answer(self, reply: Reply) -> float | None:
        """The same for an answer: None to return it."""
        policy = self.policy
        if reply.streaming and policy.hold is None and policy.on_result is None:
            return None  # a tenacity strategy judges streams by their errors alone
        answer = await reply.answer(hold=policy.hold)
        if not self._unwanted(answer):
            return None
        self.number += 1
        wait, reason = 0.0, self._acted()
        if reason is None:
            wait, reason = self._room("unknown", self._wait(None, answer), None, answer)
        if reason is not None:
            self.call.emit(events.GaveUp, "unknown", self.number, reason)
            return None
        return self._go("unknown", wait, obeyed=False)

    def _acted(self) -> str | None:
        """Why the attempt must not be repeated: what it did in the world would be done again."""
        tool = self.call.runtime.acted
        if tool is None or self.policy.replay:
            return None
        return f"the tool {tool} ran in it; pass replay=True if it may run twice"

    def _unwanted(self, answer: Any) -> bool:
        policy = self.policy
        if policy.on_result is not None and policy.on_result(answer):
            return True
        return policy.retry is not None and bool(policy.retry(self._state(None, answer)))

    def _judge(self, error: Exception, failure: Failure) -> tuple[float, str | None]:
        """The wait, and why not to retry if so."""
        kind, policy = failure.kind, self.policy
        if kind in {"control", "cancelled"}:
            return 0.0, "it is no failure"
        acted = self._acted()
        if acted is not None:
            return 0.0, acted
        if marks.gave_up(error, self.since) and policy.nested is None:
            return 0.0, _INSIDE
        if isinstance(error, GuardError) and kind in _REFUSALS:
            return self._reopening(error, failure)
        if asks_again(error):
            wanted = True
        elif policy.retry is not None:
            wanted = bool(policy.retry(self._state(error)))
        else:
            wanted = policy.on.match(error, kind)
        if failure.should_retry is False:
            return 0.0, "the provider says not to (x-should-retry: false)"
        if not wanted and not failure.should_retry:
            return 0.0, _unwanted(error, kind)
        if failure.retry_after is None:
            return self._room(kind, self._wait(error), error)
        if failure.retry_after > policy.max_retry_after:
            return 0.0, (
                f"the provider asks to wait {failure.retry_after:g} s, more than "
                f"max_retry_after={policy.max_retry_after:g}"
            )
        return self._room(kind, failure.retry_after, error)

    def _reopening(self, error: Exception, failure: Failure) -> tuple[float, str | None]:
        """A refusal of ours is waited for only when it ends within a deadline that somebody set."""
        deadline, wait = self.call.deadline, failure.retry_after
        if failure.kind != "circuit_open" or wait is None or deadline is None:
            return 0.0, "it is a refusal, not a failure"
        for outer in self.call.runtime.options.policies:
            if outer is self.policy:
                break
            if outer.answers(error):
                return 0.0, f"{outer.name} has an answer to an open circuit"
        return self._room(failure.kind, wait, error)

    def _room(
        self, kind: Kind, wait: float, error: Exception | None, answer: object = None
    ) -> tuple[float, str | None]:
        """Whether attempts, time and budget allow another attempt after `wait` seconds."""
        policy, call = self.policy, self.call
        now = call.runtime.monotonic()
        if self.number >= policy.attempts:
            return wait, f"attempts={policy.attempts} are used up"
        if now + wait - self.began > policy.within:
            return wait, f"another attempt would not fit within={policy.within:g} s"
        if call.deadline is not None and now + wait >= call.deadline.at:
            return wait, f"another attempt would pass the {call.deadline.bound} bound around it"
        if policy.stop is not None and policy.stop(self._state(error, answer, upcoming=wait)):
            return wait, "the stop strategy says so"
        self.budget = policy.budget_of(call)
        if self.budget is not None:
            self.taken = self.budget.take(kind)
            if not self.taken:
                return wait, "the retry budget of this target is used up: too many calls fail"
        return wait, None

    def _wait(self, error: Exception | None, answer: object = None) -> float:
        if self.policy.wait is None:
            return delay(self.number, self.call.runtime.random())
        return max(0.0, float(self.policy.wait(self._state(error, answer))))

    def _state(self, error: Exception | None, answer: object = None, upcoming: float = 0.0) -> Any:
        now = self.call.runtime.monotonic()
        number = max(self.number, 1)
        state = state_of(self.call, number, self.began, now, self.idle, error, answer)
        state.upcoming_sleep = upcoming
        return state

    def _go(self, kind: Kind, wait: float, *, obeyed: bool) -> float:
        self.idle += wait
        self.call.emit(events.Retried, kind, self.number, wait, obeyed)
        return wait

    def _give_up(self, error: Exception, kind: Kind, reason: str) -> None:
        if kind in {"control", "cancelled"}:
            return
        took = self.call.runtime.monotonic() - self.began
        tried = f"{self.number} attempt{'s' * (self.number > 1)} in {took:.1f} s"
        text = f"{tried} ({', '.join(self.kinds)}); not retried: {reason}"
        told = marks.noted(error, self.since) if reason == _INSIDE else ""
        marks.note(error, f"{told}; {reason}" if told else text)
        wanted = reason != _unwanted(error, kind)  # else another retry may be there for it
        if wanted and (kind in TRANSIENT or self.number > 1):
            marks.give_up(error)
        self.call.emit(events.GaveUp, kind, self.number, reason)


_INSIDE: Final = 'a retry inside gave up on it already (nested="multiply" retries it again)'
_REFUSALS: Final = frozenset({"circuit_open", "saturated", "budget_exceeded", "rejected"})


def _unwanted(error: Exception, kind: Kind) -> str:
    if kind != "unknown":
        return f"{kind} does not pass by itself"
    name = type(error).__name__
    return f'{name} is not known to pass by itself; if it does, pass on=("transient", {name})'


retry = Bare(Retry)
