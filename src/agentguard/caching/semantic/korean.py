"""Korean words: particles and endings taken off, what carries no meaning, what means the same."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from agentguard.caching.semantic.numbers import COUNTERS
from agentguard.caching.semantic.words import listed

__all__ = ["DONT", "FRAME", "NEGATIONS", "PARTS", "SOFT", "canonical", "class_of", "role_of"]

NEGATIONS: Final = frozenset(["않", "없", "못", "안", "아니", "불가", "불가능"])
"""Stems that turn a sentence round; `안` and `못` stand before their verb, the others behind."""

DONT: Final = frozenset(
    ["말아야", "말고", "마세요", "말라고", "마라", "말아", "말아라", "마십시오", "말", "말라는"]
)
"""Forms of 말다."""

MOVABLE: Final = frozenset(["이", "을", "은"])
"""Parts that change with the verb (문을 열다, 문이 열리다): only a true exchange tells them apart."""

AROUND: Final = frozenset(["전", "후"])
"""Before and after, which follow the word that they are about."""

PARTS: Final = {
    "에서": "에서", "에서는": "에서", "까지": "로", "으로": "로", "로": "로", "에게": "로", "한테": "로",
    "보다": "보다", "이": "이", "가": "이", "을": "을", "를": "을", "부터": "에서",
    "에": "에", "은": "은", "는": "은", "도": "은",
}  # fmt: skip

_PARTICLES: Final = (
    "에서는 에서도 에서의 에게서 한테서 으로는 으로도 이라는 이라고 이라도 이랑 에게 에는 에도 "
    "에서 께서 한테 까지 부터 보다 처럼 마다 조차 마저 으로 라는 라고 라도 이나 이야 이요 이고 이면 "
    "이며 은 는 이 가 을 를 에 의 로 와 과 랑 도 만 야 요 들 님 쯤"
)
_COPULAS: Final = (
    "인가요 인가 인지요 인지 입니까 입니다 이에요 이예요 예요 에요 였어요 이었어요 이었나요 였나요 "
    "인데요 인데 이죠 죠 이지 인 일까요"
)
_ENDINGS: Final = (
    "습니까 습니다 ㅂ니까 ㅂ니다 십시오 시겠어요 겠습니다 겠어요 을까요 ㄹ까요 을게요 ㄹ게요 는가요 은가요 "
    "ㄴ가요 는건가요 나요 세요 어요 아요 여요 해요 네요 군요 지요 죠 는데요 은데요 ㄴ데요 는데 은데 ㄴ데 "
    "는지 은지 을지 ㄴ지 ㄹ지 으려면 려면 ㄹ려면 으려고 려고 으면 면 어야 아야 야 어도 아도 도 어서 아서 서 "
    "어주 아주 줘 주세요 고 기 게 니 냐 자 지 음 ㅁ 는 은 ㄴ 을 ㄹ 던 어 아 요 다 까요 까 ㅆ 시면 시나요 시는 시고 면서 며 "
    "거나 도록 다가 자마자 니까 ㄴ가 는가 은가 ㄹ까 을까 함 임"
)

PROTECTED: Final = frozenset(
    listed(
        """
