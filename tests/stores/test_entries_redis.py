"""What only a server can do to answers: hang, restart, be full, be a cluster, delete by itself."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from agentguard.stores import entries_redis, redis_client
from agentguard.stores.entries import Entries, Entry, Size, StoreUnavailable
from agentguard.stores.entries_redis import SHARDS, STEP
from agentguard.stores.open import open_entries
from agentguard.stores.packed import pack
from tests.policies.redis_server import RedisServer
from tests.stores.entries_kit import NOW, entry
from tests.stores.kit import SECRET
from tests.stores.test_redis import eventually, told, url


@pytest.fixture(params=["url", "client"])
def secret(request: pytest.FixtureRequest, own: RedisServer) -> Iterator[Entries]:
    """On a server with a password, from its address or from a client that would wait for ever."""
    if request.param == "url":
        entries = open_entries(url(own))
        yield entries
        entries.close()
        return
    client = redis.Redis(port=own.port, password=SECRET)
    yield open_entries(client)
    client.close()


@pytest.fixture
def client(server: RedisServer, patient: None) -> Iterator[redis.Redis]:
    """A client of the user's."""
    client = server.client()
    yield client
    client.close()


def names(client: redis.Redis) -> list[str]:
    """All keys of the server."""
    return sorted(name.decode() for name in client.keys("*"))


def sent(client: redis.Redis) -> collections.Counter[str]:
    """How many commands of each kind the server was sent, those of scripts included."""
    found = client.info("commandstats")
    return collections.Counter(
        {name.removeprefix("cmdstat_"): each["calls"] for name, each in found.items()}
    )


def test_a_server_that_is_down_is_said(own: RedisServer, secret: Entries):
    """Every operation raises one type of error, with the place and nothing that is secret."""
    own.stop()
    given = entry(b"riddle", tags=["alice"])
    for operation in (
        lambda: secret.get("faq", "a", NOW),
        lambda: secret.get_many("faq", ["a"], NOW),
        lambda: secret.put("faq", "a", given, NOW),
        lambda: secret.put_many("faq", {"a": given}, NOW),
        lambda: secret.delete("faq", "a"),
        lambda: secret.invalidate("faq", "alice"),
        lambda: secret.scan("faq", "alice", NOW),
        lambda: secret.clear("faq"),
        lambda: secret.size("faq", NOW),
    ):
        with pytest.raises(StoreUnavailable, match="Redis at ") as raised:
            operation()
        assert str(own.port) in str(raised.value)
        for word in (SECRET, "alice", "riddle"):
            assert word not in told(raised.value)
    assert SECRET not in repr(secret) + secret.place


def answers(entries: Entries, expected: Entry | None) -> bool:
    """Whether the store is reached again and gives that."""
    try:
        return entries.get("faq", "a", NOW) == expected
    except StoreUnavailable:  # a client that retries is still at it, or the machine is busy
        return False


def test_a_server_that_restarts_is_used_again(own: RedisServer, secret: Entries):
    """It is empty and gives nothing, and keeps what is put."""
    secret.put("faq", "a", entry(), NOW)
    own.stop()
    with pytest.raises(StoreUnavailable):
        secret.get("faq", "a", NOW)
    own.start()
    eventually(lambda: answers(secret, None))
    secret.put("faq", "a", entry(tags=["t"]), NOW)
    assert secret.get("faq", "a", NOW) == entry(tags=["t"])
    assert secret.invalidate("faq", "t") == 1


def test_a_server_that_hangs_is_not_waited_for(own: RedisServer, secret: Entries):
    """Also through a client that would wait for ever; when it answers again all goes on."""
    secret.put("faq", "a", entry(), NOW)
    own.freeze()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="cannot be used"):
            secret.get("faq", "a", NOW)
    own.thaw()
    eventually(lambda: answers(secret, entry()))


def test_a_wrong_password_is_not_repeated(own: RedisServer):
    """Neither the right one nor the wrong one."""
    entries = open_entries(url(own, "letmein"))
    with pytest.raises(StoreUnavailable, match="AuthenticationError") as raised:
        entries.put("faq", "a", entry(), NOW)
    assert "letmein" not in told(raised.value) + repr(entries)
    entries.close()


