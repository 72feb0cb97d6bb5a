"""One circuit: its rules, its windows, its gate, and the pybreaker storage its state lives in.

`agentguard.policies.breaker` puts circuits around calls. The files here know nothing of calls,
and the decisions in them nothing of clocks: whoever asks brings the time.
"""
