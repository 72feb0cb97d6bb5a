"""Files about packages that are not installed here hold no tests here."""

from __future__ import annotations

from tests.providers.sdk_targets import version

collect_ignore = (
    ["test_sent.py"] if min(map(version, ("google-genai", "langchain-openai"))) < 0 else []
)