월요일 화요일 수요일 목요일 금요일 토요일 일요일 요일 주말 평일 날 일 주일 휴일
생일 매일 내년 작년 올해 일본 사과 휴가 회의 아이 나이 이자 고양이 강아지 제주도
지도 온도 속도 한도 정도 날짜 의자 바다 나라 어디 누구 얼마 언제 여기 거기 오이
종이 길이 높이 깊이 넓이 크기 무게 차이 놀이 전기 감기 비행기 세탁기 식기세척기
프린터 계좌 통화 전화 영화 대화 문화 변화 원화 엔화 문의 강의 정의 주의 동의 합의
예의 논의 결과 효과 학과 치과 안과 내과 외과 성과 초과 통과 경과 증가 평가 휴무
물가 국가 작가 가 화가 추가 참가 허가 인가 유가 주가 원가 정가 시가 도로 경로
진로 회로 서로 별로 새로 바로 주로 위로 종로 구로 와이파이 파이 카카오페이
네이버페이 페이 아파트 신문지 편지 강의 소지 유지 정지 해지 금지 방지 중지 공지
이미지 페이지 메시지 패키지 토지 먼지 가지 보험 경기도 강원도 충청도 전라도 경상도
인도 철도 수도 태도 각도 강도 밀도 습도 농도 용도 제도 의도 시도 유도 지원서
보고서 계약서 증명서 신청서 설명서 견적서 청구서 명세서 문서 순서 부서 도서 독서
비서 질서 요금 요리 요구 요청 필요 중요 수요 개요 주요 소요 개월 태양 화면 도면
서면 측면 장면 방면 라면 냉면 주소 지원 오류 재고 광고 사고 보고 신고 창고 최고
경고 참고 고소 부고 해고 냉장고 파이썬 자바 자유 자리 사이 오이 아기 이야기 고기
소고기 닭고기 돼지고기 경기 용기 위기 분위기 인기 연기 향기 무기 악기 일기 여행기
계기 동기 초기 정기 단기 장기 세기 시기 위치 장치 설치 조치 가치 김치 이메일 메일
러시아 이탈리아 스페인 라인 디자인 메인 도메인 온라인 오프라인 개인 본인 타인 성인
노인 부인 확인 승인 할인 원인 범인 임대인 임차인 세입자 남자 여자 환자 과자 모자
투자 피자 비자 문자 숫자 상자 혼자 사용자 관리자 보호자 소비자 감자 주자 다음 처음
마음 얼음 모음 자음 발음 졸음 웃음 믿음 걸음 소음 구름 이름 여름 기름 아름
오름차순 내림차순 최대 최소 최저 도시 택시 접시 다시 즉시 혹시 표시 공시 게시 지시
잠시 역시 무시 임시 서울시 부산시 게시판 카메라 드라마 파스타 바나나 코로나 아나운서
나나 안나 하나은행 피해 손해 이해 오해 올해 동해 새해 재해 방해 소리 머리 다리
거리 수리 처리 관리 정리 우리 자리 꼬리 고리 무리 유리 요리 병원 회원 직원 공원
학원 인원 금리 권리 심리 무료 유료 치료 진료 재료 음료 자료 완료 수수료 보험료
이용료 요금제 진통제 항생제 어제 오늘 내일 모레 그제 언어 영어 일본어 한국어 중국어
프랑스어 독일어 스페인어 포르투갈어 국어 단어 용어 커피 소주 맥주 와인 우유 두유
여유 이유 공유 소유 보유 버스 가스 뉴스 주스 박스 소스 코스 만기 환기 연차 기차
자동차 세차 주차 절차 첫차 막차 마차 전기차 오차 소파 대파 양파 피파 상사 회사
식사 의사 검사 조사 이사 인사 행사 기사 공사 강사 판사 변호사 간호사 약사 여사
역사 복사 감사 방사 심사 퇴사 입사 장사 천사 수사 사사 접속 지속 계속 약속 가족
만족 부족 민족 쇼핑 로그인 체크인 가을 마을 노을 서울 겨울 거울 저울 한글 오전
오후 식전 식후 아침 저녁 점심 새벽 밤 낮 봄 나무 사무 의무 업무 근무 재무 음식
간식 주식 예금 적금 세금 현금 입금 출금 송금 벌금 지금 요금 임금 연금 상금 보증금
계약금 등록금 배송지 목적지 휴양지 여행지 시간 사람 지진 칼로리 배터리 라이브러리
카테고리 디렉터리 메모리 쿼리 갤러리 베리 추천
"""
    )
)
"""Words that end like a particle or an ending and must not lose it."""

FRAME: Final = frozenset(
    listed(
        """
