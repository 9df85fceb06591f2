"""One contract for all session stores: memory, SQLite, Redis. Then what only those that outlive a process promise."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import pathlib
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import wait_until
from snakepit._sessions.records import Limits
from store_servers import redis_server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

LIMITS = Limits(max_sessions=10, max_programs_per_session=5)
Make = Callable[..., Any]


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The stores' clock."""
    return Clock()


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """One server for all tests; each has a prefix of its own."""
    with redis_server() as url:
        yield url


def _maker(kind: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path, clock: Any) -> Make:
    def make(limits: Limits = LIMITS, clock: Any = clock) -> Any:
        if kind == "memory":
            return snakepit.MemorySessionStore(limits, clock)
        if kind == "sqlite":
            return snakepit.SQLiteSessionStore(tmp_path / "own" / "sessions.db", limits, clock)
        return snakepit.RedisSessionStore(request.getfixturevalue("redis_url"), limits, clock, prefix=f"{tmp_path.name}:")

    return make


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path, clock: Clock) -> Iterator[Any]:
    """A fresh store of each kind."""
    made = _maker(request.param, request, tmp_path, clock)()
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "redis"])
def lasting(request: pytest.FixtureRequest, tmp_path: pathlib.Path, clock: Clock) -> Iterator[Make]:
    """Makes stores of one kind that hold the same sessions; they are closed at the end."""
    make, made = _maker(request.param, request, tmp_path, clock), []

    def another(*args: Any, **options: Any) -> Any:
        made.append(make(*args, **options))
        return made[-1]

    yield another
    for item in made:
        item.close()


# the contract ----------------------------------------------------------------------------------------------------------------


def test_opening(store: Any, clock: Clock) -> None:
    """The first time makes it, the second finds it, with the ttl it has; given metadata is merged."""
    info, created = store.open("a", ttl=60.0, metadata={"user": "ann", "deep": {"list": [1, {"x": b"\x00"}]}})
    assert created is True
    assert (info.id, info.created, info.last_used, info.expires, info.ttl, info.programs) == (
        "a",
        clock.now,
        clock.now,
        clock.now + 60,
        60,
        0,
    )
    clock.now += 10
    again, created = store.open("a", ttl=5.0, metadata={"more": 1})
    assert created is False
    assert (again.created, again.last_used, again.ttl, again.expires) == (clock.now - 10, clock.now, 60, clock.now + 60)
    assert dict(again.metadata) == {"user": "ann", "deep": info.metadata["deep"], "more": 1}
    assert store.get("a") == again
    assert store.get("never") is None


def test_a_ttl_for_one_that_is_there(store: Any, clock: Clock) -> None:
    """With `set_ttl` it counts from that moment on, also when it is shorter than the one it had; what else is there stays."""
    store.open("a", ttl=600.0, metadata={"user": "ann"})
    store.open("b", ttl=5.0, metadata=None)
    clock.now += 4
    info, created = store.open("a", ttl=5.0, metadata=None, set_ttl=True)
    assert (created, info.ttl, info.expires, dict(info.metadata)) == (False, 5, clock.now + 5, {"user": "ann"})
    assert store.open("b", ttl=600.0, metadata={"more": 1}, set_ttl=True)[0].ttl == 600
    assert store.get("a") == info
    clock.now += 4
    assert store.touch(["a"]) == set()
    clock.now += 5.5
    assert store.expire() == ["a"]
    assert store.open("b", ttl=1.0, metadata=None)[0].ttl == 600
    for ttl in (*range(500, 300, -1), 50):  # what is kept for expiry does not grow with it
        store.open("b", ttl=float(ttl), metadata=None, set_ttl=True)
    clock.now += 49
    assert store.expire() == []
    clock.now += 1.5
    assert store.expire() == ["b"]


