"""The engine: how a chain of policies runs around any callable, in every shape, from one source.

Read in this order:

- `drive`: one coroutine for sync and async callers; `clock`, `loop`, `workers`: what it waits with.
- `scope`: what surrounds calls; `limits`, `bounds`: points in time, and how they are kept.
- `target`, `call`: what is called, one call of it, an attempt, an outcome; `records`: for listeners.
- `channels`, `reply`: an answer, unary or streaming, its texts and its one settlement.
- `streams`, `generators`: what the caller holds; `lost`: what a finalizer must not do itself.
- `runtime`, `chain`: everything that waits, policies, and the end of the chain.
- `decorate`, `guard`: one guarded callable, and what makes it; `alternative`: what may be called
  instead; `sight`: whether a model call was seen. With `refuse`, `order`, `spelling`, `arguments`,
  `triggers`: how a guard is written.
- `carry`: the scope in other threads and processes.
- `marks`, `recorded`, `flush`, `trouble`: notes on exceptions, `record`, `flush`, and the log.
"""
