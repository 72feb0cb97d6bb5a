"""Files about packages that are not installed here hold no tests here."""

from __future__ import annotations

from tests.providers.sdk_targets import version

NEEDS = {
    "test_cache_clients.py": "openai",
    "test_cache_edges.py": "openai",
    "test_cache_google.py": "google-genai",
    "test_cache_langchain.py": "langchain-openai",
    "test_cache_litellm.py": "litellm",
    "test_mask_agents.py": "langchain",
    "test_mask_clients.py": "openai",
    "test_mask_google.py": "google-genai",
    "test_mask_langchain.py": "langchain-openai",
    "test_mask_litellm.py": "litellm",
    "test_counterparts.py": "langchain-anthropic",
    "test_pydantic_ai.py": "pydantic-ai-slim",
    "test_google_client.py": "google-genai",
    "test_litellm_router.py": "litellm",
    "test_asgi.py": "uvicorn",
    "test_celery.py": "celery",
    "test_jupyter.py": "nbclient",
    "test_mask_pydantic_ai.py": "pydantic-ai-slim",
    "test_mask_streams_in.py": "langchain-core",
    "test_pickling.py": "openai",
    "test_preset_clients.py": "openai",
    "test_preset_google.py": "google-genai",
    "test_preset_langchain.py": "langchain-openai",
    "test_metrics_processes.py": "gunicorn",
    "test_prefork.py": "gunicorn",
    "test_langchain_middleware.py": "langchain",
    "test_langchain_objects.py": "langchain-openai",
    "test_langgraph_agent.py": "langgraph",
    "test_sdk_clients.py": "openai",
    "test_sse.py": "uvicorn",
    "test_validation_clients.py": "openai",
    "test_web_disconnects.py": "uvicorn",
    "test_web_scope.py": "uvicorn",
}
collect_ignore = [file for file, package in NEEDS.items() if version(package) < 0]
