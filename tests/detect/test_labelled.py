"""Secrets by what the text calls them: assignments, headers, options, sentences."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.detect.drawn import drawn
from tests.detect.values import values, wide

PASSWORD = "Tr0ub4" + "dor!x"
KEY = drawn("[a-zA-Z0-9]{40}", 3)
HEX = drawn("[0-9a-f]{32}", 4)
SLASHED = drawn("[a-zA-Z0-9+/]{40}", 5)


@pytest.mark.parametrize(
    "text",
    [
        "password={}",
        'password = "{}"',
        "password: {}",
        "DB_PASSWORD={}",
        "export PGPASS='{}'".replace("PGPASS", "DB_PASS"),
        '{{"user": "jane", "password": "{}"}}',
        '{{\\"password\\": \\"{}\\"}}',
        "passwd := {}",
        "'password' => '{}'",
        "<password>{}</password>",
        "| password | {} |",
        "Server=tcp:db.example.net,1433;User Id=sa;Password={};Encrypt=yes",
        "Pwd={};",
        "?user=jane&password={}&next=1",
        "--password {}",
        "mysql --password={} -u root",
        "my password is {}.",
        "The passphrase was: {}",
        "machine git.example.com login jane password {}",
        "ALTER USER jane PASSWORD '{}'",
        "비밀번호: {}",
        "비밀번호는 {}입니다",
        "비밀번호 {} 로 바꿔 주세요",
        "비번은 {}이에요",
        "암호={}",
        "| 비밀번호 | {} |",
        "패스워드 : `{}`",
        "password\u200b: {}",
        wide("password:") + " {}",
    ],
)
def test_a_password_is_found(text: str) -> None:
    """The value alone, without quotes and what follows."""
    assert values(text.format(PASSWORD), "api_key") == [PASSWORD]


@pytest.mark.parametrize("value", [KEY, HEX, SLASHED])
@pytest.mark.parametrize(
    "text",
    [
        "aws_secret_access_key = {}",
        "AWS_SECRET_ACCESS_KEY={}",
        '"client_secret": "{}"',
        "api_key={}&x=1",
        "x-api-key: {}",
        "apiKey: '{}',",
        "ACCESS_TOKEN='{}'",
        "token: {}",
        "Authorization: Bearer {}",
        "authorization: token {}",
        "curl -H 'Authorization: Bearer {}' https://api.example.com",
        "AccountName=x;AccountKey={}==;EndpointSuffix=core.windows.net",
        "SharedAccessKey={}=",
        "the token is {}",
        "API key: {}",
        "my secret access key is {}",
        "Cookie: _app_session={}",
        "토큰은 {}입니다",
        "API 키: {}",
        "인증키 {}",
        "시크릿={}",
        "X-Naver-Client-Secret: {}",
        "--token {}",
    ],
)
def test_a_key_is_found(text: str, value: str) -> None:
    """Whatever its letters, since its label says what it is."""
    (found,) = values(text.format(value), "api_key")
    assert found.rstrip("=") == value


@pytest.mark.parametrize("value", ["$ecret99!", "ab,c;d<1>&x", "it;is|1", "p@ss-1", "#abc12!"])
def test_a_quoted_password_is_found_to_its_end(value: str) -> None:
    """What would end another value does not end it."""
    assert values(f'password = "{value}"', "api_key") == [value]


def test_schemes_of_authorization() -> None:
    """Basic holds a pair; Kakao has a scheme of its own; Naver's secret is short."""
    pair = base64.b64encode(b"jane:hunter2").decode()
    assert values(f"Authorization: Basic {pair}", "api_key") == [pair]
    assert values(f"Authorization: KakaoAK {HEX}", "api_key") == [HEX]
    short = drawn("[a-z]{4}[A-Z]{3}[0-9]{3}", 1)
    assert values(f"X-Naver-Client-Secret: {short}", "api_key") == [short]


@pytest.mark.parametrize(
    "text",
    [
        "password: str",
        "password: Optional[str] = None",
        'password=os.environ["DB_PASSWORD_2"]',
        "password = getpass.getpass()",
        "password: ${DB_PASSWORD_1}",
        "password: {{ vault_password_1 }}",
        "password: <your-password-1>",
        "password: $PASSWORD1",
        "password: #{ENV_1}",
        "https://<user>:<password>@host/path1",
        "password Argon2id",
        "public key: 9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit",
        "password: ********",
        "password: required",
        '"password": "string"',
        "PuttyPassword=0",
        "password reset link: https://example.com/a1b2",
        "비밀번호를 잊으셨나요?",
        "비밀번호: 8자 이상",
        "비밀번호는 1234567번 틀렸습니다",
        "비밀번호 정책: 영문 10자",
        "암호화폐 2024년 시세",
        "키는 175.5cm입니다",
        "max_tokens=1024, token_count: 4096",
        'token = response.json()["access_token"]',
        "api_key: YOUR_API_KEY",
        'api_key=os.getenv("OPENAI_API_KEY_2024_PROD")',
        "Authorization: Bearer $TOKEN",
        "Authorization: Bearer <your-token>",
        "Bearer token authentication is required",
        "Basic knowledge of algebra",
        "report_access_id: e8e4df51-2054-49b0-ab1c-516ac95c691d",
        "credentialsId: 'ff083f76-7804-4ef1-80e4-fe975bb9141b'",
        'CREDENTIALS_ID = "K8S_CRED"',
        '"bucket_key": "SalesResults-1.2"',
        "X-MS-Exchange-Organization-AuthSource: sm02915.int.contoso.com",
        "API_version=9a038989604e8da62ecddbe2094b16ce1b778be1",
        'public_key = "9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit"',
        "csrf-token=Mj2qykJO5rELyHgezQ69nzUX0i3OH67V7V4eUrLfpuyOuxmiW9rhROG",
        "next_page_token=CAUQAA9sdkf8a7sdfklj3409sdf",
        "the key is to read 12 books",
        "token is expired",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    """Types, templates, calls, counts, names, ids and sentences."""
    assert values(text, "api_key") == []


@given(st.text(alphabet="password=: 비밀번호는'\"\\a1!&;\n", max_size=100))
def test_any_text_with_labels(text: str) -> None:
    """No text makes it fail; a find is in one piece."""
    for value in values(text, "api_key"):
        assert value
        assert not set(value) & set(" \n")


@given(
    st.sampled_from(["password=", "비밀번호는 ", '"client_secret": "', "Authorization: Bearer "]),
    st.text(alphabet=string.ascii_letters + string.digits, min_size=24, max_size=40),
)
def test_text_before_changes_nothing(label: str, value: str) -> None:
    """What stands on the lines before has no part in it."""
    alone = values(label + value, "api_key")
    assert values("first line\n그리고 둘째 줄\n" + label + value, "api_key") == alone
