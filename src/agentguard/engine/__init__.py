"""The engine: how a chain of policies runs around any callable, in every shape, from one source.

Read in this order: `drive` (one coroutine for sync and async), `clock`, `workers` and `runtime` (what waits),
`scope` (what surrounds calls), `call`, `reply` (answers and streams), `chain` (policies and
attempts), `decorate` (the wrapper that users hold).
"""
