"""Other detectors, in the words of the labels: what does not bear such a name is `OTHER`.

Runs in `.venvs/pii` alone. Each is set up as its manual says, with all that it finds switched on
and no model: none is needed for these types, and none is fetched.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from benchmarks.pii.score import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Find = Callable[[str], Iterable[tuple[int, int, str]]]

NAMES = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "FAX": "PHONE",
    "CARD": "CREDIT_CARD",
    "IBAN_CODE": "IBAN",
    "SSN": "US_SSN",
    "SOCIAL_SECURITY_NUMBER": "US_SSN",
    "RRN": "KR_RRN",
    "FRN": "KR_FRN",
    "BUSINESS_REG": "KR_BRN",
    "PASSPORT": "KR_PASSPORT",
    "DRIVER_LICENSE": "KR_DRIVER_LICENSE",
    "ACCOUNT": "BANK_ACCOUNT",
    "US_BANK_NUMBER": "BANK_ACCOUNT",
    "IP": "IP_ADDRESS",
    "CREDENTIAL": "SECRET",
    "URL": "URL",
}


def named(name: str) -> str:
    """Return the label's name for a peer's."""
    upper = name.upper()
    return upper if upper in TYPES else NAMES.get(upper, "OTHER")


def ko_pii() -> Find:
    """ko-pii: rules for Korean documents."""
    import ko_pii as package

    return lambda text: [(r.start, r.end, named(r.label)) for r in package.detect_all(text)]


def datafog() -> Find:
    """Return datafog's regular expressions on its native backend."""
    from datafog import engine

    def find(text: str) -> list[tuple[int, int, str]]:
        found = engine.scan(text, engine="regex", backend="rust").entities
        return [(each.start, each.end, named(each.type)) for each in found]

    return find


def presidio(threshold: float = 0.4) -> Find:
    """Presidio's pattern recognizers, Korean ones too, around a pipeline of spaCy with no model."""
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer import predefined_recognizers as known
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Blank(SpacyNlpEngine):
        def __init__(self) -> None:
            super().__init__()
            self.nlp = {"en": spacy.blank("en")}
            self.nlp["en"].max_length = 10**8

        def load(self) -> None:
            """There is nothing to fetch."""

    names = "CreditCard Crypto Email Iban Ip Phone MacAddress UsBank UsSsn Url"
    korean = "KrBrn KrDriverLicense KrFrn KrPassport KrRrn"
    registry = RecognizerRegistry(supported_languages=["en"])
    for name in f"{names} {korean}".split():
        registry.add_recognizer(getattr(known, f"{name}Recognizer")(supported_language="en"))
    engine = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])

    def find(text: str) -> list[tuple[int, int, str]]:
        found = engine.analyze(text, "en", score_threshold=threshold)
        return [(each.start, each.end, named(each.entity_type)) for each in found]

    return find


def langchain() -> Find:
    """Run what LangChain's PIIMiddleware runs: five built-in detectors."""
    from langchain.agents.middleware import _redaction as redaction

    detectors: list[Any] = [
        redaction.detect_email,
        redaction.detect_credit_card,
        redaction.detect_ip,
        redaction.detect_mac_address,
        redaction.detect_url,
    ]

    def find(text: str) -> list[tuple[int, int, str]]:
        found = [each for detect in detectors for each in detect(text)]
        return [(each["start"], each["end"], named(each["type"])) for each in found]

    return find


def scrubadub() -> Find:
    """Run scrubadub with its default detectors."""
    import scrubadub as package

    scrubber = package.Scrubber()
    return lambda text: [(f.beg, f.end, named(f.type)) for f in scrubber.iter_filth(text)]


def detect_secrets() -> Find:
    """Run detect-secrets a line at a time: its plugins but for entropy, which flag plain words."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import transient_settings

    names = [plugin.__name__ for plugin in get_mapping_from_secret_type_to_class().values()]
    plugins = [{"name": name} for name in sorted(names) if "Entropy" not in name]
    kinds = {
        "JSON Web Token": "JWT",
        "Private Key": "PRIVATE_KEY",
        "Public IP (ipv4)": "IP_ADDRESS",
    }

    def find(text: str) -> list[tuple[int, int, str]]:
        found: list[tuple[int, int, str]] = []
        at = 0
        with transient_settings({"plugins_used": plugins}):
            for line in text.split("\n"):
                for each in scan_line(line):  # which says what, not where
                    value = each.secret_value or ""
                    if value and (start := line.find(value)) >= 0:
                        kind = kinds.get(each.type, "SECRET")
                        found.append((at + start, at + start + len(value), kind))
                at += len(line) + 1
        return found

    return find


PEERS: dict[str, tuple[str, Callable[[], Find]]] = {
    "ko-pii": ("ko-pii", ko_pii),
    "datafog (rust)": ("datafog", datafog),
    "Presidio, patterns": ("presidio-analyzer", presidio),
    "LangChain PIIMiddleware": ("langchain", langchain),
    "scrubadub": ("scrubadub", scrubadub),
    "detect-secrets": ("detect-secrets", detect_secrets),
}
"""By name on the page: the distribution, and how to set it up."""


def quiet() -> None:
    """Keep what peers log about missing networks off the page."""
    logging.disable(logging.CRITICAL)
