"""One contract for all session stores: memory, SQLite, Redis. Then what only those that outlive a process promise."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import pathlib
import sys
import time
from typing import Any

import pytest

import snakepit
from pool_helpers import wait_until
from snakepit._sessions.records import Limits
from store_kinds import Clock, Make
from store_servers import redis_server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]


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


def test_what_has_lapsed_can_be_renewed(store: Any, clock: Clock) -> None:
    """Until it is removed, for who knows that it is in use; with all it holds. Others stay expired, and what is removed stays so."""
    for session_id in ("busy", "idle"):
        store.open(session_id, ttl=10.0, metadata={"id": session_id})
    store.put_program("busy", "p", 1)
    made = store.get("busy").created
    clock.now += 3600
    assert store.touch(["busy"]) == {"busy"}
    assert store.touch(["busy", "never"], lapsed=True) == {"never"}
    info = store.get("busy")
    assert (info.created, info.last_used, info.expires, dict(info.metadata)) == (made, clock.now, clock.now + 10, {"id": "busy"})
    assert store.get_program("busy", "p") == 1
    assert store.get("idle") is None
    assert store.expire() == ["idle"]
    assert store.touch(["idle"], lapsed=True) == {"idle"}
    clock.now += 9
    assert store.touch(["busy"], lapsed=True) == set()
    clock.now += 11
    assert store.expire() == ["busy"]
    assert (store.expire(), store.count()) == ([], 0)


@pytest.mark.parametrize("program_id", [None, "", "\ud800", "x" * 1000])
def test_programs_by_ids_that_are_none(store: Any, program_id: Any) -> None:
    """The same error in every store, for each thing that can be done with one."""
    store.open("a", ttl=60.0, metadata=None)
    for act in (
        lambda: store.get_program("a", program_id),
        lambda: store.delete_program("a", program_id),
        lambda: store.put_program("a", program_id, 1),
    ):
        with pytest.raises(snakepit.InvalidParameter, match="program_id is"):
            act()


def test_values_without_an_end(store: Any) -> None:
    """What contains itself is refused by name, wherever it is to be kept."""
    loop: dict[str, Any] = {}
    loop["self"] = loop
    store.open("a", ttl=60.0, metadata=None)
    acts = (
        lambda: store.put_program("a", "p", loop),
        lambda: store.update("a", lambda metadata: loop),
        lambda: store.open("b", ttl=60.0, metadata=loop),
    )
    for act in acts:
        with pytest.raises(snakepit.InvalidParameter):
            act()
    assert store.get("b") is None


@pytest.mark.parametrize("act", ["touch", "open", "put_program", "update"])
def test_a_clock_that_is_put_back(store: Any, clock: Clock, act: str) -> None:
    """A session that is used then expires as long after as ever, and no later; `expire` tells of it, and it counts no more."""
    store.open("a", ttl=5.0, metadata=None)
    clock.now -= 3600.0
    acts: dict[str, Any] = {
        "touch": lambda: store.touch(["a"]),
        "open": lambda: store.open("a", ttl=5.0, metadata=None),
        "put_program": lambda: store.put_program("a", "p", 1),
        "update": lambda: store.update("a", lambda metadata: {"n": 1}),
    }
    acts[act]()
    clock.now += 4.0
    assert store.expire() == []
    clock.now += 2.0
    assert store.expire() == ["a"]
    assert store.count() == 0


def test_what_begins_a_lifetime_anew(store: Any, clock: Clock) -> None:
    """Opening, touching, updating, and keeping a program; looking does not, nor does what is refused."""
    store.open("a", ttl=10.0, metadata=None)
    renewing = (
        lambda: store.open("a", ttl=10.0, metadata=None),
        lambda: store.touch(["a"]),
        lambda: store.update("a", lambda metadata: metadata),
        lambda: store.put_program("a", "p", 1),
        lambda: store.put_program("a", "p", 2),
    )
    for renew in renewing:
        clock.now += 8
        renew()
        info = store.get("a")
        assert (info.last_used, info.expires) == (clock.now, clock.now + 10)
    last_used = clock.now
    clock.now += 8
    for look in (lambda: store.get("a"), lambda: store.get_program("a", "p"), lambda: store.programs("a"), store.sessions, store.count):
        look()
    with pytest.raises(snakepit.InvalidParameter):
        store.put_program("a", "p", object())
    assert store.get("a").last_used == last_used
    clock.now += 3
    assert store.expire() == ["a"]


@pytest.mark.parametrize("ttl", [0, -1.0, 0.0009, 1e-9, float("nan"), float("inf"), 1e12, 1e15, 1e20, 10**400, "60", True, None])
def test_a_ttl_that_cannot_be_is_refused(store: Any, ttl: Any) -> None:
    """By name, with what is allowed; nothing of the session is left behind."""
    with pytest.raises(snakepit.InvalidParameter, match="ttl is .*allowed are seconds from 0.001 to 315360000") as caught:
        store.open("a", ttl=ttl, metadata=None)
    assert caught.value.details["field"] == "ttl"
    assert store.get("a") is None
    assert store.count() == 0
    info, created = store.open("a", ttl=315_360_000, metadata=None)
    assert (info.ttl, created) == (315_360_000, True)
    assert store.put_program("a", "p", 1) is None
    assert store.touch(["a"]) == set()


def test_what_was_removed_on_the_way_is_told(store: Any, clock: Clock) -> None:
    """A store that makes room, or counts, removes what has expired; `expire` still says which, but not one that is there again."""
    for number in range(10):
        store.open(f"s{number}", ttl=5.0, metadata=None)
    clock.now += 6
    assert store.count() == 0
    store.open("s0", ttl=5.0, metadata=None)
    assert sorted(store.expire()) == [f"s{number}" for number in range(1, 10)]
    assert store.expire() == []
    assert [info.id for info in store.sessions()] == ["s0"]


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


def test_expired_sessions_do_not_count_for_the_warning(store: Any, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Also when nobody has removed them yet."""
    with caplog.at_level(logging.WARNING, "snakepit.sessions"):
        for number in range(7):
            store.open(f"s{number}", ttl=5.0, metadata=None)
        clock.now += 6
        for number in range(7):
            store.open(f"t{number}", ttl=60.0, metadata=None)
        assert caplog.messages == []
        store.open("t7", ttl=60.0, metadata=None)
        assert caplog.messages == ["the session store holds 8 sessions of the 10 that max_sessions allows"]


