"""The way of a pool to its store: whatever the store and the user's changes do, nobody waits for ever, and others not at all."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import snakepit
from pool_helpers import wait_until
from snakepit._pool.in_thread import in_thread
from snakepit._pool.sessions import access, changes

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

ADAPTER = "session_tools:SessionTools"


class Slow(snakepit.MemorySessionStore):
    """Asked on a thread, like one that does I/O; answers `open` only when it is let."""

    blocking = True

    def __init__(self) -> None:
        super().__init__()
        self.answers = threading.Event()
        self.answers.set()
        self.opened: list[str] = []
        self.closed = threading.Event()

    def open(self, session_id: str, **options: Any) -> Any:
        assert self.answers.wait(30)
        self.opened.append(session_id)
        return super().open(session_id, **options)

    def close(self) -> None:
        super().close()
        self.closed.set()


@pytest.fixture(params=["memory", "sqlite"])
def pool(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[snakepit.Pool]:
    """One per way to ask: at once, and on a thread."""
    setting = None if request.param == "memory" else tmp_path / "sessions.db"
    with snakepit.Pool(ADAPTER, size=1, session_store=setting) as pool:
        yield pool


# changes of metadata -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, StopIteration, GeneratorExit])
def test_a_change_that_raises_anything_ends_nothing_else(pool: snakepit.Pool, kind: type[BaseException]) -> None:
    """It is told by name; the next change works, and so does the pool."""
    with pool.session(metadata={"n": 1}) as session:

        def change(metadata: dict[str, Any]) -> dict[str, Any]:
            raise kind

        with pytest.raises(snakepit.InvalidParameter, match=f"change raised {kind.__name__}") as caught:
            session.update(change)
        assert isinstance(caught.value.__cause__, kind)
        assert session.update(lambda metadata: {"n": metadata["n"] + 1}).metadata == {"n": 2}
        assert session.execute("metadata") == {"n": 2}


def test_an_exception_of_a_change_comes_out_as_it_is(pool: snakepit.Pool) -> None:
    """And changes nothing."""
    with pool.session(metadata={"n": 1}) as session:
        with pytest.raises(ZeroDivisionError):
            session.update(lambda metadata: {"n": 1 // 0})
        with pytest.raises(snakepit.InvalidParameter, match="must return the new dict"):
            session.update(lambda metadata: None)  # type: ignore[arg-type,return-value]
        assert session.info().metadata == {"n": 1}


def test_a_change_may_ask_its_own_session(pool: snakepit.Pool) -> None:
    """Its programs, its calls, even another change of it: nothing hangs, and nothing is lost."""
    with pool.session(metadata={"n": 0}) as session:
        session.put_program("p", 1)
        inner: list[Any] = []

        def change(metadata: dict[str, Any]) -> dict[str, Any]:
            if not inner:
                inner.append(session.update(lambda held: {**held, "inner": True}))
            return {**metadata, "programs": list(session.programs()), "called": session.execute("has_session")}

        assert session.update(change).metadata == {"n": 0, "inner": True, "programs": ["p"], "called": True}


def test_a_change_that_overtakes_itself_is_refused(pool: snakepit.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, after a bounded number of tries."""
    monkeypatch.setattr(changes, "MAX_TRIES", 5)
    with (
        pool.session(metadata={"n": 0}) as session,
        pytest.raises(snakepit.SessionStoreError, match=r"does `change` update its own session"),
    ):
        session.update(lambda metadata: dict(session.update(lambda held: {"n": held["n"] + 1}).metadata))


def test_changes_from_many_threads_lose_nothing(pool: snakepit.Pool) -> None:
    """Each is asked again when another was faster; a NaN is no other than before."""
    with pool.session(metadata={"n": 0, "x": float("nan")}) as session, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: session.update(lambda metadata: {**metadata, "n": metadata["n"] + 1}), range(40)))
        assert session.info().metadata["n"] == 40


def test_a_change_that_never_ends_holds_up_nobody(pool: snakepit.Pool) -> None:
    """Calls, other changes and the pool's end go on; whoever asked for it is told when the pool is closed."""
    session, other = pool.session(metadata={"n": 0}).open(), pool.session().open()
    begun, free = threading.Event(), threading.Event()

    def change(metadata: dict[str, Any]) -> dict[str, Any]:
        begun.set()
        assert free.wait(30)
        return metadata

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(session.update, change)
        try:
            assert begun.wait(10)
            assert session.execute("metadata") == {"n": 0}
            assert other.update(lambda metadata: {"m": 1}).metadata == {"m": 1}
            assert session.update(lambda metadata: {"n": 1}).metadata == {"n": 1}
            pool.close()
            with pytest.raises(snakepit.SnakepitError, match="closed"):
                waiting.result(10)
        finally:
            free.set()


# requests that are not answered ------------------------------------------------------------------------------------------------


