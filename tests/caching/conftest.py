"""Files about packages that are not installed here hold no tests here."""

from __future__ import annotations

from tests.providers.sdk_targets import version

NEEDS = {
    "test_answers_sdk.py": "openai",
    "test_answers_types.py": "pydantic",
    "test_canonical_arrays.py": "numpy",
    "test_key_google.py": "google-genai",
    "test_key_langchain.py": "langchain-openai",
    "test_key_litellm.py": "litellm",
    "test_worth.py": "openai",
}
collect_ignore = [file for file, package in NEEDS.items() if version(package) < 0]