def _fill(store: Any, session_id: str, ttl: float) -> None:
    store.open(session_id, ttl=ttl, metadata=None)
    for number in range(4):
        store.put_program(session_id, f"p{number}", number)


def test_a_session_that_is_over_is_forgotten(store: Any, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Each session that fills up is warned of, also one whose id was used before; of those that are gone nothing is kept."""

    def touched_after_its_end() -> None:
        clock.now += 6
        assert store.touch(["a"]) == {"a"}

    def swept() -> None:
        clock.now += 6
        assert store.expire() == ["a"]

    def not_noticed() -> None:
        clock.now += 6

    ends = (lambda: store.delete("a"), touched_after_its_end, swept, not_noticed, lambda: store.delete("a"))
    with caplog.at_level(logging.WARNING, "snakepit.sessions"):
        for number, end in enumerate(ends, start=1):
            _fill(store, "a", 5.0)
            assert len(caplog.messages) == number, f"life {number} of the session was not warned of"
            end()
    assert store._full_of_programs._warned == set()


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


def test_a_change_may_ask_the_store(store: Any) -> None:
    """It is the user's code and runs outside locks and transactions; what it does to its own session is not lost."""
    store.open("a", ttl=60.0, metadata={"n": 0})
    store.put_program("a", "p", 1)
    asked = []

    def change(metadata: dict[str, Any]) -> dict[str, Any]:
        if not asked:
            asked.append(store.update("a", lambda inner: {**inner, "inner": True}))
        return {**metadata, "n": metadata["n"] + 1, "programs": list(store.programs("a"))}

    assert store.update("a", change).metadata == {"n": 1, "inner": True, "programs": ["p"]}


def test_a_change_that_overtakes_itself_is_refused(store: Any) -> None:
    """By name, after a bounded number of tries."""
    store.open("a", ttl=60.0, metadata={"n": 0})

    def change(metadata: dict[str, Any]) -> dict[str, Any]:
        return dict(store.update("a", lambda inner: {"n": inner["n"] + 1}).metadata)

    with pytest.raises(
        snakepit.SessionStoreError, match=r"'a' was changed by others 1000 times(.|\n)*does `change` update its own session"
    ):
        store.update("a", change)


def test_a_change_is_not_brought_into_another_session(store: Any, clock: Clock) -> None:
    """One that is ended and opened anew meanwhile is another session, also with the same metadata."""
    store.open("a", ttl=60.0, metadata={"n": 0})
    seen = []

    def change(metadata: dict[str, Any]) -> dict[str, Any]:
        if not seen:
            store.delete("a")
            clock.now += 1
            store.open("a", ttl=60.0, metadata={"n": 0})
        seen.append(metadata)
        return {"n": 1}

    store.update("a", change)
    assert len(seen) == 2


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
            lambda p=picture: p.metadata.__init__(x=1),
            lambda p=picture: p.metadata == _Taker(),
        ):
            with pytest.raises((TypeError, AttributeError)):
                attack()
        dict.clear(picture.metadata)  # a method that knows no frozen dicts reaches the picture alone
    assert store.get("a").metadata["deep"]["x"] == 1
    assert list(store.get("a").metadata["list"]) == [1]


