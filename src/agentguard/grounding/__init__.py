"""What an answer claims, and whether its sources say so. Nothing of the engine is in it.

- `sentences`: an answer in sentences; `claims`: what a sentence states that can be looked up.
- `figures`, with `units`, `amounts` and `hangul`: numbers; `dates`: dates and times; `names`:
  names; `literal`: quotations, addresses, identifiers.
- `evidence`: what the sources say, made to be looked up in; `sources`: the texts of documents.
- `meaning`: sentences compared by an embedding; `judging`: what a judge model is asked and told.
"""
