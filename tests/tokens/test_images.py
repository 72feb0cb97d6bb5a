from __future__ import annotations

import base64
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.tokens.count import bound_tokens, count_tokens
from agentguard.tokens.images import Size, size_of
from tests.tokens.samples import gif, jpeg, png, webp

HEADS = {
    "png": png(640, 480),
    "jpeg": jpeg(640, 480),
    "jpeg with metadata": jpeg(640, 480, metadata=200_000),
    "gif": gif(640, 480),
    "webp, lossy": webp(b"VP8 ", 640, 480),
    "webp, lossless": webp(b"VP8L", 640, 480),
    "webp, extended": webp(b"VP8X", 640, 480),
}


@pytest.mark.parametrize("kind", HEADS)
def test_the_size_is_read_from_the_head(kind: str) -> None:
    """Each format's header says how large the picture is."""
    assert size_of(HEADS[kind]) == (640, 480)


@pytest.mark.parametrize("kind", HEADS)
def test_a_cut_head_has_no_size(kind: str) -> None:
    """A header that ends too early, wherever that is, has no size or the right one."""
    head = HEADS[kind]
    assert {size_of(head[:end]) for end in range(40)} <= {None, (640, 480)}


def test_a_jpeg_that_breaks_off_its_segments_has_no_size() -> None:
    """A JPEG whose next segment does not begin with a marker is given up."""
    assert size_of(b"\xff\xd8\xff\xd8" + bytes(20)) is None


@given(st.binary(max_size=64), st.sampled_from([b"", *(head[:12] for head in HEADS.values())]))
def test_any_bytes_are_read_without_an_error(rest: bytes, start: bytes) -> None:
    """Garbage has no size, and never a size of nothing."""
    size = size_of(start + rest)
    assert size is None or (size[0] > 0 and size[1] > 0)


def picture(size: Size, detail: str = "auto", head: bytes | None = None) -> dict[str, object]:
    """A block of OpenAI's with a picture of a size in it."""
    data = base64.b64encode(png(*size) if head is None else head).decode()
    url = {"url": f"data:image/png;base64,{data}", "detail": detail}
    return {"type": "image_url", "image_url": url}


def tokens(block: object, model: str) -> int:
    """What one block adds to a message."""
    without = count_tokens([{"role": "user", "content": [{"type": "text", "text": "x"}]}], model)
    chat = [{"role": "user", "content": [{"type": "text", "text": "x"}, block]}]
    assert bound_tokens(chat, model) >= count_tokens(chat, model)
    return count_tokens(chat, model) - without


# Examples and tables of https://platform.openai.com/docs/guides/images-vision#calculating-costs
OPENAI = [
    ("gpt-4o", (1024, 1024), "high", 765),
    ("gpt-4o", (2048, 4096), "high", 1105),
    ("gpt-4o", (4096, 8192), "low", 85),
    ("gpt-4o", (512, 512), "high", 255),
    ("gpt-4o-mini", (1024, 1024), "high", 25501),
    ("gpt-5", (1024, 1024), "high", 630),
    ("o3", (1024, 1024), "high", 675),
    ("gpt-4.1-mini", (1024, 1024), "auto", 1659),
    ("gpt-4.1-mini", (1800, 2400), "auto", 2353),  # 1452 patches
    ("gpt-4.1-nano", (1024, 1024), "auto", 2520),
    ("o4-mini", (1024, 1024), "auto", 1762),
    ("gpt-5.2", (3200, 4800), "auto", 1844),  # the documented ceiling
]
# Measured: https://huggingface.co/datasets/JOHNISKING/image-token-cost, less the text around them.
MEASURED = [
    ("gpt-6-astra", (256, 256), 77),
    ("gpt-6-astra", (4032, 3024), 14364),
    ("gpt-5.5", (1024, 1024), 1229),
    ("gpt-5.5", (4032, 3024), 11868),
    ("claude-haiku-4-5", (256, 256), 165 - 65),
    ("claude-haiku-4-5", (1024, 1024), 1434 - 65),
    ("claude-haiku-4-5", (4032, 3024), 1661 - 65),
    ("claude-opus-5-5", (1920, 1080), 2768 - 77),
    ("claude-opus-5-5", (4032, 3024), 4005 - 77),
    ("gemini-3.8-flash", (1920, 1080), 1101),
    ("gemini-3.8-flash", (4032, 3024), 1065),
]


@pytest.mark.parametrize(("model", "size", "detail", "expected"), OPENAI)
def test_openai_s_examples(model: str, size: Size, detail: str, expected: int) -> None:
    """Pictures are counted as in OpenAI's guide."""
    assert tokens(picture(size, detail), model) == expected


