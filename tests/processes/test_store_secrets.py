"""No store that outlives its process keeps a secret: by the usual rules and by those of a pool, in values, keys and ids."""

from __future__ import annotations

import enum
import pathlib
from typing import Any, NamedTuple

import pytest

import snakepit
from snakepit_bridge.redaction import Redactor
from store_kinds import Make
from store_servers import redis_server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]


class _Key(enum.Enum):
    """Its value is what would be kept."""

    OWN = "AKIAIOSFODNN7EXAMPLE"


class _Login(NamedTuple):
    """Its field names are left behind on the way to the disk."""

    user: str
    password: str


def _deep(value: Any) -> Any:
    for _ in range(14):
        value = {"k": value}
    return value


SECRETS: list[Any] = [
    {"password": "hunter2secret"},
    {"db": {"api_key": "hunter2secret"}},
    {"note": "AKIAIOSFODNN7EXAMPLE"},
    {"AKIAIOSFODNN7EXAMPLE": 1},
    {"keys": {b"AKIAIOSFODNN7EXAMPLE": 1}},
    {"key": _Key.OWN},
    {"login": _Login("ann", "hunter2secret")},
    {"deep": _deep({"password": "hunter2secret"})},
    {"long": "a " * 40_000 + " password=hunter2secret"},
    {"many": [0] * 25_000, "z": {"password": "hunter2secret"}},
]
#: What cannot be searched to its end, and so may hold one.
UNSEARCHED: list[Any] = [
    {"deep": _deep(_deep(_deep({"password": "hunter2secret"})))},
    {"long": "a " * 600_000 + " password=hunter2secret"},
    {"many": [0] * 100_000, "z": {"password": "hunter2secret"}},
]


def _on_disk(folder: pathlib.Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def _refused(store: Any, metadata: Any, message: str) -> None:
    for attempt in (
        lambda: store.open("b", ttl=60.0, metadata=metadata),
        lambda: store.open("a", ttl=60.0, metadata=metadata),
        lambda: store.update("a", lambda _: metadata),
        lambda: store.put_program("a", "p", metadata),
    ):
        with pytest.raises(snakepit.InvalidParameter, match=message) as caught:
            attempt()
        assert "hunter2" not in str(caught.value)
        assert "IOSFODNN7" not in str(caught.value)
    assert store.get("b") is None
    assert store.programs("a") == ()
    assert store.get("a").metadata == {}


@pytest.mark.parametrize("metadata", SECRETS)
def test_secrets_do_not_leave_the_process(lasting: Make, metadata: Any, tmp_path: pathlib.Path) -> None:
    """Refused by name, never by value, in metadata, updates and programs, at any depth; nothing of it is on disk."""
    store = lasting()
    store.open("a", ttl=60.0, metadata=None)
    _refused(store, metadata, "looks like a secret")
    assert b"hunter2" not in _on_disk(tmp_path)


@pytest.mark.parametrize("metadata", UNSEARCHED)
def test_what_cannot_be_searched_is_refused(lasting: Make, metadata: Any, tmp_path: pathlib.Path) -> None:
    """By name, with the bound, and not kept unseen."""
    store = lasting()
    store.open("a", ttl=60.0, metadata=None)
    _refused(
        store, metadata, r"(metadata|program 'p').* (is nested more than 32 deep|goes beyond \d+ characters|holds more than \d+ values)"
    )
    assert b"hunter2" not in _on_disk(tmp_path)


def test_ids_are_kept_too(lasting: Make, tmp_path: pathlib.Path) -> None:
    """So a session's or a program's id that looks like a secret is refused, and no message shows it."""
    store = lasting()
    store.open("a", ttl=60.0, metadata=None)
    for attempt, field in (
        (lambda: store.open("AKIAIOSFODNN7EXAMPLE", ttl=60.0, metadata=None), "session_id"),
        (lambda: store.put_program("a", "password=hunter2hunter2", 1), "program_id"),
    ):
        with pytest.raises(snakepit.InvalidParameter, match=f"{field} looks like a secret") as caught:
            attempt()
        assert "IOSFODNN7" not in str(caught.value)
        assert "hunter2" not in str(caught.value)
    assert b"IOSFODNN7" not in _on_disk(tmp_path)
    assert b"hunter2" not in _on_disk(tmp_path)


def test_memory_may_hold_secrets() -> None:
    """It never leaves the process."""
    store = snakepit.MemorySessionStore()
    store.open("AKIAIOSFODNN7EXAMPLE", ttl=60.0, metadata=SECRETS[0])
    assert store.get("AKIAIOSFODNN7EXAMPLE").metadata["password"] == "hunter2secret"  # type: ignore[union-attr]


OWN: dict[str, Any] = {"secret_names": ["badge"], "secret_patterns": [r"ZZ-\d{6}"]}
WORDS = (b"B4DG3-VALUE", b"ZZ-654321", b"ZZ-123456", b"AKIAIOSFODNN7EXAMPLE")


def _try_all(pool: snakepit.Pool) -> None:
    """Everything that would bring one of `WORDS` into the store, by each way that leads there."""
    good = pool.session("good").open()
    attempts: list[Any] = [
        pool.session("ZZ-123456").open,
        pool.session("AKIAIOSFODNN7EXAMPLE").open,
        lambda: pool.execute("count", session_id="ZZ-123456"),
        pool.session("x", metadata={"badge": "B4DG3-VALUE"}).open,
        pool.session("x", metadata={"note": "ZZ-654321"}).open,
        pool.session("x", metadata={"ZZ-654321": 1}).open,
        lambda: good.update(lambda _: {"note": ["ZZ-654321"]}),
        lambda: good.put_program("ZZ-123456", 1),
        lambda: good.put_program("p", {"badge": b"B4DG3-VALUE"}),
    ]
    for attempt in attempts:
        with pytest.raises(snakepit.InvalidParameter, match="looks like a secret") as caught:
            attempt()
        assert not any(word.decode() in str(caught.value) for word in WORDS)


def test_a_pools_own_names_and_patterns_hold_for_its_file(tmp_path: pathlib.Path) -> None:
    """`secret_names` and `secret_patterns` reach the store that a setting names."""
    with snakepit.Pool("session_tools:SessionTools", size=1, session_store=tmp_path / "own.db", **OWN) as pool:
        _try_all(pool)
        assert not any(word in _on_disk(tmp_path) for word in WORDS)


def test_a_pools_own_names_and_patterns_hold_in_redis(tmp_path: pathlib.Path) -> None:
    """Also in what the server writes to its disk."""
    with redis_server(tmp_path) as url, snakepit.Pool("session_tools:SessionTools", size=1, session_store=url, **OWN) as pool:
        _try_all(pool)
        on_disk = _on_disk(tmp_path)
        assert b"good" in on_disk
        assert not any(word in on_disk for word in WORDS)


def test_they_hold_for_a_store_that_is_given_too(tmp_path: pathlib.Path) -> None:
    """The rules of each pool that uses it, together with those it was made with."""
    store = snakepit.SQLiteSessionStore(tmp_path / "given.db", redactor=Redactor(patterns=[r"QQ-\d+"]))
    try:
        for _ in range(2):
            with snakepit.Pool("session_tools:SessionTools", size=1, session_store=store, **OWN) as pool:
                _try_all(pool)
        for secret in ("QQ-1", "ZZ-123456", "AKIAIOSFODNN7EXAMPLE"):
            with pytest.raises(snakepit.InvalidParameter):
                store.open("x", ttl=60.0, metadata={"note": secret})
        assert not any(word in _on_disk(tmp_path) for word in (*WORDS, b"QQ-1"))
    finally:
        store.close()
