"""What `cache(...)` decides with.

Read in this order:

- `key`: the key of a call, from `canonical` (one form for what is the same), `fingerprint` (what a
  function is), `objects` and `headers` (other libraries' objects), `beside` (what cannot change an
  answer), `asked` (what the user said last).
- `answers`: answers as bytes, with `types`, `layouts`, `parts`; `worth`: which are kept.
- `asking`: one call, with `fresh`, `flight`, `sharing`, `tee`, `replay`, `blocks`, `counts`.
- `semantic`: the same question in other words.
"""
