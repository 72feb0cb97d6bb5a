"""What `budget(...)` decides with, none of it aware of chains: read `limits` and `period` first.

`demand` says what an attempt may use, `expected` how long answers usually are, `purse` is the
ledger of one request, `charge` holds what was set aside for one attempt, `meter` follows a stream.
"""
