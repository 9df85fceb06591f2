"""Strict calls of a session run in the order in which they were submitted, also where its store is slow to answer for some of them."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from session_mark_tools import SessionMarkTools
from snakepit._sessions.sqlite import SQLiteSessionStore
from snakepit.errors import SessionEnded

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]


@pytest.fixture
def slow_pool(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[snakepit.Pool]:
    """Its store takes 30 ms to find a session."""
    find = SQLiteSessionStore.open

    def slowly(store: SQLiteSessionStore, *args: Any, **settings: Any) -> Any:
        time.sleep(0.03)
        return find(store, *args, **settings)

    monkeypatch.setattr(SQLiteSessionStore, "open", slowly)
    with snakepit.Pool(SessionMarkTools, size=1, protocol="msgpack", session_store=f"sqlite:///{tmp_path}/sessions.db") as pool:
        yield pool


def submit(pool: snakepit.Pool, folder: pathlib.Path, number: int) -> Any:
    args = {"folder": str(folder), "number": number}
    return pool.submit("step", args, session_id="red", affinity="strict_queue", timeout=30)


def test_none_passes_those_that_ask_the_store(slow_pool: snakepit.Pool, tmp_path: pathlib.Path) -> None:
    """The first finds the session; those that come before and after its answer keep their places."""
    futures = [submit(slow_pool, tmp_path, number) for number in range(6)]
    futures[0].result(20)
    futures += [submit(slow_pool, tmp_path, number) for number in range(6, 12)]
    assert [future.result(20)["numbers"] for future in futures] == [list(range(number + 1)) for number in range(12)]


def test_those_before_the_end_of_a_session_end_with_it(slow_pool: snakepit.Pool, tmp_path: pathlib.Path) -> None:
    """And none of them comes to life in another session of its id, behind calls of that."""
    for turn in range(3):
        before = [submit(slow_pool, tmp_path, 10 * turn + number) for number in range(3)]
        slow_pool.end_session("red")
        after = [submit(slow_pool, tmp_path, 10 * turn + number) for number in range(3, 6)]
        for future in after:
            future.result(20)
        assert after[-1].result()["numbers"] == [10 * turn + number for number in range(3, 6)]
        for future in before:
            assert future.exception(20) is None or isinstance(future.exception(), SessionEnded)


def test_an_error_of_the_store_is_told_to_each(slow_pool: snakepit.Pool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that asked, or waited behind one that asked; the next ones find it well again."""

    def fails(_store: SQLiteSessionStore, *_args: Any, **_settings: Any) -> Any:
        time.sleep(0.03)
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(SQLiteSessionStore, "open", fails)
        for future in [submit(slow_pool, tmp_path, number) for number in range(5)]:
            assert "the disk is full" in str(future.exception(20))
    assert submit(slow_pool, tmp_path, 5).result(20)["numbers"] == [5]
