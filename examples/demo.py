"""The demo: the same questions, asked bare and guarded, of a provider that has a bad day; what
questions cost, and what of personal data a provider sees, without and with agentguard.

The clients are the real ones of `openai` and `anthropic`, sync and async, over real HTTP. The
provider is `agentguard.testing.FakeProvider` on this machine: no key, no network, no cost.

    python examples/demo.py            # about 20 seconds
    python examples/demo.py --live     # a few questions to the real providers, with your keys
    python examples/demo.py --model    # the same to a small real model that runs on this machine
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import demo_cost
import demo_print
import demo_privacy
from demo_callers import CALLERS, bare, guarded, read
from demo_weather import SEED, SLICE, SLICES, Question, Weather, healthy

import agentguard as ag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentguard.testing import FakeProvider


class Answer(NamedTuple):
    """What became of one question."""

    question: Question
    text: str | None
    error: Exception | None
    seconds: float
    requests: int
    report: ag.report

    @property
    def whole(self) -> bool:
        return self.text == self.question.answer

    @property
    def half(self) -> bool:
        """Half an answer that nobody can tell from a whole one."""
        return self.error is None and not self.whole

    @property
    def told(self) -> bool:
        """It broke off when the user had read half of it, and the application knows."""
        partial = self.error and ag.errors.partial(self.error)
        return bool(partial and partial.text)

    def events(self, kind: type[ag.events.Event]) -> int:
        return sum(isinstance(event, kind) for call in self.report.calls for event in call.events)


async def ask(caller: Callable[[str], Any], question: Question, weather: Weather) -> Answer:
    text, error, began = None, None, time.monotonic()
    with ag.report() as report:  # the bare side is not seen by it
        try:
            text = await read(caller, question.text)
        except Exception as failure:
            error = failure
    seconds = time.monotonic() - began
    return Answer(question, text, error, seconds, weather.requests.get(question, 0), report)


async def load(callers: dict[str, Callable[[str], Any]], provider: FakeProvider) -> list[Answer]:
    """Every caller asks a question at each slice of time, however long the last one takes."""
    weather, began = Weather(provider), time.monotonic()
    asking = []
    for slice_ in range(SLICES):
        for name, caller in callers.items():
            question = Question(name, slice_)
            asking.append(asyncio.create_task(ask(caller, question, weather)))
        await asyncio.sleep(began + (slice_ + 1) * SLICE - time.monotonic())
    return await asyncio.gather(*asking)


async def storm() -> tuple[list[Answer], list[Answer]]:
    """Both sides at once, each with a provider of its own that has the same bad day."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(200))
    with healthy() as one, healthy() as other, healthy() as backup:
        return await asyncio.gather(
            load({name: bare(name, one) for name in CALLERS}, one),
            load({name: guarded(name, other, backup) for name in CALLERS}, other),
        )


def promised(answers: list[Answer]) -> Iterator[Answer]:
    """The answers that the guarded side should have delivered and did not."""
    return (answer for answer in answers if not (answer.whole or answer.told))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--live", action="store_true", help="ask the real providers")
    which.add_argument("--model", action="store_true", help="ask a small model on this machine")
    options = parser.parse_args()
    if options.live or options.model:
        import demo_real

        return demo_real.live() if options.live else demo_real.model()

    random.seed(SEED)
    demo_print.opening()
    without, with_ = asyncio.run(storm())
    demo_print.results(without, with_)
    bill = demo_cost.bill()
    demo_cost.show(bill)
    bare_privacy, privacy = demo_privacy.privacy()
    demo_privacy.show(bare_privacy, privacy)
    demo_print.closing()
    broken = list(promised(with_))
    for answer in broken:
        print(f"not delivered: {answer.question.text} ({answer.error!r})", file=sys.stderr)
    if not demo_cost.kept(bill):
        print("the budget did not hold, or the caches saved nothing", file=sys.stderr)
    if not demo_privacy.kept(privacy):
        print("personal data has leaked, or did not come back", file=sys.stderr)
    kept = demo_cost.kept(bill) and demo_privacy.kept(privacy)
    return 1 if broken or not kept else 0


if __name__ == "__main__":
    sys.exit(main())
