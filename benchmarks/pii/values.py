"""Made-up values of every kind, valid where the kind has a checksum, from a seeded generator.

Keys are put together from prefixes and random letters when they are asked for, so no source file
holds anything that a scanner of repositories takes for a key.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import string
from typing import TYPE_CHECKING

from benchmarks.pii import encodings as enc

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

ALPHABETS = {
    "w": string.ascii_letters + string.digits,
    "x": "0123456789abcdef",
    "X": "0123456789ABCDEF",
    "d": string.digits,
    "n": "123456789",
    "m": "23456789",
    "a": string.ascii_letters,
    "l": string.ascii_lowercase + string.digits,
    "z": string.ascii_lowercase,
    "U": string.ascii_uppercase + string.digits,
    "Z": string.ascii_uppercase,
    "u": string.ascii_letters + string.digits + "_-",
    "b": string.ascii_letters + string.digits + "+/",
    "B": string.ascii_uppercase + "234567",
    "q": enc.BECH32.upper(),
}


def fill(random: Random, template: str) -> str:
    """Replace `{w12}` by twelve letters of the alphabet `w`, and so on."""

    def letters(match: re.Match[str]) -> str:
        return "".join(random.choices(ALPHABETS[match[1]], k=int(match[2])))

    return re.sub(r"\{(\w)(\d+)\}", letters, template)


NAMES = "mina joon.park hyewon daniel_k svenja olivia.reyes t.okafor sooyeon brandt yuna tomas ines"
NAMES += " kwon.jh priya aziz lea.fontaine hslee marco_r nadia w.lin jiwoo.han gunther ebony chloe"
HOSTS = "lumenworks.io haneul-soft.co.kr northgate.dev bluefin.email tidal-labs.com okja.kr"
HOSTS += " mail.saltmarsh.org cedarpost.net dal.ac.kr orbit.systems pinegrove.de yamato-ya.jp"
HOSTS += " fjordtech.no quill.app marzipan.fr seorak.or.kr corp.vantage.co.uk rivet.ai badger.tech"

EMAILS = {
    "plain": lambda r: (
        f"{r.choice(NAMES.split())}{r.choice(['', '', r.randrange(10, 99)])}@"
        + r.choice(HOSTS.split())
    ),
    "plus": lambda r: f"{r.choice(NAMES.split())}+{fill(r, '{z5}')}@{r.choice(HOSTS.split())}",
    "short": lambda r: fill(r, "{z1}@{z2}.co"),
    "digits": lambda r: fill(r, "{n1}{d6}@qq.com"),
    "portal": lambda r: fill(r, "{z6}{d3}@") + r.choice(["naver.com", "hanmail.net", "daum.net"]),
    "deep": lambda r: fill(r, "{z4}.{z5}.{z2}@{z4}.{z5}.{z6}.ac.kr"),
    "upper": lambda r: fill(r, "{Z5}.{Z6}@{Z7}.COM"),
    "odd": lambda r: fill(r, "{z3}_{d2}-{z4}@{z6}-{z3}.museum"),
}

PHONES = {
    "mobile": "010-{m1}{d3}-{d4}",
    "bare": "010{m1}{d7}",
    "spaced": "010 {m1}{d3} {d4}",
    "dotted": "010.{m1}{d3}.{d4}",
    "old": "016-{m1}{d2}-{d4}",
    "intl": "+82-10-{m1}{d3}-{d4}",
    "intl_spaced": "+82 10 {m1}{d3} {d4}",
    "intl_bare": "+8210{m1}{d7}",
    "intl_zero": "+82 (0)10-{m1}{d3}-{d4}",
    "seoul": "02-{m1}{d3}-{d4}",
    "seoul_paren": "(02) {m1}{d2}-{d4}",
    "seoul_bare": "02{m1}{d7}",
    "seoul_intl": "+82-2-{m1}{d3}-{d4}",
    "gyeonggi": "031-{m1}{d2}-{d4}",
    "busan": "051)7{d2}-{d4}",
    "voip": "070-4{d3}-{d4}",
    "safe": "0507-1{d3}-{d4}",
    "us": "415-{m1}{d2}-{d4}",
    "us_paren": "(617) 5{d2}-{d4}",
    "us_dot": "646.3{d2}.{d4}",
    "us_intl": "+1 503 2{d2} {d4}",
    "us_one": "1-718-4{d2}-{d4}",
    "us_e164": "+1312{m1}{d6}",
    "us_mixed": "+1 (206) 9{d2}-{d4}",
    "us_free": "1-800-5{d2}-{d4}",
    "us_ext": "212-6{d2}-{d4} ext. 4{d2}",
    "uk": "+44 20 79{d2} {d4}",
    "uk_local": "020 7{d3} {d4}",
    "uk_mobile": "+44 7{d3} {d6}",
    "de": "+49 30 {m1}{d6}",
    "de_slash": "+49 (0)89 / {m1}{d5}",
    "fr": "+33 6 {d2} {d2} {d2} {d2}",
    "fr_local": "06 {d2} {d2} {d2} {d2}",
    "jp": "+81 3-5{d3}-{d4}",
    "in": "+91 98{d3} {d5}",
    "au": "+61 4{d2} {d3} {d3}",
    "br": "+55 11 9{d4}-{d4}",
    "sg": "+65 9{d3} {d4}",
    "cn": "+86 138 {d4} {d4}",
    "vn": "+84 90 {d3} {d4}",
    "es": "+34 6{d2} {d3} {d3}",
    "zero_zero": "0044 20 7{d3} {d4}",
}

CARDS = {
    "visa": ("4{d14}", 16),
    "master": ("5{n0}3{d13}", 16),
    "master2": ("2720{n1}{d10}", 16),
    "amex": ("37{d12}", 15),
    "discover": ("6011{d11}", 16),
    "jcb": ("3530{d11}", 16),
    "diners": ("3056{d9}", 14),
    "union": ("6225{d11}", 16),
    "visa13": ("4{d11}", 13),
}

IBANS = {
    "de": ("DE", "{d18}"),
    "gb": ("GB", "{Z4}{d14}"),
    "fr": ("FR", "{d10}{U11}{d2}"),
    "es": ("ES", "{d20}"),
    "nl": ("NL", "{Z4}{d10}"),
    "it": ("IT", "{Z1}{d10}{U12}"),
    "ch": ("CH", "{d5}{U12}"),
    "pl": ("PL", "{d24}"),
    "no": ("NO", "{d11}"),
    "se": ("SE", "{d20}"),
    "be": ("BE", "{d12}"),
    "at": ("AT", "{d16}"),
    "ae": ("AE", "{d19}"),
    "mt": ("MT", "{Z4}{d5}{U18}"),
    "tr": ("TR", "{d5}0{U16}"),
}

ACCOUNTS = {
    "kb": "{n1}{d5}-{d2}-{d6}",
    "kb_old": "{n1}{d2}-{d2}-{d4}-{d3}",
    "shinhan": "110-{d3}-{d6}",
    "woori": "1002-{d3}-{d6}",
    "hana": "{n1}{d2}-{d6}-{d5}",
    "nh": "302-{d4}-{d4}-{d2}",
    "nh_bare": "{n1}{d12}",
    "kakao": "3333-{d2}-{d7}",
    "kakao_bare": "3333{d9}",
    "toss": "1000-{d4}-{d4}",
    "ibk": "{n1}{d2}-{d6}-{d2}-{d3}",
    "kbank": "100-{d3}-{d6}",
    "post": "{n1}{d5}-{d2}-{d6}",
    "mg": "9002-{d4}-{d4}-{d1}",
    "bare12": "{n1}{d11}",
    "us": "{n1}{d8}",
    "us12": "0{d11}",
}

SECRETS = {
    "openai": "sk-{w20}T3BlbkFJ{w20}",
    "openai_project": "sk-proj-{u74}T3BlbkFJ{u74}",
    "openai_service": "sk-svcacct-{u74}T3BlbkFJ{u74}",
    "anthropic": "sk-ant-api03-{u93}AA",
    "anthropic_admin": "sk-ant-admin01-{u93}AA",
    "openrouter": "sk-or-v1-{x64}",
    "deepseek": "sk-{x32}",
    "aws": "AKIA{B16}",
    "aws_session": "ASIA{B16}",
    "aws_secret": "{b40}",
    "google": "AIza{u35}",
    "google_client": "GOCSPX-{u28}",
    "google_token": "ya29.a0{u120}",
    "github": "ghp_{w36}",
    "github_app": "ghs_{w36}",
    "github_oauth": "gho_{w36}",
    "github_fine": "github_pat_{w22}_{w59}",
    "gitlab": "glpat-{u20}",
    "gitlab_deploy": "gldt-{u20}",
    "slack_bot": "xoxb-{n1}{d11}-{n1}{d12}-{w24}",
    "slack_user": "xoxp-{n1}{d11}-{n1}{d11}-{n1}{d12}-{x32}",
    "slack_app": "xapp-1-A{U10}-{n1}{d12}-{x64}",
    "slack_hook": "https://hooks.slack.com/services/T{U8}/B{U10}/{w24}",
    "discord_hook": "https://discord.com/api/webhooks/{n1}{d17}/{u68}",
    "discord": "MT{w22}.G{u5}.{u38}",
    "stripe": "sk_live_{w24}",
    "stripe_long": "sk_live_51{w97}",
    "stripe_test": "sk_test_{w24}",
    "stripe_restricted": "rk_live_{w24}",
    "stripe_hook": "whsec_{w32}",
    "sendgrid": "SG.{u22}.{u43}",
    "twilio": "SK{x32}",
    "mailgun": "key-{x32}",
    "mailchimp": "{x32}-us14",
    "npm": "npm_{w36}",
    "pypi": "pypi-AgEIcHlwaS5vcmc{u130}",
    "rubygems": "rubygems_{x48}",
    "docker": "dckr_pat_{u27}",
    "digitalocean": "dop_v1_{x64}",
    "shopify": "shpat_{x32}",
    "square": "sq0csp-{u43}",
    "telegram": "{n1}{d9}:AA{u33}",
    "huggingface": "hf_{a34}",
    "replicate": "r8_{w37}",
    "perplexity": "pplx-{w48}",
    "groq": "gsk_{w52}",
    "xai": "xai-{w80}",
    "grafana": "glsa_{w32}_{x8}",
    "vault": "hvs.{u95}",
    "terraform": "{w14}.atlasv1.{u67}",
    "doppler": "dp.pt.{w43}",
    "linear": "lin_api_{w40}",
    "notion": "ntn_{d11}{w35}",
    "notion_old": "secret_{w43}",
    "figma": "figd_{u43}",
    "postman": "PMAK-{x24}-{x34}",
    "planetscale": "pscale_tkn_{u43}",
    "databricks": "dapi{x32}",
    "airtable": "pat{w14}.{x64}",
    "supabase": "sbp_{x40}",
    "netlify": "nfp_{w36}",
    "langsmith": "lsv2_pt_{x32}_{x10}",
    "pinecone": "pcsk_{w6}_{w63}",
    "tavily": "tvly-{w32}",
    "firecrawl": "fc-{x32}",
    "elevenlabs": "sk_{x48}",
    "azure_storage": "{b86}==",
    "azure_client": "{w3}8Q~{u34}",
    "azure_openai": "{x32}",
    "alibaba": "LTAI5t{w18}",
    "newrelic": "NRAK-{U27}",
    "age": "AGE-SECRET-KEY-1{q58}",
    "facebook": "EAAB{w160}",
    "atlassian": "ATATT3xFfGF0{u171}",
    "pulumi": "pul-{x40}",
    "tailscale": "tskey-auth-k{w10}CNTRL-{w32}",
    "toss": "live_sk_{w32}",
    "kakao": "{x32}",
    "naver": "{u10}",
    "hex40": "{x40}",
    "hex64": "{x64}",
    "word32": "{w32}",
    "base44": "{b43}=",
    "pass": "{Z1}{z4}{d2}!{z3}{Z2}{d1}",
    "pass_plain": "{z3}{d3}{Z2}{z4}",
    "pass_symbols": "{w3}#{w4}$%{w4}*{d2}",
    "basic": "",
}

PASSWORDS = ("{z2}{w8}", "{Z1}{w6}!{d2}", "{w5}.{w5}-{w2}", "{w6}%21{w4}", "{w4}$${w5}", "{x20}")
USERS = ("app", "svc_batch", "root", "admin", "deploy-bot", "readonly", "elastic", "kim.ops", "u7")

FILLERS = {
    "uuid": "{x8}-{x4}-4{x3}-a{x3}-{x12}",
    "md5": "{x32}",
    "sha1": "{x40}",
    "sha256": "{x64}",
    "sri": "sha512-{b86}==",
    "short": "{x7}",
    "order": "2026{n0}0{n1}1{n1}-{d7}",
    "epoch": "17{d8}",
    "epochms": "1799{d9}",
    "float": "0.{d16}",
    "digits6": "{n1}{d5}",
    "digits9": "{n1}{d8}",
    "digits18": "{n1}{d17}",
    "id24": "{w24}",
    "id29": "{w29}",
    "hex24": "{x24}",
    "blob": "{b180}",
}


SAMPLES = {
    "loopback": ("IP_ADDRESS", "127.0.0.1"),
    "anyhost": ("IP_ADDRESS", "0.0.0.0"),
    "broadcast": ("IP_ADDRESS", "255.255.255.255"),
    "loopback6": ("IP_ADDRESS", "::1"),
    "ff": ("MAC_ADDRESS", "ff:ff:ff:ff:ff:ff"),
    "zeros": ("MAC_ADDRESS", "00:00:00:00:00:00"),
    "aws": ("SECRET", "AKIA" + "IOSFODNN7EXAMPLE"),
    "slack": ("SECRET", "xoxb-" + "xxxx" + "-xxxx-xxxx"),
    "your": ("SECRET", "YOUR_API_KEY"),
    "dots": ("SECRET", "sk-..." + "abcd"),
    "spelled": ("EMAIL", "mina at lumenworks dot io"),
    "percent": ("EMAIL", "mina%40lumenworks.io"),
    "entity": ("EMAIL", "mina&#64;lumenworks.io"),
    "korean": ("EMAIL", "mina 골뱅이 lumenworks 점 io"),
    "spoken": ("PHONE", "공일공 삼사오육 칠팔구공"),
    "words": ("PHONE", "four one five, five five five, zero one two three"),
    "masked": ("KR_RRN", "900101-1******"),
    "stars": ("CREDIT_CARD", "5412-****-****-0093"),
    "defanged": ("IP_ADDRESS", "203[.]0[.]113[.]9"),
    "hotline": ("PHONE", "1588-0000"),
}
"""Values of documentation and disguised ones: optional, because people disagree about them."""


def _card(random: Random, form: str) -> str:
    template, length = CARDS[form]
    body = fill(random, template).replace("{n0}", "")
    body = (body + fill(random, "{d16}"))[: length - 1]
    return body + enc.luhn(body)


def _groups(number: str, by: str) -> str:
    if len(number) == 16:
        cuts = (4, 8, 12)
    elif len(number) == 15:
        cuts = (4, 10)
    else:
        cuts = (4, 10) if len(number) == 14 else (4, 7, 10)
    ends = [0, *cuts, len(number)]
    return by.join(number[a:b] for a, b in itertools.pairwise(ends))


def _date(random: Random, first: int, last: int) -> tuple[int, str]:
    year = random.randint(first, last)
    return year, f"{year % 100:02}{random.randint(1, 12):02}{random.randint(1, 28):02}"


def _rrn(random: Random, form: str) -> str:
    foreign = form.startswith("f_")
    form = form.removeprefix("f_")
    if form == "new":  # since October 2020 there is no check digit
        body = _date(random, 2021, 2025)[1] + fill(random, random.choice("78" if foreign else "34"))
        tail = fill(random, "{d6}")
        return f"{body[:6]}-{body[6]}{tail}"
    year, date = _date(random, 1950, 2012)
    seventh = random.choice(
        ("56" if foreign else "12") if year < 2000 else ("78" if foreign else "34")
    )
    twelve = date + seventh + fill(random, "{d5}")
    number = twelve + enc.rrn(twelve, 2 if foreign else 0)
    return number if form == "bare" else f"{number[:6]}-{number[6:]}"


def _ip(random: Random, form: str) -> str:
    part = random.randint
    match form:
        case "private":
            return f"10.{part(0, 255)}.{part(0, 255)}.{part(2, 254)}"
        case "lan":
            return f"192.168.{part(0, 255)}.{part(2, 254)}"
        case "v6":
            return "2a0c:" + ":".join(f"{part(0x1000, 0xFFFF):x}" for _ in range(7))
        case "v6_short":
            return f"2a{part(1, 9):02}:{part(0x100, 0xFFFF):x}:{part(0x100, 0xFFFF):x}::{part(1, 0xFFF):x}"
        case "v6_link":
            return f"fe80::{part(0x100, 0xFFF):x}:{part(0x1000, 0xFFFF):x}:fe{part(16, 99)}:{part(1, 0xFFF):x}"
        case "v6_mapped":
            return f"::ffff:{part(60, 190)}.{part(0, 255)}.{part(0, 255)}.{part(2, 254)}"
        case _:
            return f"{part(23, 120)}.{part(30, 255)}.{part(0, 255)}.{part(2, 254)}"


def _crypto(random: Random, form: str) -> str:
    payload = random.randbytes(20)
    match form:
        case "btc_script":
            return enc.base58check(b"\x05" + payload)
        case "btc_segwit":
            return enc.segwit("bc", 0, payload)
        case "btc_taproot":
            return enc.segwit("bc", 1, random.randbytes(32))
        case "eth":
            return enc.ethereum(payload.hex())
        case "eth_lower":
            return "0x" + payload.hex()
        case "tron":
            return enc.base58check(b"\x41" + payload)
        case "ltc":
            return enc.segwit("ltc", 0, payload)
        case "doge":
            return enc.base58check(b"\x1e" + payload)
        case "xrp":
            return enc.base58check(b"\0" + payload, enc.RIPPLE)
        case "sol":
            return enc.base58(b"\x5a" + random.randbytes(31))
        case _:
            return enc.base58check(b"\0" + payload)


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _jwt(random: Random, form: str) -> str:
    algorithm = "RS256" if form == "rs" else "HS256"
    header = {"alg": algorithm, "typ": "JWT"} | (
        {"kid": fill(random, "{x16}")} if form == "rs" else {}
    )
    claims: dict[str, object] = {
        "sub": fill(random, "{d8}"),
        "iat": random.randint(10**9, 2 * 10**9),
    }
    if form != "short":
        claims |= {"iss": "https://login.tidal-labs.test", "scope": "read write"}
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in (header, claims)]
    parts.append(random.randbytes(256 if form == "rs" else 32))
    return ".".join(_b64url(part) for part in parts)


PEMS = {
    "rsa": "RSA PRIVATE KEY",
    "ec": "EC PRIVATE KEY",
    "pkcs8": "PRIVATE KEY",
    "ssh": "OPENSSH PRIVATE KEY",
    "sealed": "ENCRYPTED PRIVATE KEY",
    "dsa": "DSA PRIVATE KEY",
    "pgp": "PGP PRIVATE KEY BLOCK",
}


def _pem(random: Random, form: str) -> str:
    kind, _, line = form.partition("_")
    body = base64.b64encode(random.randbytes(random.randrange(180, 420))).decode()
    rows = [body[at : at + 64] for at in range(0, len(body), 64)]
    if kind == "rsa" and line == "headers":
        rows = [
            "Proc-Type: 4,ENCRYPTED",
            "DEK-Info: AES-128-CBC," + fill(random, "{X32}"),
            "",
            *rows,
        ]
    if kind == "pgp":
        rows = ["Version: GnuPG v2", "", *rows, "=" + fill(random, "{b4}")]
    block = [f"-----BEGIN {PEMS[kind]}-----", *rows, f"-----END {PEMS[kind]}-----"]
    ends = {"json": "\\n", "crlf": "\r\n", "indent": "\n    "}
    return ends.get(line, "\n").join(block)


def _split_card(random: Random, form: str) -> str:
    brand, _, by = form.partition("_")
    number = _card(random, brand or "visa")
    return _groups(number, {"dash": "-", "space": " ", "dot": "."}[by]) if by else number


def _iban(random: Random, form: str) -> str:
    country, _, by = form.partition("_")
    code, bban = IBANS[country or "de"]
    number = enc.iban(code, fill(random, bban))
    return re.sub(r"(.{4})(?=.)", r"\1 ", number) if by else number


def _ssn(random: Random, form: str) -> str:
    area = random.choice([*range(100, 665), *range(667, 899)])
    number = f"{area}-{random.randint(1, 99):02}-{random.randint(1, 9999):04}"
    return number.replace("-", {"bare": "", "space": " ", "dot": "."}.get(form, "-"))


def _brn(random: Random, form: str) -> str:
    nine = fill(random, "{n1}{d8}")
    number = nine + enc.brn(nine)
    return number if form == "bare" else f"{number[:3]}-{number[3:5]}-{number[5:]}"


def _license(random: Random, form: str) -> str:
    region = random.randint(11, 26)
    number = f"{region}-{fill(random, '{d2}-{d6}-{d2}')}"
    return number.replace("-", {"bare": "", "space": " "}.get(form, "-"))


def _mac(random: Random, form: str) -> str:
    octets = [f"{random.randrange(256):02x}" for _ in range(6)]
    octets[0] = f"{random.randrange(1, 60) * 4:02x}"
    if form == "cisco":
        return ".".join("".join(octets[at : at + 2]) for at in (0, 2, 4))
    joined = ("-" if form == "dash" else ":").join(octets)
    return joined.upper() if form == "upper" else joined


def _url(random: Random, form: str) -> str:
    template = "{w12}" if form == "simple" else random.choice(PASSWORDS)
    password = fill(random, template)
    return ("" if form == "nouser" else random.choice(USERS)) + ":" + password


def _secret(random: Random, form: str) -> str:
    if form != "basic":
        return fill(random, SECRETS[form])
    pair = f"{random.choice(USERS)}:{fill(random, '{w14}')}"
    return base64.b64encode(pair.encode()).decode()


def _no_card(random: Random, _: str) -> str:
    body = fill(random, "4{d14}")
    return body + str((int(enc.luhn(body)) + random.randint(1, 9)) % 10)


PASSPORTS = {"old": "M{d8}", "s": "S{d8}", "new": "M{d3}{Z1}{d4}"}

MAKERS: dict[str, Callable[[Random, str], str]] = {
    "email": lambda random, form: EMAILS[form or "plain"](random),
    "phone": lambda random, form: fill(random, PHONES[form or "mobile"]),
    "card": _split_card,
    "iban": _iban,
    "ssn": _ssn,
    "rrn": _rrn,
    "frn": lambda random, form: _rrn(random, f"f_{form}"),
    "brn": _brn,
    "passport": lambda random, form: fill(random, PASSPORTS[form or "new"]),
    "license": _license,
    "account": lambda random, form: fill(random, ACCOUNTS[form or "shinhan"]),
    "ip": _ip,
    "mac": _mac,
    "url": _url,
    "crypto": lambda random, form: _crypto(random, form or "btc"),
    "secret": _secret,
    "jwt": _jwt,
    "pem": lambda random, form: _pem(random, form or "rsa"),
    "notcard": _no_card,
}


def make(random: Random, kind: str, form: str) -> str:
    """Return a value of the kind, in the form that is named or in the plainest one."""
    return MAKERS[kind](random, form) if kind in MAKERS else fill(random, FILLERS[kind])


TYPES = {
    "email": "EMAIL",
    "phone": "PHONE",
    "card": "CREDIT_CARD",
    "iban": "IBAN",
    "ssn": "US_SSN",
    "rrn": "KR_RRN",
    "frn": "KR_FRN",
    "brn": "KR_BRN",
    "passport": "KR_PASSPORT",
    "license": "KR_DRIVER_LICENSE",
    "account": "BANK_ACCOUNT",
    "ip": "IP_ADDRESS",
    "mac": "MAC_ADDRESS",
    "url": "URL_CREDENTIALS",
    "crypto": "CRYPTO",
    "secret": "SECRET",
    "jwt": "JWT",
    "pem": "PRIVATE_KEY",
    "notcard": "CREDIT_CARD",
}
"""The scored type of each kind; what is not here is never personal data."""


def _zero(random: Random, value: str, mark: str) -> str:
    at = random.randrange(1, len(value))
    return value[:at] + mark + value[at:]


def change(random: Random, value: str, how: str) -> str:
    """Write a value in another way: full-width, with invisible characters, other separators."""
    match how:
        case "full":
            return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in value)
        case "fulldigits":
            return "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in value)
        case "zwsp":
            return _zero(random, value, "\u200b")
        case "zwnj":
            return _zero(random, value, "\u200c")
        case "joiner":
            return _zero(random, value, "\u2060")
        case "bom":
            return _zero(random, value, "\ufeff")
        case "shy":
            return _zero(random, value, "\u00ad")
        case "zw3":
            return _zero(random, _zero(random, _zero(random, value, "\u200b"), "\u200d"), "\u200b")
        case "upper" | "lower":
            return value.upper() if how == "upper" else value.lower()
        case _:
            marks = {
                "space": " ",
                "dot": ".",
                "slash": "/",
                "under": "_",
                "endash": "\u2013",
                "emdash": "\u2014",
                "minus": "\u2212",
                "nbhyphen": "\u2011",
                "hyphen": "\u2010",
                "nbsp": "\u00a0",
                "middle": "\u00b7",
                "wide": "\uff0d",
                "spread": " - ",
                "none": "",
            }
            return re.sub(r"[- .]+", marks[how], value)
