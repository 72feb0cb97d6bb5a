"""Long texts to be searched: chat in two languages with sparse hits, and what makes patterns slow."""

from __future__ import annotations

from random import Random

from benchmarks.pii import corpus

ENGLISH = (
    "Sounds good, let's move the call to Thursday afternoon and keep the agenda short.",
    "I went through the draft twice; the second half is much clearer than the first.",
    "Did anyone check whether the new build still warms the cache on start?",
    "Honestly the migration took 3 days, not 2, but nothing broke on the way.",
    "We should ship the smaller change first (see page 12) and measure before the rest.",
    "lol no, the coffee machine on floor 4 is broken again",
    "The invoice total is 1,240.50 and it was paid on 2026-03-02, so please close it.",
    "Can you summarise the thread in five bullet points for the people who missed it?",
)
KOREAN = (
    "네 확인했습니다, 내일 오전까지 수정해서 다시 공유드릴게요.",
    "회의는 3시에서 4시로 옮기고 안건은 두 개만 다루면 좋겠어요.",
    "점심 뭐 드실래요? 어제 갔던 데는 줄이 너무 길어서 다른 데로 가요 ㅋㅋ",
    "배포는 문제없이 끝났고 응답 시간이 20% 정도 줄었습니다.",
    "이 문서 2장 3절에 설명이 있으니 먼저 읽어보시고 질문 주세요.",
    "고객 문의가 어제보다 12건 늘었는데 대부분 로그인 화면 이야기예요.",
)
EVERY = 40
"""One line in so many holds something to be found: a value in four thousand bytes."""


def chat(size: int, every: int = EVERY) -> str:
    """Return about `size` bytes of chat, with a value in one line of `every`."""
    random = Random("chat")
    hits = [
        corpus.record(f"chat{number}", head, frame)["text"]
        for _ in range(20)
        for number, (name, head, frame) in enumerate(corpus.frames("tuning"))
        if name.startswith(("chat_", "mixed")) and "optional" not in head
    ]
    lines: list[str] = []
    length = 0
    while length < size:
        hit = len(lines) % every == every - 1
        line = random.choice(hits if hit else random.choice((ENGLISH, KOREAN)))
        name = random.choice(("mina", "tomas", "하람", "지우"))
        lines.append(f"[{random.randrange(24):02}:{random.randrange(60):02}] {name}: {line}")
        length += len(lines[-1].encode()) + 1
    return "\n".join(lines)


UNITS = {
    "1.1.": "1.1.",
    "a.a.@": "a.a.@",
    "1-1-": "1-1-",
    "x@a.a.a.": "x@a.a.a.",
    "digits": "1",
    "dots": ".",
    "at signs": "@",
    "a@": "a@",
    "a.": "a.",
    "letters": "a",
    "1-": "1-",
    "1 (spaced)": "1 ",
    "1.": "1.",
    "colons": ":",
    "ab:": "ab:",
    "+1": "+1",
    "spaces": " ",
    "newlines": "\n",
    "Hangul": "가",
    "Hangul and digits": "가1",
    "base64": "Ab0/",
    "eyJ": "eyJ",
    "eyJhbGciOi.": "eyJhbGciOi.",
    "sk-": "sk-",
    "headers of keys": "-----BEGIN PRIVATE KEY-----\n",
    "DE12 3456": "DE12 3456 ",
    "900101-": "900101-",
    "invisible characters": "1\u200b",
    "full-width digits": "\uff11",
    "password=": "password=",
    "=\"'": "=\"'",
    "://": "://",
    "010-": "010-",
    "card 4": "card 4",
    "quotes": '\\"',
    "0 and dashes": "0-\u2013",
    "::": "a::",
}
HEADS = {
    "a@ and letters": ("a@", "b"),
    "a@ and b-": ("a@", "b-"),
    "a@ and b.": ("a@", "b."),
    "the body of a key": ("-----BEGIN PRIVATE KEY-----\n", "A"),
    "http:// and a:": ("http://", "a:"),
    "http://a: and letters": ("http://a:", "b"),
    "0x and f": ("0x", "f"),
    "password= and letters": ("password=", "x9"),
}


def adversarial(size: int) -> dict[str, str]:
    """Return every input, of this many characters."""
    texts = {name: (unit * (size // len(unit) + 1))[:size] for name, unit in UNITS.items()}
    for name, (head, unit) in HEADS.items():
        texts[name] = (head + unit * (size // len(unit) + 1))[:size]
    texts["letters, then @"] = "a" * (size - 1) + "@"
    return texts
