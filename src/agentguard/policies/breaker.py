"""`breaker`: stop calling a provider that is down, and find out gently when it is back."""

from __future__ import annotations

import functools
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NoReturn

from agentguard import events
from agentguard.circuit.circuit import Circuit
from agentguard.circuit.circuits import Circuits
from agentguard.circuit.gate import CLOSED, OPEN, Gate
from agentguard.circuit.refusal import refusal
from agentguard.circuit.rules import Rules
from agentguard.circuit.spellings import HINT, SPELLINGS
from agentguard.circuit.terms import RESET_TIMEOUT, Terms
from agentguard.circuit.votes import vote
from agentguard.engine.arguments import count, one_of, plain, seconds
from agentguard.engine.chain import Policy
from agentguard.engine.reply import observe
from agentguard.engine.spelling import Bare
from agentguard.engine.trouble import trouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import timedelta
    from typing import Self

    from agentguard.circuit.circuit import Entry
    from agentguard.circuit.gate import Permit
    from agentguard.circuit.listeners import Change
    from agentguard.circuit.votes import Vote
    from agentguard.engine.call import Call, Outcome
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Reply

    Mode = Literal["forced_open", "disabled", "observing"]

__all__ = ["Breaker", "breaker"]


class Breaker(Policy):
    """Refuse calls to a provider that keeps failing, until a trial call succeeds.

    Protects callers from waiting for a provider that is down, and the provider from being hammered
    while it recovers. The terms, states, storages and listeners are pybreaker's; its lock is never
    held while your function runs, and it is not entered at all while calls succeed.

    A failure counts by its kind: rate_limited, overloaded, server, timeout, connection, truncated,
    quota_exhausted and unknown do. Requests that were at fault themselves (auth, invalid_request,
    context_length, content_filter), refusals by agentguard (nested circuits included),
    cancellation, control flow and abandoned streams are neutral: neither failure nor success. A
    stream is judged at its end.

    Args:
        existing: a `pybreaker.CircuitBreaker` to use as it is. It brings `fail_max`,
            `reset_timeout`, `success_threshold`, `exclude`, `listeners`, `state_storage`, `name`.
        fail_max: failures in a row that open the circuit. 5; when a rate is given there is no such
            limit unless you pass one.
        reset_timeout: seconds it stays open before a trial call is let through. A Retry-After on
            the failure that opens it takes its place.
        success_threshold: successful trials that close it.
        exclude: exception types, and predicates of the exception, that are neutral. (pybreaker
            counts them as successes, so that a bad request could close a circuit.)
        listeners: `pybreaker.CircuitBreakerListener` objects. In async calls they run in a worker
            thread, never under a lock; what they raise is logged.
        state_storage: a pybreaker storage, which means one circuit for everything this policy
            guards; or a function of the circuit's name that returns one, for one each.
        name: of the circuit, in events and messages.
        key: a function of the call: one circuit for each of its values, which are shown as labels.
            By default the provider, host and model where visible, else the function.
        max_circuits: circuits kept at most.
        failure_rate: part of the window's calls, above 0 to 1, that opens the circuit by failing.
        slow_call_rate: the same for slow calls. 1.0 when only `slow_call` is given.
        slow_call: seconds to the first token (of a unary call to its end) from which a call is
            slow. 60 when only `slow_call_rate` is given.
        window: for the rates: the latest calls (`100`), or a time (`"60s"`, a timedelta). Kept per
            process, also with a shared storage.
        minimum_calls: calls in the window before a rate is judged.
        half_open_calls: trial calls admitted at the same time.
        trial_lease: seconds after which a trial that has not ended makes room for another.
        growth: factor by which the open time grows with each opening that follows a failed trial.
        max_reset_timeout: seconds that a grown open time or a Retry-After is cut to. 600, or
            `reset_timeout` if that is longer.
        on_store_failure: what to do while the storage cannot be reached: "closed" lets all calls
            pass uncounted, "open" refuses them.

    Events:
        `CircuitOpened`, `CircuitHalfOpened`, `CircuitClosed`, `CircuitRejected`, and `StoreFailed`
        once per outage of the storage.

    Raises:
        errors.CircuitOpen: a call was refused; also a `pybreaker.CircuitBreakerError`.
            `.retry_after` says in how many seconds a trial call is let through.

    Examples:
        >>> from agentguard import breaker
        >>> @breaker(fail_max=3, reset_timeout=30)
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> ask("?")
        '42'
    """

    spellings: ClassVar[Mapping[str, str]] = SPELLINGS
    refuses = True

    def __init__(
        self,
        existing: Any = None,
        /,
        *,
        fail_max: int | None = None,
        reset_timeout: float = RESET_TIMEOUT,
        success_threshold: int = 1,
        exclude: Sequence[Any] = (),
        listeners: Sequence[Any] = (),
        state_storage: Any = None,
        name: str | None = None,
        key: Callable[[Call], object] | None = None,
        max_circuits: int = 1000,
        failure_rate: float | None = None,
        slow_call_rate: float | None = None,
        slow_call: float | None = None,
        window: int | str | timedelta = 100,
        minimum_calls: int = 10,
        half_open_calls: int = 1,
        trial_lease: float = 60.0,
        growth: float = 1.0,
        max_reset_timeout: float | None = None,
        on_store_failure: Literal["closed", "open"] = "closed",
    ) -> None:
        if existing is not None and not self.takes(existing):
            raise TypeError(_wrong_first(existing))
        plain("breaker", "key", key, "a function of the call")
        one_of("breaker", "on_store_failure", on_store_failure, "closed", "open")
        self.half_open_calls = count("breaker", "half_open_calls", half_open_calls)
        self.trial_lease = seconds("breaker", "trial_lease", trial_lease)
        self.on_store_failure = on_store_failure
        self.rules = Rules(
            failure_rate,
            slow_call_rate,
            slow_call,
            window,
            minimum_calls,
            growth,
            max_reset_timeout,
        )
        if not self.rules.rated and (window, minimum_calls) != (100, 10):
            raise TypeError(
                "breaker(window=, minimum_calls=) are for rates and fail_max= counts failures in a "
                "row: pass failure_rate=, as in breaker(failure_rate=0.5, window='60s')"
            )
        self.terms = Terms(
            existing,
            fail_max,
            reset_timeout,
            success_threshold,
            exclude,
            listeners,
            state_storage,
            name,
            rated=self.rules.rated,
        )
        if key is not None and self.terms.single is not None:
            raise TypeError(
                "breaker(key=) needs a storage for each circuit: pass a function of the circuit's "
                "name, as in state_storage=lambda name: CircuitRedisStorage(..., namespace=name)"
            )
        self._mode: Mode | None = None
        self._wanted: Mode | None = None  # by hand
        self._clocked = self.rules.slow_call_rate is not None
        limit = count("breaker", "max_circuits", max_circuits)
        self._circuits = Circuits(self._make, key, limit, self.terms.single)
        self._keyed = key is not None
        self._near = self._circuits.by_target.get  # bound once: it is asked on every call

    @classmethod
    def takes(cls, value: object) -> bool:
        """A pybreaker breaker is callable, and yet a setting."""
        pybreaker = sys.modules.get("pybreaker")  # whoever has one has imported it
        return pybreaker is not None and isinstance(value, pybreaker.CircuitBreaker)

    def _make(self, label: str) -> Circuit:
        circuit = Circuit(
            self.terms.named(label),
            self.terms.books(label),
            self.rules,
            Gate(self.half_open_calls, self.trial_lease),
            self.rules.make_window(),
            foreign=self.terms.foreign,
            barred=self._mode is not None,
        )
        self.terms.watch(circuit.watch)
        return circuit

    async def around(self, call: Call, next: Next) -> Reply:
        """Admit the call or refuse it, and count how it ends."""
        circuit = self._near(call.target) or self._find(call)
        permit = circuit.door
        if permit is None or call.deadline is not None:
            permit = await self._admit(call, circuit)
            if permit is None:
                return await next(call)
        began = call.runtime.monotonic() if self._clocked else 0.0
        hook = functools.partial(self._heard, call, circuit, permit, began)
        return await observe(next(call), hook)

    def _find(self, call: Call) -> Circuit:
        circuit = self._circuits.find(call)
        if circuit.barred != (self._mode is not None):  # made while the mode was switched
            circuit.bar(barred=self._mode is not None)
        return circuit

    async def _admit(self, call: Call, circuit: Circuit) -> Permit | None:
        """A permit, or None to pass uncounted; a refusal is raised."""
        runtime = call.runtime
        now = runtime.monotonic()
        self._emit(call, circuit, circuit.untold and circuit.told())
        if self._mode == "disabled" or (call.deadline is not None and call.deadline.at <= now):
            return None  # with no time left the provider will not even be asked
        if self._mode == "forced_open":
            self._refuse(call, circuit, None, "is held open by force_open(), until resume()")
        if circuit.foreign:
            await self._read(call, circuit, now)
            if circuit.down is not None:
                self._without_store(call, circuit)
                return None
        permit, change = circuit.admit(now, runtime)
        if permit is None:
            self._rejected(call, circuit)
            return None
        try:
            if permit.trial and circuit.books.remote:
                agreed, change = await self._take(call, circuit, permit)
            else:
                agreed = permit
            self._emit(call, circuit, change)
            if change is not None and circuit.heard:
                await runtime.blocking(circuit.tell, None, change)
            if agreed is None:
                self._without_trial(call, circuit)
            elif circuit.asks:
                await runtime.blocking(circuit.tell_before, call.target.fn, call.args, call.kwargs)
        except BaseException:
            if permit.trial:
                circuit.forsake(permit)
            raise
        return agreed

    async def _take(
        self, call: Call, circuit: Circuit, permit: Permit
    ) -> tuple[Permit | None, Change | None]:
        """Ask the other processes for a trial."""
        runtime = call.runtime
        work = functools.partial(circuit.take, permit, runtime.monotonic(), runtime.time())
        try:
            may, change = await runtime.blocking(functools.partial(circuit.books.bounded, work))
        except Exception as error:
            circuit.forsake(permit)
            self._lost(call, circuit, error)
            return None, None
        return (permit if may else circuit.gate.free), change

    def _without_trial(self, call: Call, circuit: Circuit) -> None:
        if circuit.down is None:
            self._rejected(call, circuit)
        else:
            self._without_store(call, circuit)

    def _rejected(self, call: Call, circuit: Circuit) -> None:
        if circuit.harbours(call):
            return
        state, after, reason = circuit.refused(call.runtime.monotonic())
        if state == OPEN:
            why = f"is open ({reason})" if reason else "is open"
            why = f"{why} and lets a trial call through in {after:.1f} s"
        else:
            why = "is half-open and its trial calls are under way"
        self._refuse(call, circuit, after, why)

    def _without_store(self, call: Call, circuit: Circuit) -> None:
        if self.on_store_failure == "open":
            self._refuse(
                call, circuit, 1.0, "cannot reach its storage and on_store_failure is 'open'"
            )

    def _refuse(self, call: Call, circuit: Circuit, after: float | None, why: str) -> None:
        observing = self._mode == "observing"
        call.emit(events.CircuitRejected, circuit.label, after, observing, self._keyed)
        if not observing:
            _raise(circuit.label, after, why)

    def _heard(
        self, call: Call, circuit: Circuit, permit: Permit, began: float, outcome: Outcome
    ) -> Awaitable[None] | None:
        """The call inside has ended."""
        if circuit.quiet and outcome.kind == "completed" and not permit.trial:
            return None
        runtime = call.runtime
        now, wall = runtime.monotonic(), runtime.time()
        slow = self._slow(outcome, began, now)
        seen = vote(outcome, self.terms.excluded, wall, slow=slow)
        if circuit.books.remote:
            entry = circuit.enter(permit, seen, now)
            if entry is None and (seen is None or not circuit.heard):
                return None
            return self._settle_remotely(call, circuit, seen, entry, now, wall)
        change = circuit.settle(permit, seen, now, wall)
        self._emit(call, circuit, change)
        if seen is None or not circuit.heard:
            return None
        return runtime.blocking(circuit.tell, seen, change)

    def _slow(self, outcome: Outcome, began: float, now: float) -> bool:
        if not self._clocked:
            return False
        first = outcome.first_token
        return (now - began if first is None else first) >= self.rules.slow_call

    async def _settle_remotely(
        self,
        call: Call,
        circuit: Circuit,
        seen: Vote | None,
        entry: Entry | None,
        now: float,
        wall: float,
    ) -> None:
        change = None
        if entry is not None:
            work = functools.partial(circuit.settle_remotely, entry, now, wall)
            try:
                change = await call.runtime.blocking(functools.partial(circuit.books.bounded, work))
            except Exception as error:
                self._lost(call, circuit, error)
        self._emit(call, circuit, change)
        if seen is not None and circuit.heard:
            await call.runtime.blocking(circuit.tell, seen, change)

    async def _read(self, call: Call, circuit: Circuit, now: float) -> None:
        """Follow the storage where it may have been written to by others."""
        version = circuit.due(now)
        if version is None:
            return
        runtime, books = call.runtime, circuit.books
        try:
            if books.remote:
                found = await runtime.blocking(functools.partial(books.bounded, circuit.read))
            else:
                found = circuit.read()
        except Exception as error:
            self._lost(call, circuit, error)
            return
        except BaseException:
            circuit.released()
            raise
        circuit.reached(now, None)
        change = circuit.sync(found, version, now, runtime.time())
        self._emit(call, circuit, change)
        if change is not None and circuit.heard:
            await runtime.blocking(circuit.tell, None, change)

    def _lost(self, call: Call, circuit: Circuit, error: Exception) -> None:
        if circuit.reached(call.runtime.monotonic(), error):
            then = (
                "calls pass uncounted" if self.on_store_failure == "closed" else "calls are refused"
            )
            call.emit(events.StoreFailed, circuit.books.place, type(error).__name__, then)
            trouble(f"the storage of the circuit {circuit.label!r}", error, then)

    def _emit(self, call: Call, circuit: Circuit, change: Change | None) -> None:
        if change is None:
            return
        if change.state == OPEN:
            call.emit(
                events.CircuitOpened, circuit.label, change.reason, change.seconds, self._keyed
            )
        elif change.state == CLOSED:
            call.emit(events.CircuitClosed, circuit.label, self._keyed)
        else:
            call.emit(events.CircuitHalfOpened, circuit.label, self._keyed)

    def open(self, length: float | None = None) -> None:
        """Open all circuits now, for `length` seconds or `reset_timeout`; then trials pass."""
        self._move(OPEN, "it was opened by hand", length)

    def close(self) -> None:
        """Close all circuits now, and forget the failures they have counted."""
        self._move(CLOSED, "", None)

    def _move(self, state: Literal["open", "closed"], reason: str, length: float | None) -> None:
        for circuit in self._circuits.all():
            work = functools.partial(circuit.force, state, reason, length)
            circuit.tell(None, circuit.books.bounded(work))

    def force_open(self) -> Self:
        """Refuse every call, whatever the circuits say, until `resume()`."""
        return self._by_hand("forced_open")

    def disable(self) -> Self:
        """Let every call pass and count nothing, until `resume()`."""
        return self._by_hand("disabled")

    def observe_only(self) -> Self:
        """Count and say in events what would be done, but refuse nothing, until `resume()`."""
        return self._by_hand("observing")

    def resume(self) -> Self:
        """End `force_open`, `disable` or `observe_only`: the circuits decide again."""
        return self._by_hand(None)

    def switched(self, mode: Literal["on", "shadow", "off"]) -> None:
        """Of `switch`: in shadow the circuits go on counting, off they do not."""
        super().switched(mode)
        self._obey()

    def _by_hand(self, mode: Mode | None) -> Self:
        self._wanted = mode
        self._obey()
        return self

    def _obey(self) -> None:
        """What was said by hand holds again when nothing is switched any more."""
        self._mode = self._wanted if self.mode == "on" else _SWITCHED[self.mode]
        for circuit in self._circuits.all():
            circuit.bar(barred=self._mode is not None)

    def states(self) -> dict[str, str]:
        """The state of each circuit, by name: "closed", "open" or "half-open".

        Where two circuits bear one name (two functions of the same name), one that is not closed
        is shown.
        """
        states: dict[str, str] = {}
        for circuit in self._circuits.all():
            if states.get(circuit.label, CLOSED) == CLOSED:
                states[circuit.label] = circuit.gate.state
        return states

    def health(self, told: dict[str, Any]) -> bool:
        """The states of its circuits; of those that a key tells apart, which may be users, how many."""
        counted = Counter(circuit.gate.state for circuit in self._circuits.all())
        if self._keyed:
            told["circuits"][f"{self.name} by key"] = dict(sorted(counted.items()))
        else:
            told["circuits"].update(self.states())
        if self._mode is not None:
            told["switched"][self.name] = self._mode
        return self._mode is not None or counted.total() > counted[CLOSED]

    def explain(self) -> Sequence[tuple[str, object]]:
        """The settings, and where the state lives."""
        terms, rules = self.terms, self.rules
        shown: list[tuple[str, object]] = [
            ("fail_max", terms.fail_max),
            ("reset_timeout", terms.reset_timeout),
            ("success_threshold", terms.success_threshold),
            ("half_open_calls", self.half_open_calls),
        ]
        if rules.rated:
            shown += [
                ("failure_rate", rules.failure_rate),
                ("slow_call_rate", rules.slow_call_rate),
                ("slow_call", rules.slow_call),
                ("window", rules.window),
                ("minimum_calls", rules.minimum_calls),
            ]
        if rules.growth > 1:
            shown.append(("growth", rules.growth))
        if terms.foreign:
            shown.append(("on_store_failure", self.on_store_failure))
        place = terms.place(lambda: [circuit.books for circuit in self._circuits.all()])
        return [
            *shown,
            ("max_reset_timeout", max(rules.max_reset_timeout, terms.reset_timeout)),
            ("mode", self._mode or "automatic"),
            ("state", place),
        ]


_SWITCHED: Final[Mapping[str, Mode]] = {"shadow": "observing", "off": "disabled"}

breaker = Bare(Breaker)


def _raise(circuit: str, after: float | None, why: str) -> NoReturn:
    raise refusal(
        f"the circuit {circuit!r} {why}. The provider was not called: try again later, or put a "
        "fallback(...) outside of the breaker",
        circuit,
        after,
    )


def _wrong_first(value: object) -> str:
    if isinstance(value, int):
        return f"breaker() takes keywords: write breaker(fail_max={value!r})"
    return f"breaker() takes keywords or a pybreaker.CircuitBreaker: write {HINT}"