class _Taker:
    """Changes what it is compared with."""

    def __eq__(self, other: object) -> bool:
        other["x"] = 1  # type: ignore[index]
        return True

    __hash__ = None  # type: ignore[assignment]


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


def _work(store: Any, sessions: int) -> None:
    """What a pool asks of a store for its calls, with sessions that are there and with new ones."""
    for number in range(20):
        there, fresh = str(number * (sessions // 20)), f"new {number}"
        info, _ = store.open(there, ttl=60.0, metadata=None)
        store.touch([there])
        store.gone({there: info.created})
        store.get(there)
        store.expire()
        store.count()
        store.put_program(there, "p", 1)
        store.open(fresh, ttl=60.0, metadata=None)
        store.update(fresh, lambda metadata: {"n": 1})
        store.delete(fresh)
        store.delete(there)


def _in_memory(clock: Clock, sessions: int) -> int:
    store = snakepit.MemorySessionStore(Limits(10**6), clock)
    for number in range(sessions):
        store.open(str(number), ttl=60.0, metadata=None)
    counted = [0]

    def count(*_: Any) -> None:
        counted[0] += 1

    sys.setprofile(count)
    try:
        _work(store, sessions)
    finally:
        sys.setprofile(None)
    return counted[0]


def _in_sqlite(clock: Clock, sessions: int, limit: int, folder: pathlib.Path) -> int:
    store = snakepit.SQLiteSessionStore(folder / f"{sessions}-{limit}.db", Limits(limit), clock)
    try:
        rows = [(str(number), clock.now, clock.now, 60.0, clock.now + 60, b"\x80") for number in range(sessions)]
        store._db.execute("BEGIN")
        store._db.executemany("INSERT INTO sessions (id, created, last_used, ttl, expires, metadata) VALUES (?,?,?,?,?,?)", rows)
        store._db.execute("COMMIT")
        assert store.count() == sessions
        counted = [0]

        def count() -> None:
            counted[0] += 1

        store._db.set_progress_handler(count, 1)  # called with each step of SQLite's virtual machine
        _work(store, sessions)
        return counted[0]
    finally:
        store.close()


def test_the_cost_does_not_grow_in_memory(clock: Clock) -> None:
    """Opening, looking up, touching, sweeping and ending take as many steps among 100,000 sessions as among 100."""
    assert _in_memory(clock, 100_000) <= 1.1 * _in_memory(clock, 100)


@pytest.mark.parametrize("room", [10**6, 100])
def test_the_cost_does_not_grow_in_sqlite(clock: Clock, tmp_path: pathlib.Path, room: int) -> None:
    """The same in steps of SQLite's machine, far from the quota and close to it."""
    assert _in_sqlite(clock, 100_000, 100_000 + room, tmp_path) <= 1.1 * _in_sqlite(clock, 100, 100 + room, tmp_path)


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
