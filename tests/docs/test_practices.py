"""The page of practices in Korean: every practice, in its order, and no false promise."""

from __future__ import annotations

import re
from pathlib import Path

import agentguard as ag

PAGE = (Path(__file__).parents[2] / "docs" / "ko" / "best-practices.md").read_text()
SECTIONS = {
    "보안": ("API 키 관리", "입력 검증", "출력 검증"),
    "성능 최적화": ("프롬프트 캐싱", "모델 선택", "스트리밍", "배치 처리"),
    "에러 처리": ("재시도", "폴백", "서킷 브레이커"),
    "모니터링": ("LangSmith 트레이싱", "메트릭 수집", "로깅"),
    "비용 관리": ("토큰 추적", "예산 설정", "캐싱으로 절약"),
    "확장성": ("로드 밸런싱", "비동기 처리", "큐 시스템"),
    "테스트": ("단위 테스트", "통합 테스트", "평가"),
    "배포": ("Docker", "Kubernetes", "환경 분리"),
    "유지보수": ("버전 관리", "마이그레이션", "백업"),
    "체크리스트": (),
    "참고 자료": (),
}
MISSING = re.compile(r"\*\*아직 없습니다:\*\*(.*?)(?:\n\n|\Z)", re.DOTALL)


def test_every_practice_is_there_in_order() -> None:
    """The page has each practice under its heading, in the order in which they are told."""
    headings = re.findall(r"^(##|###) (.+)$", PAGE, re.MULTILINE)
    found: dict[str, list[str]] = {}
    for level, heading in headings:
        if level == "##":
            found[heading] = []
        else:
            found[list(found)[-1]].append(heading)
    assert {section: tuple(practices) for section, practices in found.items()} == SECTIONS


def test_every_practice_says_what_is_done_before() -> None:
    """Each practice begins with what is done today."""
    parts = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    assert [part.partition("\n")[0] for part in parts if "\n**전" not in part] == []


def test_every_practice_says_what_agentguard_does() -> None:
    """Each practice says what agentguard does about it, or that it does nothing yet."""
    parts = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    told = ("**agentguard를 쓰면.**", "**아직 없습니다:**", "**전과 후가 같습니다.**")
    assert [part.partition("\n")[0] for part in parts if not any(t in part for t in told)] == []


def test_what_is_said_to_be_missing_is_missing() -> None:
    """A name that the page says is not built yet is not in the package: mend the page with it."""
    named = re.findall(r"`(\w+)`", " ".join(MISSING.findall(PAGE)))
    assert "rate_limit" in named
    assert [name for name in named if hasattr(ag, name)] == []