어떻게 어떡하 어떻하 어케 어떡 방법 법 알려 알려주 가르쳐주 알리 알 주 싶 궁금
궁금하 설명 하 되 수 있 것 거 게 건 뭐 뭔 뭘 무엇 무슨 어떤 가르치 좀 제발 저
제 제가 내 나 우리 이 그 때 대해 대하 관련 관련하 정도 쯤 꼭 혹시 그냥 이미
제일 및 또는 그리고 근데 그런데 그럼 만약 만일 보 드리 부탁 부탁하 감사 감사하
말씀 질문 문의사항 주시 계시 이것 그것 저것 이거 그거 요 중 동안 경우 방식 절차
과정 의미 어때 어떠 어떤가 어떻 뜻 말하 시 인가 네 예 응 아 음 이나 으로 에서
까지 부터 보다 함께 같이 위해 위하 통해 통하 따르 대하여 관하여 여쭤보 여쭙 더
수도 해 드릴 점 바 데 줄 채 척 만큼 뿐 대로 무 어느 게요 어떤지 무엇인지 뭔가
뭔지 뭐야 뭐예요 뭔가요 뭡니까 그래 그러 볼 만 만하 괜찮 좋 건지 드려
"""
    )
)
SOFT: Final = frozenset(
    listed(
        """
얼마 몇 많 지금 현재 가능 필요 가장 정상 보통 양 넣 들어가 적당 바로 다시 새로
찾 만들 받 가 나오 쓰 며칠 기간 요청 경우 상품 항목 재료 전 후 명 걸리 데려가
구경
"""
    )
)

_GROUPS: Final = """
삭제 지우 제거 없애 없앨
연락 문의
화면 디스플레이 모니터
휴대폰 핸드폰 휴대전화 스마트폰 폰
꺼지 종료
실행 열 켜
멈추 멈춤
해지 취소 철회
택배 소포
도착 오
살아 거주 살고 사는
구매 사 구입
나오 들어오
후 뒤 이후
전 이전
보 구경
환불 환급
파손 깨지 망가지 부서지 고장
결제 지불 계산
저렴 싸 값싸
가깝 근처 인근 가까우
해변 바닷가 해수욕장
명소 관광지
송금 이체
도난 도둑맞 도둑
금리 이자율
낮추 내리 줄이
높 높이 올리 인상 늘리
풍부 많
음식 먹거리
연결 합치 잇 결합
브랜치 가지
만들 생성 제작 만드
월급 월급날 급여 봉급 임금
퇴사 그만두 사직
쌀쌀 춥 추우
집주인 임대인 건물주
세입자 임차인
창업 차리 개업
지진
일어나 발생 생기
이유 왜 원인
크 크기
길 길이
깊 깊이
넓 넓이
빠르 빨르 신속
느리 느려
대신 대체
변경 바꾸 수정 바뀌
추천 소개
식당 맛집 음식점
비행기 항공기
비행기표 항공권 비행기티켓
이메일 메일
사진 이미지
영화 무비
의사 닥터
병원 의원
변호사 법률가
차 자동차 승용차
집 주택
학교
직원 사원 근로자
회사 직장 기업
휴가 연차휴가
재택근무 원격근무
분실 잃어버리 잃
잊어버리 잊 까먹
거절 거부
강아지 개 반려견 애완견
아이 어린이 아기 자녀
아프 아파 통증
나쁘 나빠
바쁘 바빠
현재 지금
머리 두통
마시 음용
먹 섭취 복용 드시
시작 개시
끝 종료 끝나
정지 중지 중단
확인 조회 체크 검사 점검
검색 찾
알림 통지
선택 고르
추가 더하
등록 가입
로그인 접속
로그아웃
업데이트 갱신
차이 차이점 다르 달르
장점 이점
단점
가격 값 금액 비용
요금 수수료
무료 공짜
번역 옮기
요약 간추리
설명
문법 맞춤법
고치 수리
데려가 데리 동반
합법 적법 법적
불법 위법
인구
지어지 건설 건축 짓 지으
그리 그렸
쓰 작성
사용 이용
서류 문서
계좌 통장
카드
한도 최대치
필요 있어야
언제 날짜 며칠 기한
영업 운영
원 won 원화
달러 dollar 불
유로 euro
엔 엔화 yen
도 celsius 섭씨
명 사람 인 인분
초 second
분 minute
강수 비
포함
우산
신청 접수
입금 예치
출금 인출
체결 맺
수도
시내 도심
동의 허락
허가 승인
얼마 몇 얼마나
누구 누가
기억
파이썬 python
비밀번호 패스워드 암호
웹사이트 홈페이지 사이트
오류 에러
문제 이슈
아이디 id
작동 동작
출발 떠나
걸리 소요 기간
세계 세상 지구
소모 닳
사직서 사표
개선 향상
화장실 변소
지하철 전철
짐 수하물
승객 탑승객
표 티켓 승차권
쿠폰 할인권
부상 다치
피곤 지치
예쁘 아름답
이상 기이
쉽 간단
어렵 힘들
중요 핵심
전체 모두 전부
완료 마치
계속 지속
분리 나누
회전 돌리
반복 루프
오류 에러 예외
배포 릴리스
서버 호스트
데이터베이스 db
개발자 프로그래머
회의 미팅
일정 스케줄
이득 혜택
법원 재판소
고소 소송
규칙 규정
폭풍 폭우
예보 전망
맑 화창
요리 조리
국 수프
채소 야채
재료
청소 닦
국가 나라
강 하천
바다 해양
답장 회신
제목 타이틀
문단 단락
속도 스피드
의자 걸상
가게 상점 매장
설정 세팅
폴더 디렉터리
빨리 빠르게
늦 지연
질병 병
약 의약품
선생님 교사
친구 벗
저장 보관
전송 보내
발급 발행
상담 문의
담당자 책임자
계약 약정
잠 수면 자
자바스크립트 javascript
"""


def class_of(word: str) -> str:
    """What stands for a word that is bare already, such as a Latin one."""
    return _CLASSES.get(word, word)


def role_of(word: str) -> str | None:
    """The part that a word's particle gives it; exchanged, it is another question."""
    for length in (3, 2, 1):
        role = PARTS.get(word[-length:]) if len(word) > length else None
        if role is not None and word not in PROTECTED:
            return role
    return None