@pytest.mark.usefixtures("patient")
def test_a_full_server_takes_no_more_and_still_lets_go(own: RedisServer, secret: Entries):
    """What is there is given, and can be invalidated."""
    secret.put("faq", "a", entry(tags=["t"]), NOW)
    admin = own.client(password=SECRET)
    admin.config_set("maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="OutOfMemoryError"):
        secret.put("faq", "b", entry(tags=["t"]), NOW)
    assert secret.get("faq", "a", NOW) == entry(tags=["t"])
    assert secret.invalidate("faq", "t") == 1
    assert secret.get("faq", "a", NOW) is None
    admin.close()


def test_what_a_put_could_not_finish_is_not_there(client: redis.Redis):
    """The entry is written after its lists: one of another type fails before it."""
    entries = open_entries(client)
    entries.put("faq", "a", entry(b"old", tags=["t"]), NOW)
    (tagged,) = [name for name in names(client) if name.endswith(":tags")]
    client.set(tagged, "foreign")
    with pytest.raises(StoreUnavailable, match="ResponseError") as raised:
        entries.put("faq", "a", entry(b"the answer", tags=["t"]), NOW)
    assert "answer" not in told(raised.value)
    client.delete(tagged)
    assert entries.get("faq", "a", NOW) != entry(b"the answer", tags=["t"])


def test_an_operation_is_one_round_trip(client: redis.Redis):
    """A get is one GET, a put one script; many of them are sent together."""
    entries = open_entries(client)
    many = {str(number): entry(tags=["t"]) for number in range(STEP)}
    entries.put_many("faq", many, NOW)
    client.connection_pool.disconnect()
    before = sent(client)
    entries.get("faq", "1", NOW)
    assert (sent(client) - before)["eval"] == 1
    before = sent(client)
    entries.put("faq", "1", entry(tags=["t"]), NOW)
    assert (sent(client) - before)["eval"] == 1
    trips: list[int] = []
    connection = client.connection_pool.get_connection()
    client.connection_pool.release(connection)
    send = connection.send_packed_command

    def counted(command: Any, *rest: Any, **words: Any) -> Any:
        trips.append(1)
        return send(command, *rest, **words)

    connection.send_packed_command = counted
    assert all(entries.get_many("faq", list(many), NOW))
    assert len(trips) == 1
    entries.put_many("faq", many, NOW)
    assert len(trips) == 2
    assert len(entries.scan("faq", "t", NOW)) == STEP
    assert len(trips) == 4
    entries.invalidate("faq", "t")
    assert len(trips) == 5


def test_more_than_one_step_is_gone_through(client: redis.Redis, monkeypatch: pytest.MonkeyPatch):
    """Shards that hold more than one step takes are asked again, and only they."""
    monkeypatch.setattr(entries_redis, "STEP", 3)
    entries = open_entries(client)
    for many in (2, 64, 400):
        given = {str(each): entry(b"x", tags=["t", f"t{each % 2}"]) for each in range(many)}
        entries.put_many("faq", given, NOW)
        assert entries.size("faq", NOW) == Size(many, many)
        assert dict(entries.scan("faq", "t", NOW)) == given
        assert entries.invalidate("faq", "t1") == many // 2
        assert entries.size("faq", NOW) == Size(many // 2, many // 2)
        assert entries.clear("faq") == many // 2
        entries.put_many("faq", given, NOW)
        assert entries.size("faq", NOW + 900) == Size(0, 0)
    assert {name.rpartition(":")[2] for name in names(client)} == {"about", "tags"}


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "noeviction"])
def test_a_full_server_gives_nothing_that_was_invalidated(policy: str, patient: None):
    """Whatever it pushed out, the lists by which an invalidation finds answers included."""
    server = RedisServer("--save", "", "--maxmemory", "4mb", "--maxmemory-policy", policy)
    server.start()
    client = server.client()
    entries = open_entries(client)
    keys = [str(number) for number in range(2000)]
    refused = 0
    try:
        for number, key in enumerate(keys):
            given = entry(b"x" * 2000, keeps=100 + number * 37 % 900, tags=[f"t{number % 20}"])
            try:
                entries.put("faq", key, given, NOW)
            except StoreUnavailable:
                refused += 1
        pushed_out = client.info("stats")["evicted_keys"]
        assert any(entries.get_many("faq", keys, NOW))
        for tag in range(20):
            entries.invalidate("faq", f"t{tag}")
        assert not any(entries.get_many("faq", keys, NOW))
        assert pushed_out + refused > 100
    finally:
        client.close()
        server.stop()


