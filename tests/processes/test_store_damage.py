"""What others have put into a store, or broken in it: named with its session, and no other session is harmed by it."""

from __future__ import annotations

import logging
import pathlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from store_kinds import Clock, Make, maker

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

GOOD = b"\x80"  # metadata: an empty dict

#: What stands in one column of the session `bad`.
COLUMNS: list[tuple[str, Any]] = [
    ("metadata", b"\xc1"),
    ("metadata", b""),
    ("metadata", b"\x90"),
    ("metadata", b"\x81\x01\x02"),
    ("metadata", b"\x81\xa1" + b"x" * 3),
    ("metadata", b"\x81\xa1k" * 2_000),
    ("metadata", "text"),
    ("ttl", -5.0),
    ("ttl", 0),
    ("ttl", 1e300),
    ("ttl", float("inf")),
    ("ttl", "long"),
    ("created", "yesterday"),
    ("created", b"\x00"),
    ("last_used", float("-inf")),
    ("last_used", "never"),
]


def _in_sqlite(store: Any, column: str, value: Any) -> None:
    with_default = {"created": 1.0, "last_used": 1.0, "ttl": 60.0, "expires": 2e6, "metadata": GOOD, column: value}
    names = ", ".join(with_default)
    store._db.execute(f"INSERT INTO sessions (id, {names}) VALUES ('bad', ?, ?, ?, ?, ?)", tuple(with_default.values()))


def _in_redis(store: Any, column: str, value: Any) -> None:
    kept = {"created": "1", "last_used": "1", "ttl": "60", "metadata": GOOD, column: value}
    store._redis.hset(store._prefix + "s:bad", mapping=kept)
    store._redis.zadd(store._prefix + "expiry", {"bad": 2e6})


def _put(store: Any, column: str, value: Any) -> None:
    (_in_redis if isinstance(store, snakepit.RedisSessionStore) else _in_sqlite)(store, column, value)


def _others_are_well(store: Any, clock: Clock, caplog: pytest.LogCaptureFixture, bad: str = "bad") -> None:
    """Lists, counts, touches, ends and lifetimes of what else is in the store."""
    with caplog.at_level(logging.WARNING, "snakepit.sessions"):
        for _ in range(2):
            assert [info.id for info in store.sessions()] == ["good"]
    assert len([text for text in caplog.messages if f"session {bad!r} cannot be read" in text]) == 1, caplog.messages
    assert store.count() >= 1
    assert "good" not in store.touch([bad, "good"])
    assert store.get("good").metadata == {"n": 1}
    assert store.gone({"good": store.get("good").created}) == set()
    store.open("brief", ttl=1.0, metadata=None)
    clock.now += 2
    assert "brief" in store.expire()
    assert "good" in [info.id for info in store.sessions()]  # the touch may have mended the other


@pytest.fixture
def store(lasting: Make) -> Any:
    """With one session that is well."""
    store = lasting()
    store.open("good", ttl=600.0, metadata={"n": 1})
    return store


@pytest.fixture
def file_store(request: pytest.FixtureRequest, tmp_path: pathlib.Path, clock: Clock) -> Iterator[Any]:
    """The same, in a file."""
    store = maker("sqlite", request, tmp_path, clock)()
    store.open("good", ttl=600.0, metadata={"n": 1})
    yield store
    store.close()


@pytest.fixture
def redis_store(request: pytest.FixtureRequest, tmp_path: pathlib.Path, clock: Clock) -> Iterator[Any]:
    """The same, in Redis."""
    store = maker("redis", request, tmp_path, clock)()
    store.open("good", ttl=600.0, metadata={"n": 1})
    yield store
    store.close()


@pytest.mark.parametrize(("column", "value"), COLUMNS)
def test_a_session_that_cannot_be_read(store: Any, clock: Clock, caplog: pytest.LogCaptureFixture, column: str, value: Any) -> None:
    """Whoever asks for it is told which it is, never by another error; others are well; it can be ended and made anew."""
    _put(store, column, value)
    _others_are_well(store, clock, caplog)
    acts = {
        "get": lambda: store.get("bad"),
        "open": lambda: store.open("bad", ttl=60.0, metadata={"more": 1}),
        "update": lambda: store.update("bad", lambda metadata: {**metadata, "more": 1}),
        "put_program": lambda: store.put_program("bad", "p", 1),
        "programs": lambda: store.programs("bad"),
        "get_program": lambda: store.get_program("bad", "p"),
    }
    for act in acts.values():
        try:
            act()
        except snakepit.SnakepitError as error:
            assert "'bad'" in str(error)
            if isinstance(error, snakepit.SessionStoreError):
                assert error.details["session_id"] == "bad"
    store.delete("bad")
    store.expire()
    info, made = store.open("bad", ttl=60.0, metadata={"new": 1})
    assert (made, info.metadata, store.count()) == (True, {"new": 1}, 2)


@pytest.mark.parametrize("value", [b"\xc1", b"\x90", "text"])
def test_metadata_that_is_none_is_told_by_name(store: Any, value: Any) -> None:
    """With the session, the cure, and without what stands there."""
    _put(store, "metadata", value)
    for act in (
        lambda: store.get("bad"),
        lambda: store.open("bad", ttl=60.0, metadata=None),
        lambda: store.update("bad", lambda metadata: metadata),
    ):
        with pytest.raises(
            snakepit.SessionStoreError, match=r"session 'bad' cannot be read from the store: its metadata (.|\n)*end"
        ) as caught:
            act()
        assert caught.value.details["session_id"] == "bad"
        assert "\\xc1" not in str(caught.value)


