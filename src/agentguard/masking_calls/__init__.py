"""Masking around calls: which vault holds for which, one request masked, and what else must not leak.

- `conversations`: vaults that outlive a call; `continued`: those of what a provider remembers.
- `in_force`: the vault that stands in a call's scope.
- `request`: the texts of one request, masked.
- `answers`: what comes back.
- `tracing`: LangSmith's ambient client.
"""
