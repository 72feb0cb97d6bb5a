"""What the rules of moderate() and screen_injection() find, and what they take for it wrongly."""

from __future__ import annotations

import json
from time import perf_counter
from typing import TYPE_CHECKING, Any

from agentguard.moderating.rules import find
from agentguard.screening.rules import screen
from benchmarks.results import ROOT, table

if TYPE_CHECKING:
    from collections.abc import Callable

SPLITS = ("dev", "held", "test", "fresh")
RUNS = 5
ENGLISH = (
    "The order arrived on time and the support team was friendly, though the box had a small dent. "
    "I would buy again and tell my friends about it. "
)
KOREAN = (
    "주문한 상품이 제시간에 도착했고 상담원도 친절했지만 상자가 조금 찌그러져 있었어요. "
    "다시 구매하고 친구에게도 추천할 생각입니다. "
)
HOSTILE = {
    "'<!-- '": "<!-- ",
    "'how to make '": "how to make ",
    "'you are ai '": "you are ai ",
    "'i will kill '": "i will kill ",
    "spaced letters": "a b ",
    "jamo": "ㅅㅣ",
    "'제한이 없'": "제한이 없",
    "zero-width": "a\u200b",
}


def rows_of(subject: str, language: str) -> list[dict[str, Any]]:
    """Return the labelled texts of one set."""
    path = ROOT / "tests" / "data" / subject / f"{language}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def found(subject: str, row: dict[str, Any]) -> set[str]:
    """Return what the rules find in a text."""
    if subject == "moderation":
        return {hit.category for hit in find(row["text"])}
    return {hit.category for hit in screen(row["text"], trusted=row["source"] == "user")}


def scores(subject: str) -> list[list[str]]:
    """A row for each language and split: what was found, and what was taken for it wrongly."""
    rows: list[list[str]] = []
    for language in ("en", "ko"):
        for split in SPLITS:
            texts = [row for row in rows_of(subject, language) if row["split"] == split]
            bad = [row for row in texts if row["bad"]]
            fine = [row for row in texts if not row["bad"]]
            hits = sum(bool(found(subject, row)) for row in bad)
            wrong = sum(bool(found(subject, row)) for row in fine)
            rows.append(
                [
                    language,
                    split,
                    f"{hits}/{len(bad)} = {hits / len(bad):.2f}",
                    f"{wrong}/{len(fine)} = {100 * wrong / len(fine):.1f} %",
                ]
            )
    return rows


def cost(look: Callable[[str], object], text: str) -> float:
    """Microseconds for 1,000 characters, the best of some runs."""
    best = float("inf")
    for _ in range(RUNS):
        started = perf_counter()
        look(text)
        best = min(best, perf_counter() - started)
    return best * 1e9 / len(text)


def _from_others(text: str) -> object:
    return screen(text, trusted=False)


def main() -> None:
    """Measure and print."""
    head = ["language", "split", "found", "harmless, yet found"]
    print(
        "`dev` and `held` were written before the rules, by whoever wrote the rules; `test` after "
        "them, and then mended; `fresh` after all of that, with no rule added for it: it says what "
        "to expect of texts that nobody has seen.\n"
    )
    for subject, title in (("moderation", "moderate()"), ("injection", "screen_injection()")):
        print(f"{title}:\n")
        print(table(head, scores(subject)), end="\n\n")
    print("Microseconds for 1,000 characters, of 10,000 of a harmless text:\n")
    looks = {"moderate": find, "screen, user": screen, "screen, others": _from_others}
    texts = {"English": ENGLISH, "Korean": KOREAN}
    print(
        table(
            ["text", *looks],
            [
                [name, *(f"{cost(look, (text * 200)[:10_000]):.0f}" for look in looks.values())]
                for name, text in texts.items()
            ],
        )
    )
    print("\nThe same of hostile texts, of 20,000 and of 80,000 characters:\n")
    print(
        table(
            ["repeated", *looks],
            [
                [
                    name,
                    *(
                        f"{cost(look, (unit * 20_000)[:20_000]):.0f}, "
                        f"{cost(look, (unit * 80_000)[:80_000]):.0f}"
                        for look in looks.values()
                    ),
                ]
                for name, unit in HOSTILE.items()
            ],
        )
    )


if __name__ == "__main__":
    main()
