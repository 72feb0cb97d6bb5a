"""The vault in force: what was masked around a call is known to the policies inside it."""

from __future__ import annotations

from agentguard import Policy, guard
from tests.shapes import Harness, every_shape


class Vault:
    """Knows one placeholder."""

    def restore(self, text: str, /) -> str:
        """Put the one value back."""
        return text.replace("<EMAIL_1>", "a@b.example")


class Masks(Policy):
    """Puts a vault in force for what is inside it."""

    async def around(self, call, next):
        return await next(call.replace(scope=call.scope.within(vault=Vault())))


class Judges(Policy):
    """Remembers what it is told of a text."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def around(self, call, next):
        self.told.append(call.restore("to <EMAIL_1>"))
        return await next(call)


@every_shape
def test_restore_through_the_vault_in_force(harness: Harness):
    """Inside the policy that masks a judge reads values; outside of it the text stays."""
    inside, outside = Judges(), Judges()
    harness.run(guard(outside, Masks(), inside), "answer")
    assert (outside.told, inside.told) == (["to <EMAIL_1>"], ["to a@b.example"])


def test_guarded_calls_inside_find_the_vault():
    """What is called inside a masked call can restore through the same vault."""
    judges = Judges()
    inner = judges(lambda: "inner")
    Masks()(lambda: f"{inner()}, and more")()
    inner()
    assert judges.told == ["to a@b.example", "to <EMAIL_1>"]