def test_names_tell_nothing_and_everything_expires(client: redis.Redis):
    """Digests alone, an expiry of what is kept for the entry, and a minute more for the lists."""
    entries = open_entries(client)
    entries.put("a faq", "2f1c", entry(b"42", keeps=100, tags=["alice@example.com"]), NOW)
    found = {name.partition("}:")[2].split(":")[0]: name for name in names(client)}
    assert sorted(found) == ["about", "ends", "entry", "tags"]
    assert all(name.startswith("agentguard:cache:{a%20faq:") for name in found.values())
    assert "alice" not in str(found)
    assert found["entry"].endswith("}:entry:2f1c")
    assert 90 < client.ttl(found["entry"]) <= 100
    for kind in ("about", "ends", "tags"):
        assert 150 < client.ttl(found[kind]) <= 160
    entries.put("a faq", "2f1c", entry(b"42", keeps=1000, tags=["alice@example.com"]), NOW)
    assert all(990 < client.ttl(name) <= 1060 for name in found.values())


def test_lists_outlive_the_longest_entry(client: redis.Redis):
    """A short entry of the same shard and tag does not take the lists away from a long one."""
    entries = open_entries(client)
    # One shard has both: the keys are tried until they do.
    entries.put("faq", "0", entry(keeps=5000, tags=["t"]), NOW)
    for number in range(1, 4 * SHARDS):
        entries.put("faq", str(number), entry(keeps=10, tags=["t"]), NOW)
    shard = next(name for name in names(client) if name.endswith(":entry:0")).partition(":entry")[0]
    assert len([name for name in names(client) if name.startswith(f"{shard}:entry:")]) > 1
    for name in names(client):
        if name.startswith(shard) and ":entry:" not in name:
            assert client.ttl(name) > 4000


def test_what_redis_deleted_by_itself_leaves_the_lists(client: redis.Redis):
    """Entries that expired are swept by what comes after them, so that nothing grows for ever."""
    entries = open_entries(client)
    for number in range(300):
        entries.put("faq", str(number), entry(keeps=0.001, tags=[f"t{number}"]), NOW)
    eventually(lambda: not any(":entry:" in name for name in names(client)))
    assert entries.size("faq", NOW + 1) == Size(0, 0)
    for name in names(client):
        if name.endswith(":tags"):  # the era alone
            assert client.zcard(name) == 1
        else:
            assert client.hgetall(name) == {b"bytes": b"0"}


def test_what_redis_pushed_out_is_a_miss(client: redis.Redis):
    """Whatever of it: the entry, or one of the lists; nothing fails, and sums are never negative."""
    for kind in (":entry:", ":about", ":ends", ":tags"):
        entries = open_entries(client)
        client.flushall()
        for number in range(200):
            entries.put("faq", str(number), entry(tags=["t"]), NOW)
        client.delete(*[name for name in names(client) if kind in name])
        found = [each for each in entries.get_many("faq", list(map(str, range(200))), NOW) if each]
        assert len(found) == (0 if kind in {":entry:", ":tags"} else 200)
        assert entries.size("faq", NOW).entries in {0, 200}
        assert entries.size("faq", NOW + 1e6).entries == 0
        assert entries.invalidate("faq", "t") >= 0
        entries.put("faq", "0", entry(tags=["t"]), NOW)
        assert entries.invalidate("faq", "t") == 1
        entries.clear("faq")


