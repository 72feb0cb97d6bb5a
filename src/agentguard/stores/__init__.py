"""Where budgets are kept: one protocol, `Ledger`, in memory, in SQLite and in Redis.

Read `ledger` first: what a ledger promises is written there, and tested alike on all three. The
files here know nothing of calls or policies; whoever asks brings the time.
"""
