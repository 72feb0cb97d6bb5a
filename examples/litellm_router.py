"""A guarded LiteLLM Router, and a guarded `litellm.completion`.

`python examples/litellm_router.py` asks a provider on this machine that fails as told.
"""

from __future__ import annotations

import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks the network at import
import litellm

import agentguard as ag
from agentguard.testing import FakeProvider, fault

MESSAGES = [{"role": "user", "content": "What is the answer?"}]

guards = ag.presets.production("answers", fallback="backup").with_(
    ag.retry(attempts=3, wait=lambda _: 0.1)
)


def main() -> None:
    """Ask a Router whose first group fails, then a function, in a stream."""
    with FakeProvider(answer="It is 42.") as provider, ag.report() as seen:
        here = {"api_base": provider.openai_url, "api_key": "your-key"}
        groups = {"main": "openai/gpt-4o", "backup": "openai/gpt-4o-mini"}
        models = [
            {"model_name": name, "litellm_params": {"model": model, **here}}
            for name, model in groups.items()
        ]
        router = guards(litellm.Router(model_list=models))
        provider.script(*[fault.status(503)] * 3)
        answer = router.completion(model="main", messages=MESSAGES)
        print(answer.model, "says:", answer.choices[0].message.content)

        ask = ag.guard(ag.retry(attempts=3, wait=lambda _: 0.1), ag.timeout(30))(litellm.completion)
        provider.script(fault.status(429))
        stream = ask("openai/gpt-4o", MESSAGES, stream=True, max_retries=0, **here)
        print("".join(chunk.choices[0].delta.content or "" for chunk in stream))
        print([[attempt.kind for attempt in call.attempts] for call in seen.calls])


if __name__ == "__main__":
    main()
