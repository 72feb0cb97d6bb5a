"""ground() with LangChain's own documents."""

from __future__ import annotations

from langchain_core.documents import Document

from agentguard import ground


def test_langchain_documents_are_read() -> None:
    """The class itself, with what its metadata says."""
    found = Document(page_content="17 seats.", metadata={"source": "https://a.example/b"})

    @ground([found])
    def ask(question: str) -> str:
        return "The bus has 17 seats, see https://a.example/b."

    assert ask("How many?")