@pytest.mark.parametrize("program", [b"\xc1", b"", "text"])
def test_a_program_that_cannot_be_read(store: Any, program: Any) -> None:
    """It is named with its session; others of the session are well, and it can be replaced."""
    store.put_program("good", "well", 7)
    if isinstance(store, snakepit.RedisSessionStore):
        store._redis.hset(store._prefix + "p:good", "ill", program)
        store._redis.hset(store._prefix + "p:good", b"\xff", b"\x01")
    else:
        store._db.execute("INSERT INTO programs VALUES ('good', 'ill', ?), ('good', x'ff', x'01')", (program,))
    with pytest.raises(snakepit.SessionStoreError, match=r"session 'good' .*its program 'ill' ") as caught:
        store.get_program("good", "ill")
    assert caught.value.details["session_id"] == "good"
    assert store.get_program("good", "well") == 7
    assert {"ill", "well"} <= set(store.programs("good"))
    with pytest.raises(snakepit.InvalidParameter, match="no program 'wel'"):
        store.get_program("good", "wel")
    store.put_program("good", "ill", 8)
    assert store.get_program("good", "ill") == 8


# a file -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("session_id", [b"\xff\x00", "", "line\nbreak", "x" * 300])
@pytest.mark.parametrize("expires", [2e6, 1.0])
def test_ids_in_a_file_that_are_none(file_store: Any, clock: Clock, session_id: Any, expires: float) -> None:
    """Left out of lists; removed with what has expired; no other session is harmed."""
    file_store._db.execute("INSERT INTO sessions VALUES (?, 1.0, 1.0, 60.0, ?, x'80')", (session_id, expires))
    file_store._db.execute("INSERT INTO sessions VALUES (CAST(x'ff' AS TEXT), 1.0, 1.0, 60.0, ?, x'80')", (expires,))
    assert [info.id for info in file_store.sessions()] == ["good"]
    assert "good" not in file_store.expire()
    assert file_store.count() == (3 if expires > clock.now else 1)
    assert [info.id for info in file_store.sessions()] == ["good"]


def test_a_file_with_more_columns_than_ours(file_store: Any, clock: Clock) -> None:
    """One that may stay empty is left alone."""
    path = file_store._path
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("ALTER TABLE sessions ADD COLUMN note TEXT")
    file_store.open("more", ttl=60.0, metadata={"n": 2})
    again = snakepit.SQLiteSessionStore(path, clock=clock)
    assert sorted(info.metadata["n"] for info in again.sessions()) == [1, 2]
    again.close()


@pytest.mark.parametrize("spoil", ["DELETE FROM totals", "UPDATE totals SET value = -7"])
def test_a_spoilt_total(file_store: Any, spoil: str) -> None:
    """The sessions are counted then."""
    file_store._db.execute(spoil)
    assert file_store.count() == 1
    file_store.open("more", ttl=60.0, metadata=None)
    assert file_store.count() == 2


# Redis --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["text", "nothing", "programs", "part"])
def test_values_of_another_kind_in_redis(redis_store: Any, clock: Clock, caplog: pytest.LogCaptureFixture, what: str) -> None:
    """A key that is no hash, or is not there, breaks no step for others; the session can be made anew."""
    redis, prefix = redis_store._redis, redis_store._prefix
    if what == "text":
        redis.set(prefix + "s:bad", "text")
    elif what == "programs":
        redis_store.open("bad", ttl=1e6, metadata=None)
        redis.set(prefix + "p:bad", "text")
    elif what == "part":
        redis.hset(prefix + "s:bad", "ttl", "60")
    redis.zadd(prefix + "expiry", {"bad": 2e6})
    redis.zadd(prefix + "expiry", {b"\xff": 2e6})
    redis.set(prefix + b"s:\xff".decode("latin-1"), "text")
    if what == "nothing":
        assert [info.id for info in redis_store.sessions()] == ["good"]
    else:
        _others_are_well(redis_store, clock, caplog)
    if what == "programs":
        with pytest.raises(snakepit.SessionStoreError, match="'bad'"):
            redis_store.programs("bad")
        with pytest.raises(snakepit.SessionStoreError, match="'bad'"):
            redis_store.put_program("bad", "p", 1)
    redis_store.delete("bad")
    info, made = redis_store.open("bad", ttl=60.0, metadata={"new": 1})
    assert (made, info.metadata) == (True, {"new": 1})
    assert redis_store.programs("bad") == ()
    redis.zadd(prefix + "expiry", {b"\xff": 1.0})
    assert "good" not in redis_store.expire()


# pools --------------------------------------------------------------------------------------------------------------------------


def test_a_pool_tells_which_session_cannot_be_read(store: Any) -> None:
    """Its calls and questions fail by that name; other sessions go on, and so does the pool; ended, it begins anew."""
    _put(store, "metadata", b"\xc1")
    with snakepit.Pool("session_tools:SessionTools", size=1, session_store=store) as pool:
        for act in (
            lambda: pool.execute("count", session_id="bad"),
            pool.session("bad").open,
            lambda: pool.session("bad").update(lambda metadata: {**metadata, "n": 1}),
            lambda: pool.session_info("bad"),
        ):
            with pytest.raises(snakepit.SessionStoreError, match="session 'bad' cannot be read"):
                act()
        assert [info.id for info in pool.sessions()] == ["good"]
        assert pool.execute("metadata", session_id="good") == {"n": 1}
        pool.session("bad").end()
        assert pool.execute("metadata", session_id="bad") == {}
