"""What a request will weigh and what a call cost: token counts and prices, offline.

`count` is the way in to counting: `request` finds what is counted in a request, `families` knows
each model's tokenizer and framing, `images` the size of pictures, `encodings` holds tiktoken's
vocabularies. `prices` turns the usage of a call into dollars.
"""
