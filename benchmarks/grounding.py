"""What ground() finds in answers that do not rest on their sources, and what it takes for it wrongly."""

from __future__ import annotations

import json
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from agentguard.grounding.check import lacking
from agentguard.grounding.claims import claims
from agentguard.grounding.evidence import Evidence
from agentguard.grounding.meaning import DEFAULT, Meaning, states
from agentguard.grounding.sentences import sentences
from benchmarks.results import ROOT, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = ROOT / "tests" / "data" / "grounding"
SPLITS = ("dev", "held")
THRESHOLDS = (0.30, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60)
RUNS = 3
ENGLISH = (
    "The Nordlys plan costs $49.90 a month. Up to twelve users share 250 GB, and Maria Lund answers "
    'questions until 5:30 p.m. "It is open to all," she said on 3 March 2025. '
)
KOREAN = (
    "노을 요금제는 월 3만 5천원이며 가족 네 명까지 함께 쓸 수 있습니다. "
    "2025년 3월 3일 오후 2시에 '새벽'이라는 이름으로 시작합니다. "
)
HOSTILE = {
    "1.": "1.", "a.a.@": "a.a.@", "1-1-": "1-1-", "one ": "one ", "한 ": "한 ", "만": "만", "1만 ": "1만 ",
    "quotes": '"a', "' '": "' '", "A. ": "A. ", "A ": "A ", "A&": "A&", "1/1/": "1/1/", "5 may ": "5 may ",
    "1 to ": "1 to ", "$": "$", "digits": "7", "a hundred ": "a hundred ", "http://a.": "http://a.",
    "```": "```\n", "- ": "- ", "[1]": "[1]", "12:30": "12:30", "천 ": "천 ", "0-0": "0-0", "가가가 대표 ": "김가나 대표 ",
}  # fmt: skip


def rows(language: str, split: str) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Yield the answers of one set with the texts that they may rest on."""
    for line in (DATA / f"{language}.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if case["split"] == split:
            for answer in case["answers"]:
                yield [*case["sources"], case["prompt"]], answer


def found(texts: list[str], answer: str) -> list[int]:
    """Return the numbers of the sentences that the rules refuse."""
    evidence = [Evidence(texts)]
    return [
        each.number
        for each in sentences(answer)
        if lacking(claims(answer[each.start : each.end], heading=each.heading), evidence)
    ]


def score(language: str, split: str) -> dict[str, int]:
    """Count what is found: of changed facts, of other unsupported sentences, of supported answers."""
    counts = dict.fromkeys(("facts", "hits", "placed", "others", "others_hit", "good", "wrong"), 0)
    for texts, answer in rows(language, split):
        refused = found(texts, answer["text"])
        if answer["supported"]:
            counts["good"] += 1
            counts["wrong"] += bool(refused)
        elif answer["kind"] == "meaning":
            counts["others"] += 1
            counts["others_hit"] += bool(refused)
        else:
            counts["facts"] += 1
            counts["hits"] += bool(refused)
            counts["placed"] += refused == [answer["sentence"]]
    return counts


def scores() -> list[list[str]]:
    """A row for each language and split."""
    shown: list[list[str]] = []
    for language in ("en", "ko"):
        for split in SPLITS:
            got = score(language, split)
            precision = got["hits"] / (got["hits"] + got["wrong"])
            shown.append(
                [
                    language,
                    split,
                    f"{got['hits']}/{got['facts']} = {got['hits'] / got['facts']:.3f}",
                    f"{precision:.3f}",
                    f"{got['placed']}/{got['hits']}",
                    f"{got['wrong']}/{got['good']}",
                    f"{got['others_hit']}/{got['others']}",
                ]
            )
    return shown


def meanings() -> list[list[str]]:
    """A row for each threshold: what it adds of sentences without facts, and takes wrongly."""
    meaning = Meaning(DEFAULT, None)
    good: dict[str, list[float]] = {split: [] for split in SPLITS}
    bad: dict[str, list[float]] = {split: [] for split in SPLITS}
    for language in ("en", "ko"):
        for split in SPLITS:
            for texts, answer in rows(language, split):
                text = answer["text"]
                for each in sentences(text):
                    sentence = text[each.start : each.end]
                    if each.heading or any(claims(sentence)) or not states(sentence):
                        continue
                    cosine = meaning.nearest([sentence], texts)[0]
                    if answer["supported"]:
                        good[split].append(cosine)
                    elif answer["kind"] == "meaning" and each.number == answer["sentence"]:
                        bad[split].append(cosine)
    return [
        [
            f"{least:.2f}" + (" (default)" if least == DEFAULT else ""),
            *(
                cell
                for split in SPLITS
                for cell in (
                    f"{sum(each < least for each in bad[split])}/{len(bad[split])}",
                    f"{sum(each < least for each in good[split])}/{len(good[split])}",
                )
            ),
        ]
        for least in THRESHOLDS
    ]


def check(evidence: Evidence, text: str) -> None:
    """Look at every sentence of a text."""
    for each in sentences(text):
        lacking(claims(text[each.start : each.end]), [evidence])


def cost(look: Callable[[str], object], text: str) -> float:
    """Microseconds for 1,000 characters, the best of some runs."""
    best = float("inf")
    for _ in range(RUNS):
        started = perf_counter()
        look(text)
        best = min(best, perf_counter() - started)
    return best * 1e9 / len(text)


def main() -> None:
    """Measure and print."""
    print("ground(), changed facts in answers, by rules alone:\n")
    head = [
        "language",
        "split",
        "found",
        "precision",
        "right sentence",
        "supported, yet found",
        "no fact, found",
    ]
    print(table(head, scores()), end="\n\n")
    print("`semantic=True`, sentences in which nothing can be looked up, by the least cosine:\n")
    head = [
        "threshold",
        "dev: found",
        "dev: supported, yet found",
        "held: found",
        "held: supported, yet found",
    ]
    print(table(head, meanings()), end="\n\n")
    print("Microseconds for 1,000 characters, of 20,000:\n")
    shown: list[list[str]] = []
    for name, text in (("English", ENGLISH), ("Korean", KOREAN)):
        long = (text * 300)[:20_000]
        look = partial(check, Evidence([long]))
        shown.append(
            [
                name,
                f"{cost(look, long):.0f}",
                f"{cost(lambda source: Evidence([source]), long):.0f}",
            ]
        )
    print(table(["text", "an answer", "a source"], shown))
    print("\nThe same of hostile texts, of 20,000 and of 80,000 characters:\n")
    shown = []
    for name, unit in HOSTILE.items():
        texts = [(unit * (size // len(unit) + 1))[:size] for size in (20_000, 80_000)]
        answers = [cost(partial(check, Evidence(["x 1"])), text) for text in texts]
        sources = [cost(lambda source: Evidence([source]), text) for text in texts]
        shown.append(
            [name, *(", ".join(f"{each:.0f}" for each in pair) for pair in (answers, sources))]
        )
    print(table(["repeated", "an answer", "a source"], shown))


if __name__ == "__main__":
    main()
