"""What a moderator looks for in a text, and how it sees through disguises. Knows no engine.

- `folded`: a text as a reader takes it: full-width, invisible, spaced out, look-alike characters.
- `rules`: what is looked for, by category; `english` and `korean` have the words.
- `ratings`: what classifiers and moderation endpoints say, read into findings.
- `judging`: what a model that judges is asked, and how its answer is read.
"""
