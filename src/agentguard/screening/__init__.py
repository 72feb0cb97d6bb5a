"""What an injection into a prompt looks like, and a leak of one. Knows no engine.

- `rules`: one text screened, more strictly where somebody else wrote it; `english` and `korean` have
  the phrases.
- `hidden`: text that a person does not see and a model reads.
- `canary`: a marker in the system prompt, and whether an answer gives it away.
"""
