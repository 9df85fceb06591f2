"""What calls tell workers of their session, when they overtake each other, are cancelled unsent, and answered in any order."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from snakepit._pool.call import Call
from snakepit._pool.sessions.entry import Entry, Loss
from snakepit_bridge._runtime.cancel_threads import ThreadInterrupter
from snakepit_bridge._runtime.main_loop import QueueLoop
from snakepit_bridge._runtime.session_ends import EndHooks
from snakepit_bridge._runtime.sessions import HeldSession, Sessions
from snakepit_bridge.wire.frames import Window


class Told:
    """A call that has been given to a worker: what it tells there."""

    def __init__(self, entry: Entry, number: int, worker_id: str, moved_from: str = "") -> None:
        self.entry = entry
        self.call = Call(number, "tool", {}, False, None, Window(), queue.SimpleQueue(), worker_id=worker_id, session_id=entry.id)
        entry.calls[number] = self.call
        self.options = entry.tell(self.call, worker_id, moved_from)

    def answered(self) -> None:
        self.entry.answered(self.call.id)

    def left(self) -> None:
        del self.entry.calls[self.call.id]
        self.entry.told.pop(self.call.id)


@pytest.fixture
def entry() -> Entry:
    """A session with metadata that nobody has been told of yet."""
    return Entry("s", 1.0, {"user": "ann"}, 60.0, 0.0, 0.0, 0.0)


@pytest.fixture
def worker() -> Sessions:
    """The table of sessions of a worker."""
    main = QueueLoop()
    return Sessions(_NoInstances(), main, EndHooks(main, ThreadInterrupter(), "worker-1"))  # type: ignore[arg-type]


class _NoInstances:
    objects: tuple[()] = ()


def _held(worker: Sessions, told: Told) -> HeldSession:
    held = worker.of({"session": told.options})
    assert held is not None
    return held


def test_metadata_is_told_until_it_is_known_to_have_arrived(entry: Entry) -> None:
    """By each call, until one has been answered; then no more, until it changes."""
    first, second = Told(entry, 1, "a"), Told(entry, 2, "a")
    assert first.options["metadata"] == second.options["metadata"] == {"user": "ann"}
    second.answered()
    assert "metadata" not in Told(entry, 3, "a").options
    entry.renew({"user": "bob"}, 60.0, 1.0)
    assert Told(entry, 4, "a").options["metadata"] == {"user": "bob"}
    first.answered()  # it told the old one, which takes nothing back
    assert "metadata" in Told(entry, 5, "a").options
    assert "metadata" in Told(entry, 6, "b").options


def test_a_call_that_is_cancelled_unsent_takes_nothing_with_it(entry: Entry) -> None:
    """Neither the snapshot, nor word of the move and the loss: the next call tells all of it."""
    Told(entry, 1, "a").answered()
    entry.lost(Loss.now("a", "it died"))
    entry.worker_gone("a")
    Told(entry, 2, "b").left()
    assert entry.loss is not None
    assert Told(entry, 3, "b").call.moved == {"from": "a", "reason": "lost: it died", "restored": False}


def test_the_loss_is_over_when_a_call_that_told_it_is_answered(entry: Entry) -> None:
    """Not by a call that was sent before; a second loss is another."""
    before = Told(entry, 1, "b")
    entry.lost(Loss.now("a", "it died"))
    after = Told(entry, 2, "b")
    before.answered()
    assert entry.loss is not None
    after.answered()
    assert entry.loss is None
    assert Told(entry, 3, "b").call.moved is None
    told_of_first = Told(entry, 4, "b")
    entry.lost(Loss.now("b", "it died too"))
    told_of_first.answered()
    assert entry.loss is not None


def test_a_snapshot_is_restored_once_whatever_overtakes(entry: Entry, worker: Sessions) -> None:
    """Each call tells of it until one is answered; the worker takes it from the first that comes, and not again."""
    Told(entry, 1, "elsewhere").answered()
    entry.snapshot = {"0": "kept"}
    large, small = Told(entry, 2, "worker-1"), Told(entry, 3, "worker-1")
    held = _held(worker, small)
    assert held.restore == {"0": "kept"}
    held.restore = None  # it has been restored
    assert _held(worker, large) is held
    assert held.restore is None
    large.answered()
    assert "restore" not in Told(entry, 4, "worker-1").options


def test_a_session_that_comes_back_begins_with_the_newest_snapshot(entry: Entry, worker: Sessions) -> None:
    """What it left there is out of date; a late call of the former visit does not bring that back."""
    entry.snapshot = {"0": "old"}
    early, late = Told(entry, 1, "worker-1"), Told(entry, 2, "worker-1")
    first = _held(worker, early)
    early.answered()
    entry.snapshot = {"0": "new"}
    Told(entry, 3, "b", moved_from="worker-1").answered()
    back = _held(worker, Told(entry, 4, "worker-1", moved_from="b"))
    assert back is not first
    assert (first.over, back.restore) == (True, {"0": "new"})
    assert _held(worker, late) is back


def test_only_calls_on_the_newest_state_bring_snapshots(entry: Entry) -> None:
    """One that still runs on what the session left at the same worker does not."""
    entry.snapshot = {"0": "old"}
    former = Told(entry, 1, "a")
    Told(entry, 2, "b", moved_from="a").answered()
    newest = Told(entry, 3, "a", moved_from="b")
    answers: list[Any] = [entry.answered(told.call.id) for told in (former, newest)]
    assert [entry.is_newest(answer) for answer in answers] == [False, True]


def test_newer_metadata_is_not_replaced_by_what_arrives_late(entry: Entry, worker: Sessions) -> None:
    """A large call tells the old one after a small call has told the new one."""
    large = Told(entry, 1, "worker-1")
    entry.renew({"user": "bob"}, 60.0, 1.0)
    held = _held(worker, Told(entry, 2, "worker-1"))
    _held(worker, large)
    assert dict(held.context.metadata) == {"user": "bob"}


def test_a_move_for_want_of_a_slot_does_not_hide_a_loss(entry: Entry) -> None:
    """Whoever is told is told of the loss, as long as nobody has been."""
    Told(entry, 1, "a").answered()
    entry.lost(Loss.now("a", "it died"))
    Told(entry, 2, "b").left()
    assert (Told(entry, 3, "c", moved_from="b").call.moved or {})["from"] == "a"
