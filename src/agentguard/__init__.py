"""Production guards for any function that calls a language model.

    import agentguard as ag

    @ag.guard(ag.fallback(backup), ag.retry(attempts=3), ag.breaker(), ag.timeout(30))
    def ask(question: str) -> str: ...

Every policy works on functions, coroutine functions, generators, async generators and functions
that return an SDK's stream, and alone as a decorator.
"""

from __future__ import annotations

from agentguard import alerts, detect, errors, events, exporters, presets, settings
from agentguard.caching.blocks import cache_bypass, cache_refresh
from agentguard.engine.call import Attempt, Call, Outcome
from agentguard.engine.carry import carry
from agentguard.engine.chain import Next, Policy
from agentguard.engine.flush import flush
from agentguard.engine.gate import Window
from agentguard.engine.guard import guard
from agentguard.engine.judging import Answer, Judge, judged
from agentguard.engine.recorded import record
from agentguard.engine.reply import Reply, observe
from agentguard.engine.scope import context, deadline
from agentguard.engine.switches import locked, switch
from agentguard.engine.verdict import Finding, reask, replace, shadow, stop
from agentguard.explain import describe, explain
from agentguard.health import health
from agentguard.integrations.sse import sse
from agentguard.masking.masker import Masker
from agentguard.masking.vault import Vault
from agentguard.policies.breaker import breaker
from agentguard.policies.budget import budget
from agentguard.policies.cache import cache
from agentguard.policies.fallback import fallback
from agentguard.policies.ground import annotate, ground
from agentguard.policies.log import log
from agentguard.policies.mask_pii import mask_pii
from agentguard.policies.metrics import metrics
from agentguard.policies.moderate import moderate
from agentguard.policies.on_event import on_event
from agentguard.policies.prompt_cache import prompt_cache
from agentguard.policies.retry import retry
from agentguard.policies.screen_injection import screen_injection
from agentguard.policies.timeout import timeout
from agentguard.policies.trace import trace
from agentguard.policies.validate_input import validate_input
from agentguard.policies.validate_output import validate_output
from agentguard.presets import preset
from agentguard.report import report
from agentguard.retrying.budget import RetryBudget
from agentguard.tokens import prices
from agentguard.tokens.count import count_tokens
from agentguard.usage import usage

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Attempt",
    "Call",
    "Finding",
    "Judge",
    "Masker",
    "Next",
    "Outcome",
    "Policy",
    "Reply",
    "RetryBudget",
    "Vault",
    "Window",
    "alerts",
    "annotate",
    "breaker",
    "budget",
    "cache",
    "cache_bypass",
    "cache_refresh",
    "carry",
    "context",
    "count_tokens",
    "deadline",
    "describe",
    "detect",
    "errors",
    "events",
    "explain",
    "exporters",
    "fallback",
    "flush",
    "ground",
    "guard",
    "health",
    "judged",
    "locked",
    "log",
    "mask_pii",
    "metrics",
    "moderate",
    "observe",
    "on_event",
    "preset",
    "presets",
    "prices",
    "prompt_cache",
    "reask",
    "record",
    "replace",
    "report",
    "retry",
    "screen_injection",
    "settings",
    "shadow",
    "sse",
    "stop",
    "switch",
    "timeout",
    "trace",
    "usage",
    "validate_input",
    "validate_output",
]