def test_sliding_lifetime(store: Any, clock: Clock) -> None:
    """It counts from the last touch; looking is no touch; what has expired is gone, and says so once."""
    made = clock.now
    store.open("a", ttl=10.0, metadata=None)
    store.open("b", ttl=10.0, metadata=None)
    clock.now += 9
    assert store.touch(["a", "never"]) == {"never"}
    assert store.get("b") is not None
    clock.now += 9
    assert store.get("b") is None
    assert store.gone(dict.fromkeys(["a", "b"], made)) == {"b"}
    assert store.touch(["b"]) == {"b"}
    assert [info.id for info in store.sessions()] == ["a"]
    assert store.expire() == ["b"]
    assert store.expire() == []
    assert store.count() == 1
    clock.now += 1.5
    assert store.expire() == ["a"]


def test_an_expired_session_is_opened_anew(store: Any, clock: Clock) -> None:
    """Empty, also before anybody swept."""
    store.open("a", ttl=1.0, metadata={"old": True})
    store.put_program("a", "p", 1)
    clock.now += 2
    info, created = store.open("a", ttl=1.0, metadata=None)
    assert created is True
    assert dict(info.metadata) == {}
    assert store.programs("a") == ()


def test_ending(store: Any) -> None:
    """With all it holds; a second time there is nothing to end."""
    store.open("a", ttl=60.0, metadata=None)
    store.put_program("a", "p", {"code": b"\x01"})
    assert store.delete("a") is True
    assert store.delete("a") is False
    for ask in (lambda: store.programs("a"), lambda: store.get_program("a", "p"), lambda: store.put_program("a", "p", 1)):
        with pytest.raises(snakepit.SessionEnded, match="'a'"):
            ask()
    with pytest.raises(snakepit.SessionEnded):
        store.update("a", lambda metadata: metadata)
    with pytest.raises(snakepit.SessionEnded):
        store.delete_program("a", "p")
    store.open("a", ttl=60.0, metadata=None)
    assert store.programs("a") == ()


def test_programs(store: Any) -> None:
    """Plain values by id, replaced, forgotten, copied."""
    store.open("a", ttl=60.0, metadata=None)
    program = {"code": "print(1)", "blob": b"\x00\xff", "list": [1, 2.5, None]}
    store.put_program("a", "one", program)
    program["list"] = "changed later"
    store.put_program("a", "two", 2)
    store.put_program("a", "two", 22)
    assert store.programs("a") == ("one", "two")
    assert store.get("a").programs == 2
    found = store.get_program("a", "one")
    assert found == {"code": "print(1)", "blob": b"\x00\xff", "list": [1, 2.5, None]}
    found["code"] = "mine"
    assert store.get_program("a", "one")["code"] == "print(1)"
    assert store.get_program("a", "two") == 22
    assert store.delete_program("a", "two") is True
    assert store.delete_program("a", "two") is False
    with pytest.raises(snakepit.InvalidParameter, match="session 'a' has no program 'onne'(.|\n)*did you mean 'one'"):
        store.get_program("a", "onne")


def test_the_quota_of_programs(store: Any) -> None:
    """One too many is refused with its session's id; replacing is always allowed."""
    store.open("a", ttl=60.0, metadata=None)
    for number in range(5):
        store.put_program("a", f"p{number}", number)
    store.put_program("a", "p0", "again")
    with pytest.raises(snakepit.ProgramQuotaExceeded, match="max_programs_per_session") as caught:
        store.put_program("a", "p5", 5)
    assert caught.value.code == "program_quota_exceeded"
    assert caught.value.details["session_id"] == "a"
    assert len(store.programs("a")) == 5


