"""`on_event`: have a function called when something happens."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from agentguard import events
from agentguard.engine.arguments import closest, plain, told
from agentguard.engine.chain import Policy
from agentguard.engine.scope import Block, listening
from agentguard.engine.spelling import Spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentguard.engine.scope import Scope
    from agentguard.events import Event

    Kinds = type[Event] | str | Iterable[type[Event] | str]

__all__ = ["OnEvent", "on_event"]


class OnEvent(Block, Policy):
    """Have a function called with each event of some kinds.

    Protects from learning of trouble from the bill or from users: budget thresholds, circuits that
    open, calls that are given up arrive where somebody looks. `agentguard.alerts` has handlers that
    post to a webhook or to Slack.

    Hears of the calls that it stands around and of all guarded calls made inside them. Also a block:
    `with on_event(events.BudgetThreshold, tell):` holds for every guarded call that starts inside,
    streams that are read after it was left included.

    Args:
        kinds: an event's class, its name, or several of them; `events.Event` is all.
        handler: a function of one event. It is called at once, on the thread of the call, and so
            must be quick and not block: one that sends something puts it into a queue. What it
            raises is logged and breaks no call.

    Raises:
        TypeError: at once, for what is no event, and for a handler that is async.
        ValueError: at once, for a name that no event has.

    Examples:
        >>> import agentguard as ag
        >>> circuits = []
        >>> @ag.guard(ag.on_event(ag.events.CircuitOpened, circuits.append), ag.breaker(fail_max=1))
        ... def ask(question: str) -> str:
        ...     raise ConnectionError
        >>> ask("?")
        Traceback (most recent call last):
        ConnectionError
        >>> circuits[0].reason
        '1 failures in a row, the last connection'
    """

    name: ClassVar[str] = "on_event"
    several: ClassVar[bool] = True
    spellings: ClassVar[Mapping[str, str]] = {
        "": "on_event(events.BudgetThreshold, handler)",
        "event": "kinds=",
        "events": "kinds=",
        "kind": "kinds=",
        "on": "kinds=",
        "callback": "handler=",
        "fn": "handler=",
        "listener": "handler=",
    }

    def __init__(self, kinds: Kinds, handler: Callable[[Any], object]) -> None:
        self.kinds = tuple(_kinds(kinds))
        if cast("object", handler) is None:  # which `plain` lets pass
            raise TypeError(_HANDLER)
        plain("on_event", "handler", handler, "a function of one event")
        self._handler = handler

    def hear(self, event: Event) -> None:
        """Call the handler, if the event is of its kinds."""
        if isinstance(event, self.kinds):
            self._handler(event)

    def surround(self, outer: Scope) -> Scope:
        """Listen to the calls inside, once, however often it is entered; see `Block`."""
        return listening(outer, [self])

    def explain(self) -> Sequence[tuple[str, object]]:
        """What it waits for, and who hears of it."""
        handler: Any = self._handler
        return [
            ("kinds", ", ".join(kind.__name__ for kind in self.kinds)),
            ("handler", getattr(handler, "__qualname__", None) or repr(handler)),
        ]


on_event = Spelled(OnEvent)

_HANDLER = "on_event(handler=) takes a function of one event, as in on_event(events.GaveUp, print)"


def _kinds(given: Kinds) -> Iterable[type[Event]]:
    several = not isinstance(given, (str, type)) and isinstance(cast("object", given), Iterable)
    found = [_kind(each) for each in (cast("Iterable[object]", given) if several else (given,))]
    if not found:
        raise ValueError("on_event() takes at least one event, as in events.BudgetThreshold")
    return found


def _kind(given: object) -> type[Event]:
    if isinstance(given, str):
        return _named(given)
    if inspect.isclass(given) and issubclass(given, events.Event):
        return given
    if callable(given) and not isinstance(given, type):
        raise TypeError(f"on_event() takes the event first, and then the function: {_EXAMPLE}")
    shown = given.__name__ if isinstance(given, type) else told(given)
    raise TypeError(f"on_event() takes events, not {shown}: {_EXAMPLE}")


_EXAMPLE = "on_event(events.BudgetThreshold, handler)"


def _named(name: str) -> type[Event]:
    known = [each for each in events.__all__ if each != "Listener"]
    if name in known:
        return cast("type[Event]", getattr(events, name))
    close = closest(name, known)
    hint = f"did you mean {close}" if close else f"there are {', '.join(known)}"
    raise ValueError(f"on_event() knows no {name!r}: {hint}")
