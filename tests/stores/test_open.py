"""What may stand after `store=`, and what is said of the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentguard.stores.ledger import Ledger
from agentguard.stores.memory import MemoryLedger
from agentguard.stores.open import open_store


def test_none_is_this_process():
    """Without a store each policy counts for itself."""
    assert isinstance(open_store(), MemoryLedger)
    assert open_store() is not open_store()


def test_a_ledger_is_taken_as_it_is():
    """A store of one's own needs only the protocol."""
    ledger = MemoryLedger()
    assert open_store(ledger) is ledger


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///budgets.db", str(Path("budgets.db").absolute())),
        ("sqlite:////var/lib/budgets.db", "/var/lib/budgets.db"),
    ],
)
def test_three_slashes_are_relative_and_four_absolute(url: str, path: str):
    """As SQLAlchemy writes them; nothing is opened yet."""
    ledger = open_store(url)
    assert ledger.place == f"the SQLite file {path}"
    assert not Path(path).exists()


@pytest.mark.parametrize(
    "store",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://budgets.db", "sqlite:///a?mode=ro"],
)
def test_a_sqlite_address_that_is_no_file(store: str):
    """The message says what to write."""
    with pytest.raises(ValueError, match=r'write store="sqlite:///budgets.db"'):
        open_store(store)


@pytest.mark.parametrize(
    "store", ["budgets.db", "postgres://:hunter2@host/db", "hunter2", "redis:hunter2"]
)
def test_another_text_is_refused_and_not_repeated(store: str):
    """It may hold a password."""
    with pytest.raises(ValueError, match=r'takes "sqlite:///budgets.db"') as raised:
        open_store(store)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("store", [7, object(), ["sqlite:///budgets.db"]])
def test_another_thing_is_refused(store: object):
    """By its type."""
    with pytest.raises(TypeError, match=rf"not {type(store).__name__}$"):
        open_store(store)


def test_a_user_name_and_password_are_shown_nowhere():
    """Neither repr nor place has anything of the credentials."""
    ledger = open_store("rediss://someone:hunter2@redis.internal:6380/3")
    assert ledger.place == "Redis at redis.internal:6380/3"
    assert "hunter2" not in repr(ledger)
    assert "someone" not in repr(ledger)
    ledger.close()
    assert open_store("unix:///run/redis.sock").place == "Redis at /run/redis.sock"


def test_stores_are_loaded_when_asked_for():
    """Neither sqlite3 nor redis is imported for a budget in memory."""
    code = (
        "import sys; from agentguard.stores.open import open_store; ledger = open_store()\n"
        "print({'sqlite3', 'redis', 'asyncio', 'logging'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert run.stdout.strip() == "set()"


def test_every_store_is_a_ledger():
    """The protocol can be checked at run time."""
    assert isinstance(MemoryLedger(), Ledger)
    assert not isinstance(object(), Ledger)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:hun#ter2@host:6379/0",
        "redis://:hunter2@host:99999999/0",
        "redis://u:hun/ter@h",
    ],
    ids=["hash", "port", "slash"],
)
def test_an_address_that_cannot_be_read_keeps_its_password(url: str) -> None:
    """What redis-py says of it quotes a part of the password as a port."""
    pytest.importorskip("redis")
    with pytest.raises(ValueError, match="write %23") as caught:
        open_store(url)
    assert "hun" not in str(caught.value)
    assert caught.value.__context__ is None