@pytest.mark.parametrize(("model", "size", "measured"), MEASURED)
def test_no_rule_gives_less_than_was_measured(model: str, size: Size, measured: int) -> None:
    """What a provider really charged for a picture is not under-counted, nor by far over-counted."""
    assert measured <= tokens(picture(size), model) <= 1.3 * measured


@pytest.mark.parametrize(
    ("model", "size", "expected"),
    [
        # https://platform.claude.com/docs/en/build-with-claude/vision
        ("claude-sonnet-4-5", (1000, 1000), 1334),
        ("claude-sonnet-4-5", (200, 200), 64),
        ("claude-sonnet-4-5", (4000, 4000), 1600),
        # https://ai.google.dev/gemini-api/docs/tokens
        ("gemini-2.5-flash", (384, 384), 258),
        ("gemini-2.5-flash", (960, 540), 6 * 258),
        ("gemini-2.5-flash", (768, 768), 4 * 258),
        ("gemini-3-pro-preview", (960, 540), 1120),
    ],
)
def test_the_examples_of_the_others(model: str, size: Size, expected: int) -> None:
    """Pictures are counted as Anthropic and Google document it."""
    assert tokens(picture(size), model) == expected


SHAPES = {
    "openai chat": lambda data: {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{data}"},
    },
    "openai responses": lambda data: {
        "type": "input_image",
        "image_url": f"data:image/png;base64,{data}",
    },
    "anthropic": lambda data: {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": data},
    },
    "google": lambda data: {
        "inline_data": {"mime_type": "image/png", "data": base64.b64decode(data)}
    },
    "google json": lambda data: {"inlineData": {"mimeType": "image/png", "data": data}},
    "langchain": lambda data: {"type": "image", "base64": data, "mime_type": "image/png"},
    "langchain 0.3": lambda data: {
        "type": "image",
        "source_type": "base64",
        "data": data,
        "mime_type": "image/png",
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_spelling_of_a_picture_is_read(shape: str) -> None:
    """The same picture counts the same however an SDK writes it."""
    block = SHAPES[shape](base64.b64encode(png(1024, 1024)).decode())
    assert tokens(block, "gpt-4o") == 765
    assert count_tokens([{"role": "user", "content": [block]}], "gpt-4o").exact


UNSEEN = {
    "linked": {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
    "uploaded": {"type": "input_image", "file_id": "file-1"},
    "linked at anthropic": {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
    "linked at google": {"file_data": {"mime_type": "image/png", "file_uri": "gs://b/cat.png"}},
    "no base64": {"type": "image", "source": {"type": "base64", "data": "(not base64!"}},
    "another format": picture((1, 1), head=b"<svg/>"),
}


@pytest.mark.parametrize("kind", UNSEEN)
@pytest.mark.parametrize(
    ("model", "worst"),
    [("gpt-4o", 85 + 8 * 170), ("gpt-4.1-mini", 2489), ("claude-opus-4-7", 4784)],
)
def test_a_picture_of_unknown_size_is_the_worst(kind: str, model: str, worst: int) -> None:
    """A picture whose size cannot be seen counts as the largest, and the count is an estimate."""
    assert tokens(UNSEEN[kind], model) == worst
    assert not count_tokens([{"role": "user", "content": [UNSEEN[kind]]}], model).exact


def test_a_picture_of_pillow_is_one_of_google_s_contents() -> None:
    """An image object among the contents is counted by its size."""
    loaded = SimpleNamespace(size=(960, 540), mode="RGB")
    alone = count_tokens({"contents": ["what is it?"]}, "gemini-2.5-flash")
    both = count_tokens({"contents": ["what is it?", loaded]}, "gemini-2.5-flash")
    assert 6 * 258 <= both - alone <= 6 * 258 + 10


def test_a_finer_resolution_of_google_costs_more() -> None:
    """A part that asks for the highest resolution is counted as such."""
    part = {"inline_data": {"mime_type": "image/png", "data": png(9, 9)}}
    fine = {**part, "media_resolution": {"level": "MEDIA_RESOLUTION_ULTRA_HIGH"}}
    assert tokens(part, "gemini-3-pro-preview") == 1120
    assert tokens(fine, "gemini-3-pro-preview") == 2240


@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from(["auto", "low", "high"]))
def test_an_unknown_size_never_counts_less(width: int, height: int, detail: str) -> None:
    """No picture costs more than one of unknown size, on any model with a ceiling."""
    for model in ("gpt-4o", "gpt-4.1-mini", "gpt-5.4", "claude-opus-5", "gemini-3.8-flash"):
        known = tokens(picture((width, height), detail), model)
        linked = {"type": "image_url", "image_url": {"url": "https://x/y", "detail": detail}}
        assert 0 < known <= tokens(linked, model)
