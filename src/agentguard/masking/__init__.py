"""Masking: values out of texts, placeholders in, and back. Knows nothing of calls.

Read in this order:

- `placeholder`: what a placeholder looks like, and in which spellings a model returns it.
- `alike`: when two spellings are one value.
- `vault`: what stands for what.
- `restoring`, `answers`: the steps over a text that arrives in pieces.
- `strategies`: what else may stand in a value's place.
- `masker`: a text in, a masked one out.
"""