def _known(stem: str, word: str) -> bool:
    if stem in _BRIEF and (len(word) > 3 or not word.startswith(stem)):
        return False  # what is left of another word is not the pronoun that it looks like
    return any(stem in words for words in (_CLASSES, PROTECTED, FRAME, SOFT, NEGATIONS, _VERBS))


@lru_cache(maxsize=8192)
def canonical(word: str, *, attached: bool = False) -> str:
    """What stands for a word and all that mean the same, or "" where nothing but particles is left.

    Args:
        word: Hangul between two blanks.
        attached: it follows a number or a Latin word, so that it may be a particle alone.
    """
    fixed = _set(word)
    if fixed is not None:
        return fixed
    for cut in range(len(word) - 1, 0, -1):
        head = word[:cut]
        if word[cut:] in _PLAIN and (
            (attached and head in COUNTERS) or (cut > 1 and _known(head, word))
        ):
            return _CLASSES.get(head, head)
    return _stripped(word, attached=attached)


def _set(word: str) -> str | None:
    """Forms that the rules would take for others."""
    if word[0] == "내" and word[1:] in _PAYING:
        return "내다"  # to pay, and not mine
    if word in {"저를", "나를", "우리를"}:
        return "저를"  # who is meant tells who did it
    return "알리" if word.startswith(("알려", "가르쳐")) else None


def _stripped(word: str, *, attached: bool) -> str:
    """The first part of a word, from its end on, that is known; or what nothing comes off."""
    stem = word
    while True:
        if attached and stem in COUNTERS:
            return _CLASSES.get(stem, stem)
        for known in (stem, _settled(stem)):
            if _known(known, word):
                return _CLASSES.get(known, known)
        shorter = _shorter(stem, attached=attached)
        if shorter is None:
            shorter = _settled(stem)
            if len(shorter) == len(stem):
                return shorter
        if shorter in _BRIEF and not _known(shorter, word):
            return stem
        stem = shorter


