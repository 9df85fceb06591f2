"""Threads of host tools: no more run at once than there are places, parked work keeps no place, and places go in turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from snakepit._pool.host_tools import threads
from snakepit._pool.host_tools.threads import HostThreads, Level, TooManyParked


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostThreads]:
    """Two places per depth; all its threads end with the test."""
    monkeypatch.setattr(threads, "LOOK_SECONDS", 0.02)
    pool = HostThreads(2)
    yield pool
    for thread in pool.close():
        thread.join(5)
        assert not thread.is_alive()


class Work:
    """Something to do that waits for a word."""

    def __init__(self, *, parks: bool = False) -> None:
        self.parks = parks
        self.begun, self.go_on, self.parked, self.resumed, self.done = (threading.Event() for _ in range(5))
        self.over = False
        self.refused = False

    def __call__(self, level: Level) -> None:
        self.begun.set()
        if self.parks:
            try:
                level.park()
            except TooManyParked:
                self.refused = True
            else:
                self.parked.set()
                self.go_on.wait(5)
                level.resume(lambda: self.over)
                self.resumed.set()
        else:
            self.go_on.wait(5)
        self.done.set()


def test_no_more_run_at_once_than_there_are_places(pool: HostThreads) -> None:
    """The third waits until one of the first two is done."""
    works = [Work() for _ in range(3)]
    assert all(pool.submit(1, work) for work in works)
    assert works[0].begun.wait(5)
    assert works[1].begun.wait(5)
    assert not works[2].begun.wait(0.1)
    works[0].go_on.set()
    assert works[2].begun.wait(5)
    for work in works:
        work.go_on.set()
        assert work.done.wait(5)


def test_each_depth_has_places_of_its_own(pool: HostThreads) -> None:
    """Work at depth 2 runs although depth 1 is full: depth 1 may wait for it."""
    works = [Work() for _ in range(3)]
    for depth, work in zip((1, 1, 2), works, strict=True):
        assert pool.submit(depth, work)
    assert all(work.begun.wait(5) for work in works)
    for work in works:
        work.go_on.set()


def test_parked_work_keeps_no_place(pool: HostThreads) -> None:
    """However much is parked, other work runs; resumed, it waits for a place like everybody."""
    parked = [Work(parks=True) for _ in range(5)]
    assert all(pool.submit(1, work) for work in parked)
    assert all(work.parked.wait(5) for work in parked)
    others = [Work(), Work()]
    assert all(pool.submit(1, work) for work in others)
    assert all(work.begun.wait(5) for work in others)
    parked[0].go_on.set()
    assert not parked[0].resumed.wait(0.1)
    others[0].go_on.set()
    assert parked[0].resumed.wait(5)
    for work in (*parked, *others):
        work.go_on.set()
        assert work.done.wait(5)


def test_places_go_in_turn(pool: HostThreads) -> None:
    """Work that is resumed is not overtaken by new work, nor the other way round."""
    parked, first, second, late = Work(parks=True), Work(), Work(), Work()
    assert pool.submit(1, parked)
    assert parked.parked.wait(5)
    assert pool.submit(1, first)
    assert pool.submit(1, second)
    assert second.begun.wait(5)
    parked.go_on.set()
    time.sleep(0.05)  # it claims its place now
    assert pool.submit(1, late)
    first.go_on.set()
    assert parked.done.wait(5)
    assert late.begun.wait(5)  # the place of what has been resumed, and is done
    for work in (second, late):
        work.go_on.set()


def test_what_is_over_needs_no_place(pool: HostThreads) -> None:
    """Parked work that was cancelled ends although every place is taken."""
    parked, others = Work(parks=True), [Work(), Work()]
    assert pool.submit(1, parked)
    assert parked.parked.wait(5)
    for work in others:
        assert pool.submit(1, work)
        assert work.begun.wait(5)
    parked.over = True
    parked.go_on.set()
    assert parked.done.wait(5)
    assert not any(work.done.is_set() for work in others)
    for work in others:
        work.go_on.set()


def test_how_much_may_be_parked(pool: HostThreads, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is told so, and keeps its place."""
    monkeypatch.setattr(threads, "_MAX_PARKED", 1)
    first, second = Work(parks=True), Work(parks=True)
    assert pool.submit(1, first)
    assert first.parked.wait(5)
    assert pool.submit(1, second)
    assert second.done.wait(5)
    assert second.refused
    first.go_on.set()


def test_how_much_may_wait(pool: HostThreads, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work beyond that is refused, and so is all after the end."""
    monkeypatch.setattr(threads, "_MAX_WAITING", 1)
    works = [Work() for _ in range(3)]
    assert [pool.submit(1, work) for work in works] == [True, True, True]
    assert pool.submit(1, Work()) is False
    pool.close()
    assert pool.submit(1, Work()) is False
    for work in works:
        work.go_on.set()
        assert work.done.wait(5)  # what was taken in is done


def test_idle_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond the places at once, the others after a while."""
    monkeypatch.setattr(threads, "_IDLE_SECONDS", 0.05)
    pool = HostThreads(1)
    parked = [Work(parks=True) for _ in range(4)]
    assert all(pool.submit(1, work) for work in parked)
    assert all(work.parked.wait(5) for work in parked)
    mine = [item for item in threading.enumerate() if item.name == "snakepit-host-tool-1"]
    assert len(mine) == 4
    for work in parked:
        work.go_on.set()
    for thread in mine:
        thread.join(5)
        assert not thread.is_alive()
