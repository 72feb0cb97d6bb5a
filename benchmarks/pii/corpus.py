"""The project's own corpus: sentence frames written by hand, filled with made-up values.

A frame is a text with slots: `«phone/mobile|full»` is a Korean mobile number in full-width digits.
`«?card»` is labelled optional: it may be masked or not. A kind without a type (a hash, an order
number) is not labelled. A frame without a labelled slot is a negative: nothing in it may be masked.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from random import Random
from typing import Any

from benchmarks.pii import values
from benchmarks.results import ROOT

DATA = ROOT / "tests" / "data" / "pii"
SPLITS = ("tuning", "held")
SLOT = re.compile(r"«(\??)([a-z0-9]+)(?:/(\w+))?((?:\|\w+)*)»")

Record = dict[str, Any]


def record(name: str, head: str, frame: str) -> Record:
    """Fill one frame; the values depend on its name alone."""
    random = Random(f"agentguard {name}")
    language, *tags = head.split()
    text, spans, optional, at = "", [], [], 0
    for slot in SLOT.finditer(frame):
        text += frame[at : slot.start()]
        if slot[2] == "sample":
            kind, value = values.SAMPLES[slot[3]]
        else:
            kind = values.TYPES.get(slot[2], "")
            value = values.make(random, slot[2], slot[3] or "")
        for how in filter(None, slot[4].split("|")):
            value = values.change(random, value, how)
        if kind:
            span = [len(text), len(text) + len(value), kind]
            (optional if slot[1] else spans).append(span)
        text += value
        at = slot.end()
    text += frame[at:]
    negative = not spans and not optional
    return {
        "id": name,
        "text": text,
        "spans": spans,
        "optional": optional,
        "neg": negative,
        "suite": name.split("-", maxsplit=1)[0],
        "tags": [*tags, *(["neg"] if negative else [])],
        "lang": language,
    }


def frames(split: str) -> list[tuple[str, str, str]]:
    """Read the frames of a split: name, language and tags, text."""
    found: list[tuple[str, str, str]] = []
    for path in sorted((DATA / "frames" / split).glob("*.txt")):
        blocks = re.split(r"^%% ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        for number, block in enumerate(blocks, 1):
            head, _, frame = block.partition("\n")
            found.append((f"{path.stem}-{split[0]}{number:03}", head, frame.removesuffix("\n")))
    return found


def generate(split: str) -> list[Record]:
    """Fill all frames of a split."""
    return [record(*frame) for frame in frames(split)]


def load(split: str) -> list[Record]:
    """Read the stored texts of a split."""
    with gzip.open(DATA / f"{split}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main() -> None:
    """Write the stored texts anew."""
    for split in SPLITS:
        lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in generate(split))
        # No time and no name in the header: the same texts are the same bytes.
        (DATA / f"{split}.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
        sys.stdout.write(f"{split}: {lines.count(chr(10))} texts\n")


if __name__ == "__main__":
    main()
