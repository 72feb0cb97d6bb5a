"""Which pairs of questions a semantic cache takes for one, and how long a search takes."""

from __future__ import annotations

import json
import resource
from time import perf_counter
from typing import Any

import numpy as np

from agentguard.caching.semantic.encoder import ENCODER
from agentguard.caching.semantic.semantic import DEFAULT, Semantic
from agentguard.caching.semantic.veto import Reading, differs
from benchmarks.results import ROOT, table

DATA = ROOT / "tests" / "data" / "semantic"
THRESHOLDS = (0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95)
SPLITS = ("dev", "test", "held", "fresh")
ENTRIES = 10_000
REPEATS = 200


def score(language: str, split: str) -> list[list[str]]:
    """A row for each threshold: recall, precision, hard negatives refused, with and without veto."""
    lines = (DATA / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
    pairs: list[Any] = [pair for line in lines if (pair := json.loads(line))["split"] == split]
    cosine = [float(np.dot(ENCODER(pair["a"]), ENCODER(pair["b"]))) for pair in pairs]
    passed = [differs(Reading(pair["a"]), Reading(pair["b"])) is None for pair in pairs]
    same = sum(pair["same"] for pair in pairs)
    rows: list[list[str]] = []
    for threshold in THRESHOLDS:
        near = [each >= threshold for each in cosine]
        hits = [pair["same"] for pair, a, b in zip(pairs, near, passed, strict=True) if a and b]
        alone = [pair["same"] for pair, a in zip(pairs, near, strict=True) if a]
        wrong = len(hits) - sum(hits)
        name = f"{threshold:.2f}" + (" (default)" if threshold == DEFAULT else "")
        rows.append(
            [
                language,
                split,
                name,
                f"{sum(hits)}/{same} = {sum(hits) / same:.2f}",
                f"{sum(hits) / len(hits):.3f}" if hits else "-",
                f"{1 - wrong / (len(pairs) - same):.3f}",
                f"{sum(alone) / len(alone):.3f}" if alone else "-",
            ]
        )
    return rows


def timing() -> list[list[str]]:
    """What a lookup costs beyond the embedding, at 10,000 entries of which none or many are near."""
    random = np.random.default_rng(7)
    semantic = Semantic(max_entries=ENTRIES)
    rows: list[list[str]] = []
    for name, spread in (("none near", 10.0), ("all near, each vetoed", 0.01)):
        semantic.clear()
        asked = np.ones(512, np.float32) / np.sqrt(np.float32(512))
        started = perf_counter()
        for number in range(ENTRIES):
            vector = asked + spread * random.standard_normal(512, dtype=np.float32) / 23
            unit = vector / np.linalg.norm(vector)
            semantic.add("all", str(number), f"Where is order {number}, please?", unit)
        filled = (perf_counter() - started) / ENTRIES
        taken: list[float] = []
        for _ in range(REPEATS):
            started = perf_counter()
            found = semantic.nearest("all", "Where is order 77777, please?", asked)
            taken.append(perf_counter() - started)
            assert not found
        taken.sort()
        rows.append(
            [
                name,
                f"{taken[0] * 1e3:.2f} ms",
                f"{taken[REPEATS // 2] * 1e3:.2f} ms",
                f"{filled * 1e6:.0f} us",
            ]
        )
    return rows


def main() -> None:
    """Measure and print."""
    started = perf_counter()
    ENCODER("one")
    load = perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    head = ["language", "split", "threshold", "recall", "precision", "refused", "cosine alone"]
    rows = [row for language in ("en", "ko") for split in SPLITS for row in score(language, split)]
    print(
        "Recall: paraphrases served. Precision: of the pairs served, those that are paraphrases. "
        "Refused: hard negatives refused. Cosine alone: the precision without the veto. "
        "No word was added for `fresh`.\n"
    )
    print(table(head, rows))
    for language, text in (
        ("English", "How do I cancel my order before it ships?"),
        ("Korean", "주문한 상품이 출고되기 전에 취소하려면 어떻게 해야 하나요?"),
    ):
        best = min(_embedding(text) for _ in range(REPEATS))
        print(f"\nOne {language} sentence takes {best * 1e3:.2f} ms to embed.")
    print(f"\nThe encoder loads in {load:.1f} s; the process then has used {memory:.0f} MB.\n")
    print(f"Beyond the embedding, at {ENTRIES:,} entries of 512 numbers in one group:\n")
    print(table(["lookup", "least", "median", "adding one"], timing()))


def _embedding(text: str) -> float:
    started = perf_counter()
    ENCODER(text)
    return perf_counter() - started


if __name__ == "__main__":
    main()