def test_a_store_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, in bounded time; what waited behind it is not asked any more, other calls go on, and so does the store later."""
    monkeypatch.setattr(access, "_ANSWER_SECONDS", 0.4)
    store = Slow()
    with snakepit.Pool(ADAPTER, size=1, session_store=store) as pool, ThreadPoolExecutor(3) as threads:
        pool.execute("has_session")
        store.answers.clear()
        begun = time.monotonic()
        waiting = [threads.submit(pool.session(name).open) for name in ("a", "b", "c")]
        assert pool.execute("has_session") is False
        for future in waiting:
            with pytest.raises(snakepit.SessionStoreError, match="has not answered"):
                future.result(10)
        with pytest.raises(snakepit.SessionStoreError, match="has not answered"):
            pool.execute("count", session_id="d")
        assert time.monotonic() - begun < 5
        store.answers.set()
        wait_until(lambda: pool.execute("count", session_id="e")["count"], "the store's answer")
        assert len(store.opened) == 2, "what nobody waited for any more was asked"


def test_too_many_requests_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, at once, when so many wait already."""
    monkeypatch.setattr(access, "_MAX_WAITING", 2)
    store = Slow()
    with snakepit.Pool(ADAPTER, size=1, session_store=store) as pool, ThreadPoolExecutor(8) as threads:
        pool.execute("has_session")
        store.answers.clear()
        waiting = [threads.submit(pool.session(f"s{number}").open) for number in range(8)]
        try:
            refused = wait_until(lambda: [item for item in waiting if item.done()], "a refusal")
            with pytest.raises(snakepit.SessionStoreError, match="2 requests wait"):
                refused[0].result()
        finally:
            store.answers.set()


# the end -----------------------------------------------------------------------------------------------------------------------


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "snakepit-sessions"]


def test_a_locked_file_holds_up_neither_the_end_nor_other_pools(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is closed on its own thread: the pool leaves it after a bounded time, and it is closed when it can be."""
    monkeypatch.setattr(access, "_CLOSE_SECONDS", 1.0)
    path = tmp_path / "sessions.db"
    pool, unrelated = snakepit.Pool(ADAPTER, size=1, session_store=path), snakepit.Pool(ADAPTER, size=1)
    with unrelated, contextlib.closing(sqlite3.connect(path.parent / "sessions.db", isolation_level=None)) as other:
        path.chmod(0o600)
        pool.execute("count", session_id="a")
        unrelated.execute("count")
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(6) as threads:
            waiting = [threads.submit(pool.execute, "count", session_id=f"n{number}") for number in range(5)]
            time.sleep(0.2)
            ended, slowest = threading.Event(), [0.0]

            def ask_the_other_pool() -> None:
                while not ended.is_set():
                    begun = time.monotonic()
                    unrelated.execute("has_session", timeout=30)
                    slowest[0] = max(slowest[0], time.monotonic() - begun)

            asking = threads.submit(ask_the_other_pool)
            begun = time.monotonic()
            pool.close()
            took = time.monotonic() - begun
            ended.set()
            asking.result(40)
            for future in waiting:
                with pytest.raises(snakepit.SnakepitError):
                    future.result(10)
        other.execute("ROLLBACK")
        assert took < 4, "closing waited for the lock"
        assert slowest[0] < 3, "the loop that all pools share was blocked"
        wait_until(lambda: not _threads(), "the end of the store's thread", timeout=15)


def test_the_store_is_closed_with_the_pool(tmp_path: pathlib.Path) -> None:
    """After what waited has been asked, also when nothing was ever asked; one that was given is left open."""
    for use in (True, False):
        with snakepit.Pool(ADAPTER, size=1, session_store=tmp_path / "sessions.db") as pool:
            assert pool._engine is not None
            store: Any = pool._engine.sessions._access.store
            if use:
                pool.execute("count", session_id="a")
        with pytest.raises(snakepit.SessionStoreError, match="closed database"):
            store.count()
    given = Slow()
    with snakepit.Pool(ADAPTER, size=1, session_store=given) as pool:
        pool.execute("count", session_id="a")
    assert not given.closed.is_set()


async def test_an_engine_whose_start_is_dropped_closes_its_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that was still being opened is closed again, and not on the loop."""
    store, here = Slow(), threading.current_thread()
    closed_on: list[threading.Thread] = []
    monkeypatch.setattr(store, "close", lambda: closed_on.append(threading.current_thread()))
    opening, opens = threading.Event(), threading.Event()

    def open_store() -> Any:
        opening.set()
        assert opens.wait(10)
        return store

    task = asyncio.create_task(in_thread(open_store, "open", lambda opened: opened.close()))
    await asyncio.to_thread(opening.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    opens.set()
    for _ in range(1000):
        if closed_on:
            break
        await asyncio.sleep(0.01)
    assert closed_on
    assert closed_on[0] is not here


async def test_a_store_that_ends_its_thread_is_told_of() -> None:
    """Whatever it raises while it is opened."""

    def open_store() -> Any:
        raise SystemExit(3)

    with pytest.raises(snakepit.InvalidParameter, match="open raised SystemExit"):
        await in_thread(open_store, "open")
