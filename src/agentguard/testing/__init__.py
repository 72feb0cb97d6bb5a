"""What makes guarded code testable: time that a test owns, models and providers that fail on demand.

    from agentguard.testing import FakeRuntime, ScriptedModel

The pytest plugin (fixtures `fake_runtime`, `fake_provider`, `guard_report`) is there as soon as the
package is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentguard.testing.cancel import cancel_everywhere
    from agentguard.testing.clock import FakeRuntime, StandStill
    from agentguard.testing.contract import check_policy
    from agentguard.testing.model import SHAPES, ScriptedCall, ScriptedModel, ScriptEnded
    from agentguard.testing.provider import FakeProvider, Fault, Received, fault
    from agentguard.testing.reset import reset
    from agentguard.testing.stream import Cut, Stall
    from agentguard.testing.switches import disabled, no_wait, replace

__all__ = [
    "SHAPES",
    "Cut",
    "FakeProvider",
    "FakeRuntime",
    "Fault",
    "Received",
    "ScriptEnded",
    "ScriptedCall",
    "ScriptedModel",
    "Stall",
    "StandStill",
    "cancel_everywhere",
    "check_policy",
    "disabled",
    "fault",
    "no_wait",
    "replace",
    "reset",
]

_HOMES = {
    "cancel": ("cancel_everywhere",),
    "clock": ("FakeRuntime", "StandStill"),
    "contract": ("check_policy",),
    "model": ("SHAPES", "ScriptEnded", "ScriptedCall", "ScriptedModel"),
    "provider": ("FakeProvider", "Fault", "Received", "fault"),
    "reset": ("reset",),
    "stream": ("Cut", "Stall"),
    "switches": ("disabled", "no_wait", "replace"),
}


def __getattr__(name: str) -> Any:
    # The plugin is in this package, so that pytest imports it for every project of an environment:
    # a server's and an event loop's modules are imported by who uses them.
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            found = getattr(import_module(f"agentguard.testing.{home}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