def _shorter(stem: str, *, attached: bool) -> str | None:
    """The stem without its last particle, copula or ending; None where nothing comes off."""
    for suffix in _SUFFIXES:
        if suffix[0] in _FINALS:
            body = stem[: -len(suffix) + 1] if len(suffix) > 1 else stem
            fused = body and _final(body[-1]) == _FINALS[suffix[0]]
            if fused and stem.endswith(suffix[1:]) and (suffix == "ㅆ" or _may_be_verb(body)):
                return body[:-1] + _without_final(body[-1])
        elif stem.endswith(suffix) and (len(stem) > len(suffix) or attached):
            return stem[: -len(suffix)] if len(stem) > len(suffix) else ""
    return None


def _may_be_verb(body: str) -> bool:
    """Whether a final consonant may be an ending.

    Long words are nouns, but for those with 하다; of the shortest, only known verbs are not.
    """
    bare = body[:-1] + _without_final(body[-1])
    if len(body) == 1:
        return bare not in _BRIEF and any(
            bare in words for words in (_CLASSES, SOFT, FRAME, _VERBS)
        )
    return len(body) <= 3 or bare[-1] in "하해되돼"


_PAYING: Final = frozenset(listed("야 려면 나요 면 고 요 기 려고 어야 어요 지"))

_VERBS: Final = frozenset(
    ["나가", "타", "자", "서", "짜", "뜨", "푸", "싸", "추", "펴", "지", "차", "치", "키", "끄"]
)
_BRIEF: Final = frozenset(
    listed(
        """
저 제 내 나 이 그 때 수 것 거 게 건 뭐 시 요 중 또 더 점 바 데 줄 채 척
뿐 무 법
"""
    )
)

_FINALS: Final = {"ㄴ": 4, "ㄹ": 8, "ㅁ": 16, "ㅂ": 17, "ㅆ": 20}


def _final(char: str) -> int:
    return (ord(char) - 0xAC00) % 28 if "가" <= char <= "힣" else 0


def _without_final(char: str) -> str:
    return chr(ord(char) - _final(char))


def _settled(stem: str) -> str:
    """One form for what an ending has fused with: 바꿔 and 바꾸, 해 and 하, 걸려 and 걸리."""
    if not stem or not "가" <= stem[-1] <= "힣":
        return stem
    code = ord(stem[-1]) - 0xAC00
    first, vowel, final = code // 588, code % 588 // 28, code % 28
    if final == 0:
        vowel = _VOWELS.get(vowel, vowel)
    last = chr(0xAC00 + first * 588 + vowel * 28 + final)
    last = {"해": "하", "돼": "되", "꺼": "끄", "써": "쓰", "커": "크"}.get(last, last)
    if len(stem) > 1 and last in "하되":
        return stem[:-1]
    if len(stem) > 2 and last in "받당":
        return stem[:-1]
    if len(stem) > 1 and last in "라러" and _final(stem[-2]) == _FINALS["ㄹ"]:
        return stem[:-2] + _without_final(stem[-2]) + "르"
    return stem[:-1] + last


_VOWELS: Final = {14: 13, 9: 8, 6: 20}  # ㅝ ㅜ, ㅘ ㅗ, ㅕ ㅣ

_SUFFIXES: Final = sorted(
    {*_PARTICLES.split(), *_COPULAS.split(), *_ENDINGS.split()},
    key=lambda suffix: (-len(suffix), suffix[0] in _FINALS),
)

_PLAIN: Final = frozenset(suffix for suffix in _SUFFIXES if suffix[0] not in _FINALS)

_CLASSES: Final[dict[str, str]] = {}
for _line in _GROUPS.split("\n"):
    for _word in _line.split():
        _CLASSES.setdefault(_word, _line.split(" ", 1)[0])
