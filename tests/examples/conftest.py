"""Where an SDK that an example needs is not installed there is nothing to test."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.providers.sdk_targets import version

NEEDS = {
    "test_celery_tasks.py": ("celery", "openai"),
    "test_clients.py": ("openai", "anthropic"),
    "test_demo.py": ("openai", "anthropic"),
    "test_fastapi_app.py": ("openai", "uvicorn"),
    "test_google_client.py": ("google-genai",),
    "test_langchain_agent.py": ("langchain", "langchain-openai"),
    "test_litellm_router.py": ("litellm",),
    "test_report_page.py": ("openai",),
}
collect_ignore = [file for file, packages in NEEDS.items() if min(map(version, packages)) < 0]
sys.path.append(str(Path(__file__).parents[2] / "examples"))  # as `python examples/demo.py` has it
