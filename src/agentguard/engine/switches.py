"""`switch`: what refuses calls, turned off or to reporting only while the program runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Literal, TypeVar, get_args
from weakref import WeakSet

from agentguard.engine.arguments import closest, told
from agentguard.engine.order import CANONICAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentguard.engine.chain import Policy

__all__ = ["Mode", "forget_switches", "locked", "put_in_force", "switch", "switch_all"]

Mode = Literal["on", "shadow", "off"]

_REFUSING: Final = (
    "validate_input",
    "screen_injection",
    "moderate",
    "validate_output",
    "ground",
    "budget",
    "breaker",
)
_lock: Final = threading.Lock()
_modes: dict[str, Mode] = {}
_live: Final[WeakSet[Policy]] = WeakSet()

P = TypeVar("P", bound="Policy")


def switch(which: str | Policy, to: Mode | None) -> None:
    """Turn what refuses calls off, to reporting only, or on again, while the program runs.

    For the night in which a check refuses what it should not. It holds in this process, from the
    next call on, for every policy of the name, those made later included. A budget or breaker in
    shadow goes on counting; one that is off sees nothing.

    Args:
        which: a policy's name, as in "moderate", or one policy.
        to: "on", "shadow" (what would be refused is reported as `events.Rejected` and let through),
            "off", or None: as it was written.

    Raises:
        ValueError: there is no such name, or a policy of that name is `locked`.
        TypeError: the policy cannot be switched, as `mask_pii` and what refuses nothing.

    Examples:
        >>> import agentguard as ag
        >>> ag.switch("moderate", "shadow")
        >>> ag.switch("moderate", None)
    """
    _check_mode(to)
    if isinstance(which, str):
        switch_all({which: to})
        return
    if not isinstance(getattr(which, "refuses", None), bool):
        raise TypeError(
            'switch() takes the name of a policy, as in "moderate", or one policy that a guard has, '
            f"not {told(which)}"
        )
    if not which.refuses:
        raise TypeError(_never(which.name))
    _refuse_locked(which)
    which.switched(to or which.written)


def switch_all(modes: Mapping[str, Mode | None]) -> None:
    """Switch several names at once: all of them, or none where one is refused.

    Examples:
        >>> from agentguard.engine.switches import switch_all
        >>> switch_all({"moderate": "shadow", "ground": "off"})
        >>> switch_all({"moderate": None, "ground": None})
    """
    with _lock:
        live = list(_live)
        for name, mode in modes.items():
            _check_mode(mode)
            mine = [each for each in live if each.name == name]
            if name not in _REFUSING and not any(each.refuses for each in mine):
                raise _unknown(name)
            if mode is not None:  # what was locked since must not keep the others switched
                for each in mine:
                    _refuse_locked(each)
        for name, mode in modes.items():
            if mode is None:
                _modes.pop(name, None)
            else:
                _modes[name] = mode
            for each in live:
                if each.name == name and each.refuses and not each.locked:
                    each.switched(mode or each.written)


def locked(policy: P) -> P:
    """The same policy, which nobody can switch to shadow or off while the program runs.

    Examples:
        >>> import agentguard as ag
        >>> ag.locked(ag.validate_input(max_chars=10_000))
        locked(validate_input(max_chars=10000))
    """
    import copy

    if not getattr(policy, "refuses", False):
        name = getattr(policy, "name", type(policy).__name__)
        raise TypeError(f"locked() takes a policy that refuses calls; {_never(name)}")
    other = copy.copy(policy)
    if other.mode != other.written:  # locked while it was switched, it could never be switched back
        other.switched(other.written)
    other.locked = True
    other.spelled = f"locked({policy!r})"
    return other


def put_in_force(policy: Policy) -> None:
    """A policy was put around something: what was switched before holds for it, too."""
    with _lock:
        if policy in _live:
            return
        _live.add(policy)
        mode = _modes.get(policy.name)
        if mode is not None and policy.refuses and not policy.locked:
            policy.switched(mode)


def forget_switches() -> None:
    """As at the start: every policy as it was written."""
    with _lock:
        _modes.clear()
        for each in list(_live):
            each.switched(each.written)


def _check_mode(mode: object) -> None:
    if mode is not None and mode not in get_args(Mode):
        raise ValueError(f'switch() takes "on", "shadow", "off" or None (as written), not {mode!r}')


def _refuse_locked(policy: Policy) -> None:
    if policy.locked:
        raise ValueError(f"{policy!r} is locked: it cannot be switched while the program runs")


def _unknown(name: str) -> Exception:
    if name in CANONICAL or any(each.name == name for each in _live):
        return TypeError(_never(name))
    close = closest(name, _REFUSING)
    meant = f" (did you mean {close!r}?)" if close else ""
    return ValueError(
        f"no policy that can be switched is named {name!r}{meant}: there are {', '.join(_REFUSING)}"
    )


def _never(name: str) -> str:
    if name == "mask_pii":
        return "mask_pii cannot be switched: what it lets through has left the house for good"
    return f"{name} refuses nothing that could be let through instead"