def test_the_quota_of_sessions(store: Any, clock: Clock) -> None:
    """One too many is refused; an ended or expired one makes room; one that is there can always be opened."""
    store.open("short", ttl=5.0, metadata=None)
    for number in range(9):
        store.open(f"s{number}", ttl=60.0, metadata=None)
    with pytest.raises(snakepit.SessionQuotaExceeded, match="there are 10 sessions, which is max_sessions") as caught:
        store.open("one too many", ttl=60.0, metadata=None)
    assert caught.value.details["session_id"] == "one too many"
    assert caught.value.code == "session_quota_exceeded"
    store.open("s0", ttl=60.0, metadata=None)
    store.delete("s1")
    store.open("in its place", ttl=60.0, metadata=None)
    clock.now += 6
    store.open("for the expired", ttl=60.0, metadata=None)


def test_a_warning_at_80_percent(store: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Once, and again only after it was less."""
    with caplog.at_level(logging.WARNING, "snakepit.sessions"):
        for number in range(7):
            store.open(f"s{number}", ttl=60.0, metadata=None)
        assert caplog.messages == []
        store.open("s7", ttl=60.0, metadata=None)
        store.open("s8", ttl=60.0, metadata=None)
        assert caplog.messages == ["the session store holds 8 sessions of the 10 that max_sessions allows"]
        store.delete("s7")
        store.delete("s8")
        store.open("s9", ttl=60.0, metadata=None)
        assert len(caplog.messages) == 2
        for number in range(5):
            store.put_program("s0", f"p{number}", number)
        assert caplog.messages[2:] == ["session 's0' holds 4 programs of the 5 that max_programs_per_session allows"]


def test_updates_are_atomic(store: Any) -> None:
    """Eight threads that count lose nothing; the change gets a copy, and its result is what is kept."""
    store.open("a", ttl=60.0, metadata={"n": 0})
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: store.update("a", lambda metadata: {"n": metadata["n"] + 1}), range(80)))
    assert dict(store.get("a").metadata) == {"n": 80}
    kept = []
    store.update("a", lambda metadata: kept.append(metadata) or {"x": [1]})
    kept[0]["x"] = "mine"
    assert store.get("a").metadata["x"] == (1,) or store.get("a").metadata["x"] == [1]


def test_an_update_that_raises_changes_nothing(store: Any) -> None:
    """Its exception comes out unchanged, and the store goes on."""
    store.open("a", ttl=60.0, metadata={"n": 1})
    with pytest.raises(ZeroDivisionError):
        store.update("a", lambda metadata: {"n": 1 // 0})
    assert dict(store.update("a", lambda metadata: {"n": 2}).metadata) == {"n": 2}


def test_what_is_given_out_is_frozen(store: Any) -> None:
    """No door leads to what the store holds."""
    mine = {"list": [1], "deep": {"x": 1}}
    info, _ = store.open("a", ttl=60.0, metadata=mine)
    mine["list"].append(2)  # type: ignore[attr-defined]
    mine["deep"]["x"] = 2  # type: ignore[index]
    for picture in (info, store.get("a"), store.sessions()[0], store.update("a", lambda metadata: metadata)):
        for attack in (
            lambda p=picture: setattr(p, "ttl", 1e9),
            lambda p=picture: p.metadata.__setitem__("x", 1),
            lambda p=picture: p.metadata["deep"].__setitem__("x", 1),
            lambda p=picture: p.metadata["list"].append(1),
            lambda p=picture: p.metadata.update(x=1),
        ):
            with pytest.raises((TypeError, AttributeError)):
                attack()
    assert store.get("a").metadata["deep"]["x"] == 1
    assert list(store.get("a").metadata["list"]) == [1]


@pytest.mark.parametrize("session_id", ["", "x" * 257, "line\nbreak", 7, None, b"bytes"])
def test_bad_ids_are_refused(store: Any, session_id: Any) -> None:
    """By name, before anything is kept."""
    with pytest.raises(snakepit.InvalidParameter, match="session_id"):
        store.open(session_id, ttl=60.0, metadata=None)


def test_odd_ids_are_kept_apart(store: Any) -> None:
    """Unicode, blanks, colons, stars: each its own session."""
    ids = ["ä", "a b", "a:b", "a*", "s:a", "p:a", "'; DROP TABLE sessions;--", "expiry"]
    for session_id in ids:
        store.open(session_id, ttl=60.0, metadata={"id": session_id})
    assert {info.id: info.metadata["id"] for info in store.sessions()} == {session_id: session_id for session_id in ids}


@pytest.mark.parametrize("metadata", [{"f": object()}, {"a": [1, {2, object()}]}, {5: "key"}])
def test_metadata_that_cannot_be_kept_is_refused(store: Any, metadata: Any) -> None:
    """By name; nothing is opened."""
    with pytest.raises(snakepit.InvalidParameter, match="metadata"):
        store.open("a", ttl=60.0, metadata=metadata)
    assert store.get("a") is None


def test_the_cost_does_not_grow(clock: Clock) -> None:
    """In memory opening, touching and sweeping take as many steps among 50,000 sessions as among 100."""

    def steps(sessions: int) -> int:
        store = snakepit.MemorySessionStore(Limits(10**6), clock)
        for number in range(sessions):
            store.open(str(number), ttl=60.0, metadata=None)
        counted = [0]

        def count(*_: Any) -> None:
            counted[0] += 1

        sys.setprofile(count)
        try:
            for number in range(50):
                store.open(str(number), ttl=60.0, metadata=None)
                store.touch([str(number)])
                store.get(str(number))
                store.expire()
                store.delete(str(number))
        finally:
            sys.setprofile(None)
        return counted[0]

    assert steps(50_000) <= 1.1 * steps(100)


# stores that outlive their process ---------------------------------------------------------------------------------------------


def test_two_hosts_see_one_session(lasting: Make) -> None:
    """What one does the other sees at once: metadata, programs, updates, the end, the quota."""
    one, other = lasting(), lasting()
    one.open("a", ttl=60.0, metadata={"user": "ann"})
    info, created = other.open("a", ttl=60.0, metadata=None)
    assert created is False
    assert dict(info.metadata) == {"user": "ann"}
    other.put_program("a", "p", 5)
    assert one.get_program("a", "p") == 5
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        both = [threads.submit(_count_up, store, 25) for store in (one, other)]
        for future in both:
            future.result()
    assert one.get("a").metadata["n"] == 50
    for number in range(9):
        one.open(f"s{number}", ttl=60.0, metadata=None)
    with pytest.raises(snakepit.SessionQuotaExceeded):
        other.open("more", ttl=60.0, metadata=None)
    assert other.delete("a") is True
    assert one.get("a") is None
    assert one.gone({"a": info.created}) == {"a"}


def test_a_session_that_was_made_anew_is_another(store: Any, clock: Clock) -> None:
    """Whoever knew the one before finds that gone, by when it was made; to the last digit."""
    clock.now += 1 / 3
    before = store.open("a", ttl=60.0, metadata=None)[0].created
    assert store.gone({"a": before}) == set()
    store.delete("a")
    clock.now += 1e-6
    after = store.open("a", ttl=60.0, metadata=None)[0].created
    assert store.gone({"a": before, "b": before}) == {"a", "b"}
    assert store.gone({"a": after}) == set()


def _count_up(store: Any, times: int) -> None:
    for _ in range(times):
        store.update("a", lambda metadata: {**metadata, "n": metadata.get("n", 0) + 1})


def test_sessions_survive_their_host(lasting: Make) -> None:
    """A store that is opened again has what was in it."""
    first = lasting()
    first.open("a", ttl=60.0, metadata={"user": "ann"})
    first.put_program("a", "p", b"\x00")
    first.close()
    again = lasting()
    assert dict(again.get("a").metadata) == {"user": "ann"}
    assert again.get_program("a", "p") == b"\x00"


SECRETS: list[Any] = [{"password": "hunter2secret"}, {"db": {"api_key": "hunter2secret"}}, {"note": "AKIAIOSFODNN7EXAMPLE"}]


@pytest.mark.parametrize("metadata", SECRETS)
def test_secrets_do_not_leave_the_process(lasting: Make, metadata: Any, tmp_path: pathlib.Path) -> None:
    """Refused by name, never by value, in metadata, updates and programs; nothing of it is on disk."""
    store = lasting()
    store.open("a", ttl=60.0, metadata=None)
    for attempt in (
        lambda: store.open("b", ttl=60.0, metadata=metadata),
        lambda: store.update("a", lambda _: metadata),
        lambda: store.put_program("a", "p", metadata),
    ):
        with pytest.raises(snakepit.InvalidParameter, match="looks like a secret") as caught:
            attempt()
        assert "hunter2" not in str(caught.value)
        assert "IOSFODNN7" not in str(caught.value)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"hunter2" not in path.read_bytes()


def test_memory_may_hold_secrets() -> None:
    """It never leaves the process."""
    store = snakepit.MemorySessionStore()
    store.open("a", ttl=60.0, metadata=SECRETS[0])
    assert store.get("a").metadata["password"] == "hunter2secret"  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_killed_host_loses_nothing_it_was_told(kind: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> None:
    """A process that opens sessions as fast as it can is killed: each one that was acknowledged is there, whole."""
    target = str(tmp_path / "killed.db") if kind == "sqlite" else request.getfixturevalue("redis_url")
    make = f"SQLiteSessionStore({target!r}, limits)" if kind == "sqlite" else f"RedisSessionStore({target!r}, limits, prefix='killed:')"
    text = f"""
        import snakepit
        from snakepit._sessions.records import Limits
        limits = Limits(10**6, 10)
        store = snakepit.{make}
        for number in range(10**6):
            store.open(str(number), ttl=600.0, metadata={{"n": number, "pad": "x" * 500}})
            store.put_program(str(number), "p", number)
            print(number, flush=True)
    """
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(snakepit.__file__).parent.parent)}
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)], env=env, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(300)]
        child.send_signal(signal.SIGKILL)
        told += [int(line) for line in child.stdout if line.endswith("\n") and line.strip()]
    limits = Limits(10**6, 10)
    store: Any = (
        snakepit.SQLiteSessionStore(target, limits) if kind == "sqlite" else snakepit.RedisSessionStore(target, limits, prefix="killed:")
    )
    try:
        for number in told:
            found = store.get(str(number))
            assert found is not None, f"session {number} of {told[-1]} is lost"
            assert found.metadata["n"] == number
            assert store.get_program(str(number), "p") == number
    finally:
        store.close()


def test_files_are_private(tmp_path: pathlib.Path) -> None:
    """0600 in 0700, whatever the umask, the helpers that SQLite makes too; one that was open is closed."""
    before = os.umask(0)
    try:
        store = snakepit.SQLiteSessionStore(tmp_path / "private" / "sessions.db")
        store.open("a", ttl=60.0, metadata=None)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "private").iterdir()}
        store.close()
        open_file = tmp_path / "open.db"
        open_file.touch(0o666)
        snakepit.SQLiteSessionStore(open_file).close()
    finally:
        os.umask(before)
    assert modes == {"sessions.db": 0o600, "sessions.db-wal": 0o600, "sessions.db-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700
    assert stat.S_IMODE(open_file.stat().st_mode) == 0o600


def test_what_is_no_store_is_refused(tmp_path: pathlib.Path) -> None:
    """A corrupt file, a folder, a server that is not there: by name, with a hint, not by a driver's error."""
    (tmp_path / "text.db").write_text("this is no database, and long enough to be sure of that" * 100, encoding="utf-8")
    for path in (tmp_path / "text.db", tmp_path):
        with pytest.raises(snakepit.SessionStoreError, match=str(path)):
            snakepit.SQLiteSessionStore(path)
    with pytest.raises(snakepit.SessionStoreError, match="Redis failed"):
        snakepit.RedisSessionStore(f"unix://{tmp_path}/nobody")


def test_a_forked_child_is_refused(lasting: Make) -> None:
    """It would share the parent's connection."""
    store = lasting()
    pid = os.fork()
    if pid == 0:
        try:
            store.get("a")
        except snakepit.SessionStoreError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


# with pools --------------------------------------------------------------------------------------------------------------------


def _url(kind: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    return f"sqlite:////{str(tmp_path).lstrip('/')}/pools.db" if kind == "sqlite" else request.getfixturevalue("redis_url")


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_pools_share_sessions(kind: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> None:
    """Two hosts on one store: one session with its metadata and programs; an end here lets the state go there."""
    url, name = _url(kind, request, tmp_path), f"shared-{kind}"
    with (
        snakepit.Pool("session_tools:SessionTools", size=1, session_store=url) as one,
        snakepit.Pool("session_tools:SessionTools", size=1, session_store=url) as other,
    ):
        session = one.session(name, metadata={"user": "ann"})
        assert session.execute("metadata") == {"user": "ann"}
        session.put_program("p", [1])
        theirs = other.session(name)
        assert theirs.execute("metadata") == {"user": "ann"}
        assert theirs.get_program("p") == [1]
        theirs.execute("keep_telltale", {"path": str(tmp_path / "gone")})
        session.update(lambda metadata: {**metadata, "user": "bob"})
        wait_until(lambda: theirs.execute("metadata")["user"] == "bob", "the other host's change", timeout=3.0)
        session.end()
        wait_until((tmp_path / "gone").exists, "the state's end at the other host", timeout=2.0)
        with pytest.raises(snakepit.SessionEnded):
            theirs.execute("metadata")
    with snakepit.Pool("session_tools:SessionTools", size=1, session_store=url) as third:
        third.session(f"{name}-2", metadata={"n": 1}).open()
    with snakepit.Pool("session_tools:SessionTools", size=1, session_store=url) as fourth:
        assert fourth.execute("metadata", session_id=f"{name}-2") == {"n": 1}


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_lifetimes_with_pools(kind: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> None:
    """Calls keep a session alive; without them it expires, and its state leaves the worker by itself."""
    with snakepit.Pool("session_tools:SessionTools", size=1, session_store=_url(kind, request, tmp_path)) as pool:
        session = pool.session(f"short-{kind}", ttl=1.2)
        session.execute("keep_telltale", {"path": str(tmp_path / "gone")})
        for _ in range(5):
            time.sleep(0.5)
            session.execute("has_session")
        assert not (tmp_path / "gone").exists()
        wait_until((tmp_path / "gone").exists, "the state's end", timeout=2.5)


def test_a_store_that_fails_fails_the_calls_of_sessions_only(tmp_path: pathlib.Path) -> None:
    """By `SessionStoreError`; other calls go on."""
    with redis_server() as url, snakepit.Pool("session_tools:SessionTools", size=1, session_store=url) as pool:
        pool.execute("count", session_id="a")
        assert pool.execute("has_session") is False
    with pytest.raises(snakepit.SessionStoreError):
        snakepit.Pool("session_tools:SessionTools", size=1, session_store=f"unix://{tmp_path}/nobody").start()


@pytest.mark.parametrize("setting", ["mysql://x", 5, "file.db", snakepit.MemorySessionStore])
def test_settings_that_name_no_store(setting: Any) -> None:
    """Refused when the pool is made."""
    with pytest.raises(snakepit.ConfigurationError, match="session_store is"):
        snakepit.Pool(session_store=setting)


def test_a_store_of_ones_own() -> None:
    """An object with the methods serves, and is not closed by the pool."""
    store = snakepit.MemorySessionStore()
    with snakepit.Pool("session_tools:SessionTools", size=1, session_store=store) as pool:
        pool.execute("count", session_id="mine")
    assert store.get("mine") is not None
