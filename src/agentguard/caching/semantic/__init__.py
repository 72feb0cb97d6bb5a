"""Answers to questions asked before in other words: read `semantic` first.

`encoder` makes vectors, `index` finds near ones, `veto` refuses those that ask something else. The
veto compares two `Reading`s: `reading` takes a text apart, `english` and `korean` know words,
`numbers` knows amounts.
"""
