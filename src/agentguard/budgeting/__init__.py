"""What `budget(...)` decides with, read `limits` and `period` first.

`demand` says what an attempt may use, `expected` how long answers usually are, `purse` is the
ledger of one request, `charge` sets aside for one attempt, `meter` follows its stream, `settling` books
what it used, and `tab` does so for every attempt of a call.
"""
