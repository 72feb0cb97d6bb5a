"""Prompt caching at the provider: what is long enough for it, and what keeps it from working."""
