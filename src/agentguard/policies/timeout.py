"""`timeout`: no call and no silence of a stream lasts longer than you said."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, ClassVar, Final

from agentguard.engine.arguments import count
from agentguard.engine.arguments import seconds as seconds_
from agentguard.engine.chain import Policy
from agentguard.engine.limits import Deadline, Hung, narrower
from agentguard.engine.reply import Patience
from agentguard.engine.spelling import Bare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Reply

__all__ = ["CallDeadline", "Timeout", "timeout"]

SECONDS: Final = 60.0


class Timeout(Policy):
    """Bound how long a call, or a stream's next piece, keeps its caller waiting.

    Protects from calls that hang and streams that fall silent. Provider SDKs wait 600 s by
    default, once per attempt of their own.

    `timeout(30)` bounds a unary call as a whole, and of a stream the wait for the first content
    and each silence after it. The time that a stream's reader takes for itself never counts.

    Async calls are cancelled and their streams closed. A sync call cannot be stopped from outside:
    it runs in a daemon worker thread that is left behind when the bound passes, and SDK methods
    that are recognised are told the bound as their own `timeout=`, so that the worker ends soon.
    A result that comes too late is discarded; what it cost is still booked.

    Args:
        seconds: for a unary call as a whole; for a stream, both `first_token` and `idle`. 60 when
            no bound is given at all.
        total: for all waiting on one call or stream together, in seconds.
        first_token: for a stream's first content, in seconds. For a unary call the whole.
        idle: for each silence between a stream's items, in seconds.
        thread: False runs sync calls in the caller's own thread: then SDK methods that are
            recognised keep the bound themselves, waits and guarded calls inside keep it, and a
            function of your own does not.
        max_abandoned: workers left behind at most; beyond, calls are refused
            (`errors.Overloaded`) until one comes back.

    Events:
        `TimedOut(bound, seconds)`.

    Raises:
        errors.Timeout: names the bound. A retry outside acts on it; it never acts on a bound that
            stands outside of the retry itself.

    Examples:
        >>> from agentguard import timeout
        >>> @timeout(30)
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> ask("?")
        '42'
    """

    spellings: ClassVar[Mapping[str, str]] = {
        "": "timeout(30), in seconds",
        "timeout": "timeout(30), in seconds",
        "timeout_duration": "timeout(30), in seconds",
        "timeout_seconds": "timeout(30), in seconds",
        "max_duration": "total=",
        "total_timeout": "total=",
        "read": "idle=",
        "read_timeout": "idle=",
        "connect": "the SDK client's own timeout; here first_token= bounds the wait as a whole",
        "ttft": "first_token=",
        "use_threads": "thread=False to stay in the caller's thread",
    }

    def __init__(
        self,
        seconds: float | None = None,
        *,
        total: float | None = None,
        first_token: float | None = None,
        idle: float | None = None,
        thread: bool = True,
        max_abandoned: int = 64,
    ) -> None:
        given = {"seconds": seconds, "total": total, "first_token": first_token, "idle": idle}
        for name, value in given.items():
            if value is not None:
                seconds_("timeout", name, value)
        if all(value is None for value in given.values()):
            seconds = SECONDS
        self.seconds = seconds
        self.total = total
        self.first_token = first_token
        self.idle = idle if idle is not None else seconds
        self.thread = thread
        self.hung = Hung(count("timeout", "max_abandoned", max_abandoned))

    async def around(self, call: Call, next: Next) -> Reply:
        """Narrow the call's deadline up to the first content, then the stream's patience."""
        began = call.runtime.monotonic()
        reply = await next(call.replace(deadline=self._until(call, began)))
        if reply.source is not None:
            left = None if self.total is None else began + self.total - call.runtime.monotonic()
            reply.source.deadline = call.deadline
            reply.source.patience.append(
                Patience(self.idle, self.total, left, thread=self.thread, hung=self.hung)
            )
        return reply

    def _until(self, call: Call, began: float) -> Deadline | None:
        mine: Deadline | None = None
        for name in ("seconds", "first_token", "total"):
            length = getattr(self, name)
            if length is not None and not (name == "seconds" and self.first_token is not None):
                bound = Deadline(began + length, name, length, thread=self.thread, hung=self.hung)
                if name != "total":  # which bounds the silences too
                    bound.lull = inf if self.idle is None else self.idle
                mine = narrower(mine, bound)
        return narrower(call.deadline, mine)

    def explain(self) -> Sequence[tuple[str, object]]:
        """The bounds, in seconds."""
        return [
            ("seconds", self.seconds),
            ("total", self.total),
            ("first_token", self.first_token),
            ("idle", self.idle),
            ("thread", self.thread),
            ("max_abandoned", self.hung.limit),
        ]


class CallDeadline(Timeout):
    """Bounds a call with all its attempts and waits: the `timeout` that stands outermost in presets."""

    name: ClassVar[str] = "deadline"


timeout = Bare(Timeout)
