"""Print what the default detectors find in the project's own texts, by type; beside their peers.

python -m benchmarks.pii [--peers] [--data FILE ...]
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.pii import corpus, ours, peers
from benchmarks.pii.score import TYPES, Score, score
from benchmarks.results import ROOT, record, table

if TYPE_CHECKING:
    from benchmarks.pii.corpus import Record

TITLE = "What the detection of personal data finds"
PEERS = ROOT / ".venvs" / "pii" / "bin" / "python"
HEAD = ["texts", "detector", "precision", "recall", "F1", "F1 macro", "masked", "negatives touched"]


def number(value: float | None) -> str:
    """Write a share."""
    return "-" if value is None else f"{value:.3f}"


def line(texts: str, name: str, result: Score) -> list[str]:
    """Lay out one detector on one set of texts."""
    every = result.every
    shares = [every.precision, every.recall, every.f1, result.macro, every.share_masked]
    touched = f"{result.touched}/{result.negatives} = {result.share_touched:.1%}"
    return [texts, name, *map(number, shares), touched]


def by_type(results: dict[str, Score]) -> str:
    """Lay out our own figures for each type, a pair of columns for each set of texts."""
    head = ["type"]
    for texts in results:
        head += [f"{texts}: values", "F1", "masked", "missed", "wrong"]
    rows: list[list[str]] = []
    for kind in TYPES:
        row = [kind]
        for result in results.values():
            tally = result.types[kind]
            counts = [str(tally.missed), str(tally.wrong)]
            row += [str(tally.gold), number(tally.f1), number(tally.share_masked), *counts]
        rows.append(row)
    return table(head, rows)


def rivals(sets: dict[str, list[Record]]) -> list[list[str]]:
    """Score every peer on every set of texts; in the environment that has them."""
    peers.quiet()
    rows: list[list[str]] = []
    for name, (distribution, setup) in peers.PEERS.items():
        find = setup()
        version = metadata.version(distribution)
        for texts, records in sets.items():
            rows.append(line(texts, f"{name} {version}", score(find, records)))
    return rows


def read(path: str) -> list[Record]:
    """Read labelled texts from another file."""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(each) for each in file]


def main(arguments: list[str]) -> None:
    """Score, print, and put it on the page of results where peers stand beside."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pii", description=__doc__)
    parser.add_argument("--peers", action="store_true", help="score the peers too")
    parser.add_argument("--rivals", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--data", nargs="*", default=[], help="other files of labelled texts")
    parser.add_argument("--mistakes", action="store_true", help="list mistakes in `tuning`")
    given = parser.parse_args(arguments)
    sets = {split: corpus.load(split) for split in corpus.SPLITS}
    sets |= {Path(path).name.split(".")[0]: read(path) for path in given.data}
    if given.rivals:
        print(json.dumps(rivals(sets)))
        return
    results = {texts: score(ours.find, records) for texts, records in sets.items()}
    rows = [line(texts, "agentguard", result) for texts, result in results.items()]
    if given.peers:
        command = [str(PEERS), "-W", "ignore", "-m", "benchmarks.pii", "--rivals", "--data"]
        run = subprocess.run(
            [*command, *given.data], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
        rows += json.loads(run.stdout)
    rows.sort(key=lambda row: list(sets).index(row[0]))
    body = f"{ABOUT}\n\n{table(HEAD, rows)}\n\nagentguard by type:\n\n{by_type(results)}\n"
    print(body)
    if given.peers:
        record(TITLE, body)
    if given.mistakes:
        print("\n".join(" ".join(each) for each in results["tuning"].mistakes))


ABOUT = (
    "Labelled texts of our own in English, Korean and both (`tests/data/pii`, whose README has the "
    "first scores). Rules were written from the errors in `tuning`, none from a text of `held`. F1 "
    "counts a finding as right if its type fits and half of the union overlaps; masked asks only "
    "whether the value is covered; negatives are texts in which nothing may be found. Peers look "
    "for fewer types: what they do not look for they miss."
)


if __name__ == "__main__":
    main(sys.argv[1:])