@pytest.mark.parametrize(
    "value",
    [b"", b"agc1", b"agc2" + pack(entry())[4:], pack(entry())[:-1], "답".encode(), b"\xff" * 60],
    ids=["empty", "little", "version", "cut", "text", "bytes"],
)
@pytest.mark.parametrize("decode", [False, True], ids=["bytes", "text"])
def test_a_value_that_cannot_be_read_is_a_miss(
    server: RedisServer, patient: None, value: bytes, decode: bool
):
    """Of another version, cut, or somebody else's; through clients that read text, too."""
    client = server.client(decode_responses=decode)
    entries = open_entries(client)
    entries.put("faq", "a", entry(b"\xff\0", tags=["t"]), NOW)
    assert entries.get("faq", "a", NOW) == entry(b"\xff\0", tags=["t"])
    assert entries.scan("faq", "t", NOW) == [("a", entry(b"\xff\0", tags=["t"]))]
    (name,) = client.keys("*:entry:a")
    plain = server.client()
    era = plain.getrange(name, 0, 16)
    plain.close()
    client.set(name, era + value)
    assert entries.get("faq", "a", NOW) is None
    client.set(name, value)
    assert entries.get("faq", "a", NOW) is None
    assert entries.get_many("faq", ["a"], NOW) == [None]
    assert entries.scan("faq", "t", NOW) == []
    entries.put("faq", "a", entry(tags=["t"]), NOW)
    assert entries.invalidate("faq", "t") == 1
    client.close()


def test_a_value_of_another_type_is_said(client: redis.Redis):
    """Somebody else's list under our name is no miss: writing would fail as well."""
    entries = open_entries(client)
    entries.put("faq", "a", entry(), NOW)
    (name,) = client.keys("*:entry:a")
    client.delete(name)
    client.rpush(name, "foreign")
    with pytest.raises(StoreUnavailable, match="ResponseError"):
        entries.get("faq", "a", NOW)
    entries.put("faq", "a", entry(), NOW)
    assert entries.get("faq", "a", NOW) == entry()


def test_a_cluster_works_and_all_its_slots_are_used(cluster: RedisServer, patient: None):
    """Answers of one space and one tag are in many slots; each operation finds them all."""
    client = redis.RedisCluster(host="127.0.0.1", port=cluster.port)
    entries = open_entries(client)
    many = {f"k{number}": entry(b"\xff%d" % number, tags=["t", "u"]) for number in range(500)}
    entries.put_many("faq", many, NOW)
    entries.put("faq", "k0", many["k0"], NOW)
    assert entries.get("faq", "k0", NOW) == many["k0"]
    assert entries.get_many("faq", [*many, "none"], NOW) == [*many.values(), None]
    assert dict(entries.scan("faq", "t", NOW)) == many
    plain = cluster.client()
    slots = {plain.execute_command("CLUSTER KEYSLOT", name) for name in names(plain)}
    assert len(slots) == SHARDS
    plain.close()
    entries.delete("faq", "k0")
    assert entries.size("faq", NOW).entries == 499
    assert entries.invalidate("faq", "u") == 499
    assert entries.size("faq", NOW) == Size(0, 0)
    assert "password" not in repr(entries)
    client.close()


def test_nobody_waits_longer_than_the_bound(own: RedisServer, monkeypatch: pytest.MonkeyPatch):
    """A client without timeouts on a server that hangs: each operation asks the clock for 0.2 s."""
    client = redis.Redis(port=own.port, password=SECRET)
    entries = open_entries(client)
    entries.put("faq", "a", entry(), NOW)
    waited: list[float | None] = []
    start = redis_client.workers.start

    def started(work: Any) -> Any:
        job = start(work)
        wait = job.done.wait
        job.done.wait = lambda timeout=None: (waited.append(timeout), wait(timeout))[1]
        return job

    monkeypatch.setattr(redis_client.workers, "start", started)
    own.freeze()
    with pytest.raises(StoreUnavailable, match=r"no answer within 0\.2 s"):
        entries.put("faq", "a", entry(), NOW)
    with pytest.raises(StoreUnavailable, match="an earlier request still hangs"):
        entries.get("faq", "a", NOW)
    own.thaw()
    assert waited == [0.2]
    assert entries._redis._stuck.done.wait(30)
    client.close()
