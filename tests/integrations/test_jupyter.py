"""Jupyter: guarded calls in the cells of a notebook, run by a real kernel on its running loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from agentguard import report, retry
from agentguard.testing import FakeProvider, fault

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Notebook:
    """A notebook on a kernel of its own: cells are run one by one, what they show is returned."""

    def __init__(self, client: NotebookClient) -> None:
        self._client = client

    def run(self, source: str) -> str:
        """Run a cell and return its output as plain text; what it raises is raised here."""
        cell = nbformat.v4.new_code_cell(source)
        self._client.nb.cells.append(cell)
        self._client.execute_cell(cell, len(self._client.nb.cells) - 1)
        return "".join(shown(output) for output in cell.outputs)


def shown(output: Any) -> str:
    """Return what a frontend shows of an output without HTML."""
    text = output["text"] if output["output_type"] == "stream" else output["data"]["text/plain"]
    return str(text)


def client_of(notebook: Any) -> NotebookClient:
    """Return what runs a notebook in the repository's root."""
    resources = {"metadata": {"path": str(ROOT)}}
    return NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources)


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    """Run one provider that the notebook asks."""
    with FakeProvider(answer="one two three") as running:
        yield running


@pytest.fixture(scope="module")
def notebook(provider: FakeProvider) -> Iterator[Notebook]:
    """Start one kernel for all cells; pytest's own loop stays out of its way."""
    client = client_of(nbformat.v4.new_notebook())
    client.nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    with client.setup_kernel():
        running = Notebook(client)
        running.run(
            f"url = {provider.openai_url!r}\n"
            "import asyncio, openai\n"
            "import agentguard as ag\n"
            "say = [{'role': 'user', 'content': 'hi'}]\n"
            "options = dict(model='gpt-4o-mini', messages=say)\n"
            "safe = ag.guard(ag.retry(attempts=3), ag.breaker(), ag.timeout(20))\n"
            "client = openai.OpenAI(base_url=url, api_key='sk-test', max_retries=0)\n"
            "aclient = openai.AsyncOpenAI(base_url=url, api_key='sk-test', max_retries=0)\n"
            "tell = safe(client.chat.completions.create)\n"
            "atell = safe(aclient.chat.completions.create)\n"
            "@safe\n"
            "def ask():\n"
            "    return client.chat.completions.create(**options).choices[0].message.content\n"
            "@safe\n"
            "async def aask():\n"
            "    answer = await aclient.chat.completions.create(**options)\n"
            "    return answer.choices[0].message.content\n"
        )
        yield running


@pytest.fixture(autouse=True)
def _answers(provider: FakeProvider) -> None:
    provider.clear()


def test_a_loop_is_running(notebook: Notebook):
    """The kernel runs cells on its loop, which is what makes them hard for sync libraries."""
    assert notebook.run("print(asyncio.get_running_loop().is_running())") == "True\n"


def test_a_sync_function(notebook: Notebook, provider: FakeProvider):
    """The real sync client under a guard is retried in a cell, with its waits and time bound."""
    provider.script(fault.status(503), "two")
    assert notebook.run("ask()") == "'two'"
    assert len(provider.journal) == 2


def test_a_sync_stream(notebook: Notebook):
    """A guarded stream of the sync client is read by `for` in a cell."""
    out = notebook.run(
        "for chunk in tell(stream=True, **options):\n"
        "    print(chunk.choices[0].delta.content or '', end='') if chunk.choices else None\n"
    )
    assert out == "one two three"


def test_an_awaited_coroutine(notebook: Notebook, provider: FakeProvider):
    """`await` at the top of a cell works on the real async client under a guard."""
    provider.script(fault.status(503), "two")
    assert notebook.run("await aask()") == "'two'"
    assert len(provider.journal) == 2


def test_async_for(notebook: Notebook):
    """`async for` at the top of a cell reads a guarded stream."""
    out = notebook.run(
        "async for chunk in await atell(stream=True, **options):\n"
        "    print(chunk.choices[0].delta.content or '', end='') if chunk.choices else None\n"
    )
    assert out == "one two three"


@pytest.mark.parametrize("kind", ["OpenAI", "AsyncOpenAI"])
def test_a_guarded_client(notebook: Notebook, provider: FakeProvider, kind: str):
    """A guarded client answers in a cell, after a failure that it retries."""
    provider.script(fault.status(503), "two")
    wait = "await " if kind == "AsyncOpenAI" else ""
    out = notebook.run(
        f"held = safe(openai.{kind}(base_url=url, api_key='sk-test'))\n"
        f"answer = {wait}held.chat.completions.create(**options)\n"
        "answer.choices[0].message.content\n"
    )
    assert out == "'two'"
    assert len(provider.journal) == 2


def test_a_report_shows_itself(notebook: Notebook, provider: FakeProvider):
    """A report as the last expression of a cell is shown as its waterfall, attempt by attempt."""
    provider.script(fault.status(503), "two")
    out = notebook.run("with ag.report() as r:\n    ask(); await aask()\nr\n")
    lines = out.splitlines()
    assert lines[0].startswith("ask  completed")
    assert "ask #1: overloaded" in lines[1]
    assert "ask #2: completed" in lines[2]
    assert any(line.startswith("aask  completed") for line in lines)
    assert notebook.run("print(repr(r))") == "<report of 2 calls>\n"
    assert 'class="agentguard-report"' in notebook.run("print(r._repr_html_())")
    assert notebook.run("print(str(r))").rstrip("\n") == out.rstrip("\n")


def test_blocks_end_with_their_cell(notebook: Notebook):
    """What a block in one cell said is gone in the next, and tasks begun inside keep it."""
    notebook.run(
        "from agentguard.engine.scope import surrounding\n"
        "async def tags(): await asyncio.sleep(0.01); return dict(surrounding().tags)\n"
        "with ag.context(user='u'):\n"
        "    task = asyncio.create_task(tags())\n"
    )
    assert notebook.run("await task") == "{'user': 'u'}"
    assert notebook.run("dict(surrounding().tags)") == "{}"


def test_a_cell_that_is_interrupted(notebook: Notebook):
    """A stream left half read by one cell is read on, or closed, in the next."""
    notebook.run("stream = tell(stream=True, **options); first = next(iter(stream))")
    notebook.run("stream.close()")
    assert notebook.run("ag.flush()") == "True"


def test_in_a_terminal():
    """A plain REPL shows one short line; `print` shows the waterfall."""

    @retry(attempts=1)
    def ask() -> str:
        return "42"

    with report() as seen:
        ask()
    assert repr(seen) == "<report of 1 calls>"
    assert str(seen).startswith("ask  completed")


def test_the_example():
    """The example notebook runs from its first cell to its last, and shows a report."""
    path = ROOT / "examples" / "notebook.ipynb"
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "kept without outputs"
    asyncio.run(client_of(notebook).async_execute())
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", ())]
    assert "completed" in "".join(map(shown, outputs))
    drawn = [
        "".join(each["data"]["text/html"])
        for each in outputs
        if "text/html" in each.get("data", ())
    ]
    assert len(drawn) == 2
    assert all(html.startswith('<div class="agentguard-report">') for html in drawn)
    assert "first content" in drawn[1]
