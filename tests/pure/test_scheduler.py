"""The scheduler against a model so plain that it can be seen to be right: lists, and a look at everything each time."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, precondition, rule

from snakepit._pool.decisions import Assignment, QueueIsFull, SessionBusy
from snakepit._pool.scheduler import Scheduler


class SchedulerAgainstModel(RuleBasedStateMachine):
    """Random workers and calls; after each step the scheduler has done what the model would have."""

    workers = Bundle("workers")
    calls = Bundle("calls")

    @initialize(max_queue=st.integers(0, 6), max_streams=st.none() | st.integers(1, 3))
    def start(self, max_queue: int, max_streams: int | None) -> None:
        self.scheduler = Scheduler(max_queue, max_streams)
        self.max_queue, self.max_streams = max_queue, max_streams
        self.slots: dict[str, int] = {}
        self.waiting: list[tuple[int, bool]] = []  # (call, streaming), oldest first
        self.running: dict[int, tuple[str, bool]] = {}
        self.assigned: list[int] = []
        self.refused: set[int] = set()
        self.threaded: set[str] = set()
        self.blocking: set[int] = set()
        self.gone: set[int] = set()  # finished, withdrawn, or lost with their worker
        self.names = 0

    # What can happen

    @rule(target=workers, slots=st.integers(1, 3), threaded=st.booleans())
    def add_worker(self, slots: int, threaded: bool) -> str:
        self.names += 1
        name = f"worker-{self.names}"
        self.slots[name] = slots
        if threaded:
            self.threaded.add(name)
        self._made(self.scheduler.add_worker(name, slots, threaded=threaded))
        return name

    @rule(worker=consumes(workers))
    def lose_worker(self, worker: str) -> None:
        lost = [call for call, (name, _) in self.running.items() if name == worker]
        orphans, stranded, sessions, assignments = self.scheduler.remove_worker(worker)
        assert (stranded, sessions) == ([], [])
        assert sorted(orphans) == sorted(lost)
        del self.slots[worker]
        for call in lost:
            del self.running[call]
            self.gone.add(call)
        self._made(assignments)

    @rule(target=calls, streaming=st.booleans(), blocking=st.booleans())
    def submit(self, streaming: bool, blocking: bool):
        self.names += 1
        call = self.names
        servable = self._may_run(streaming=streaming) and self._free() > 0
        if not servable and len(self.waiting) >= self.max_queue:
            with pytest.raises(QueueIsFull):
                self.scheduler.submit(call, streaming=streaming, blocking=blocking)
            self.refused.add(call)
            return multiple()
        self.waiting.append((call, streaming))
        if blocking:
            self.blocking.add(call)
        self._made(self.scheduler.submit(call, streaming=streaming, blocking=blocking))
        return call

    @rule(call=calls)
    def finish(self, call: int) -> None:
        if self.running.pop(call, None) is not None:
            self.gone.add(call)
        self._made(self.scheduler.finish(call))

    @rule(call=calls)
    def withdraw(self, call: int) -> None:
        waits = call in [waiting for waiting, _ in self.waiting]
        assert self.scheduler.withdraw(call) is waits
        if waits:
            self.waiting = [item for item in self.waiting if item[0] != call]
            self.gone.add(call)

    @precondition(lambda self: self.slots)
    @rule(data=st.data())
    def a_known_worker_cannot_be_added_again(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.slots)))
        with pytest.raises(ValueError, match="is known already"):
            self.scheduler.add_worker(worker, 1)

    # What must hold

    @invariant()
    def capacity_is_never_exceeded(self) -> None:
        for name, slots in self.slots.items():
            assert sum(worker == name for worker, _ in self.running.values()) <= slots

    @invariant()
    def no_more_streams_run_than_may(self) -> None:
        assert self.max_streams is None or self._streams() <= self.max_streams

    @invariant()
    def figures_agree(self) -> None:
        assert (self.scheduler.waiting, self.scheduler.running) == (len(self.waiting), len(self.running))
        assert {call: self.scheduler.worker_of(call) for call in self.running} == {call: name for call, (name, _) in self.running.items()}

    @invariant()
    def nothing_is_lost_or_served_twice(self) -> None:
        waiting = {call for call, _ in self.waiting}
        assert len(self.assigned) == len(set(self.assigned))
        assert not waiting & self.running.keys()
        assert not (waiting | self.running.keys()) & (self.gone | self.refused)
        assert set(self.assigned) <= self.running.keys() | self.gone

    @invariant()
    def nobody_waits_beside_a_free_slot(self) -> None:
        assert self._free() == 0 or not [call for call, streaming in self.waiting if self._may_run(streaming=streaming)]

    # The model

    def _made(self, assignments: list[Assignment]) -> None:
        """Each assignment is the oldest call that may run, on a worker with a free slot."""
        for call, worker, moved_from, _ in assignments:
            assert not moved_from
            first = next((item for item in self.waiting if self._may_run(streaming=item[1])), None)
            assert first is not None, "a call was served although none may be"
            assert call == first[0], "a younger call was served before an older one"
            loads = {name: self._load(name) for name in self.slots if self._room(name) > 0}
            assert worker in loads, "a full worker was given a call"
            assert loads[worker] == min(loads.values()), "a busier worker was given the call"
            self.waiting.remove(first)
            self.running[call] = worker, first[1]
            self.assigned.append(call)

    def _may_run(self, *, streaming: bool) -> bool:
        return not streaming or self.max_streams is None or self._streams() < self.max_streams

    def _streams(self) -> int:
        return sum(streaming for _, streaming in self.running.values())

    def _free(self) -> int:
        return sum(map(self._room, self.slots))

    def _load(self, worker: str) -> int:
        return sum(name == worker for name, _ in self.running.values())

    def _room(self, worker: str) -> int:
        """How many calls it can take: none beside one that blocks its main thread."""
        here = {call for call, (name, _) in self.running.items() if name == worker}
        if worker not in self.threaded and here & self.blocking:
            return 0
        return self.slots[worker] - len(here)

    def teardown(self) -> None:
        """When all is over, nothing is kept."""
        if not hasattr(self, "scheduler"):
            return
        for call, _ in self.waiting:
            self.scheduler.withdraw(call)
        for worker in self.slots:
            self.scheduler.remove_worker(worker)
        assert not self.scheduler._blocking
        assert not self.scheduler.seats


class TestScheduler(SchedulerAgainstModel.TestCase):
    """The scheduler does what the model does, whatever happens in whatever order."""

    settings = settings(max_examples=120, stateful_step_count=40)


def test_idle_longest_serves_next() -> None:
    """Of two idle workers the one that has been idle longer gets the call."""
    scheduler = Scheduler(10)
    scheduler.add_worker("a", 1)
    scheduler.add_worker("b", 1)
    served = []
    for call in (1, 2, 3, 4):
        served += [worker for _, worker, *_ in scheduler.submit(call, streaming=False)]
        scheduler.finish(call)
    assert served == ["a", "b", "a", "b"]


def test_the_least_loaded_worker_serves_next() -> None:
    """Calls spread over workers with several slots; where a call has ended, the next one goes."""
    scheduler = Scheduler(10)
    for name in ("a", "b", "c"):
        scheduler.add_worker(name, 3)
    served = [worker for call in range(6) for _, worker, *_ in scheduler.submit(call, streaming=False)]
    assert served == ["a", "b", "c", "a", "b", "c"]
    scheduler.finish(1)
    assert scheduler.submit(6, streaming=False) == [Assignment(6, "b")]
    scheduler.add_worker("d", 3)
    assert [scheduler.submit(call, streaming=False)[0].worker_id for call in (7, 8)] == ["d", "d"]


def test_of_equally_loaded_workers_the_one_that_waits_longest_serves_next() -> None:
    """The slot that has been free longest among the least loaded is taken first."""
    scheduler = Scheduler(10)
    for name in ("a", "b", "c"):
        scheduler.add_worker(name, 2)
    for call in range(6):
        scheduler.submit(call, streaming=False)
    for call in (4, 3, 5):  # on b, a, c
        scheduler.finish(call)
    assert [scheduler.submit(call, streaming=False)[0].worker_id for call in (6, 7, 8)] == ["b", "a", "c"]


def test_a_blocking_call_has_the_main_thread_to_itself() -> None:
    """A call given to that worker would wait, beside an idle one; on threads it does not. What runs there already runs on."""
    scheduler = Scheduler(10)
    scheduler.add_worker("a", 4)
    assert scheduler.submit(1, streaming=False) == [Assignment(1, "a")]
    assert scheduler.submit(2, streaming=False, blocking=True) == [Assignment(2, "a")]
    assert scheduler.submit(3, streaming=False) == []
    assert scheduler.finish(1) == []
    assert scheduler.add_worker("b", 4, threaded=True) == [Assignment(3, "b")]
    assert scheduler.submit(4, streaming=False, blocking=True) == [Assignment(4, "b")]
    assert scheduler.submit(5, streaming=False, blocking=True) == [Assignment(5, "b")]
    assert [scheduler.submit(call, streaming=False) for call in (6, 7)] == [[Assignment(6, "b")], []]
    assert scheduler.finish(2) == [Assignment(7, "a")]


def test_a_session_does_not_wait_for_a_blocked_worker_in_vain() -> None:
    """A call that must not wait is refused where the session's worker is blocked; one that may go elsewhere does."""
    scheduler = Scheduler(10)
    scheduler.add_worker("a", 4)
    scheduler.add_worker("b", 4)
    assert scheduler.submit(1, streaming=False, session="s", blocking=True) == [Assignment(1, "a")]
    with pytest.raises(SessionBusy):
        scheduler.submit(2, streaming=False, session="s", affinity="strict_fail_fast")
    assert scheduler.submit(3, streaming=False, session="s") == [Assignment(3, "b", moved_from="a")]


def test_unary_call_passes_streams_that_may_not_run() -> None:
    """A stream beyond the limit waits while a younger unary call takes the free slot; it runs when a stream has ended."""
    scheduler = Scheduler(10, max_streams=1)
    scheduler.add_worker("a", 1)
    scheduler.add_worker("b", 1)
    assert scheduler.submit(1, streaming=True) == [Assignment(1, "a")]
    assert scheduler.submit(2, streaming=True) == []
    assert scheduler.submit(3, streaming=False) == [Assignment(3, "b")]
    assert scheduler.finish(1) == [Assignment(2, "a")]


def test_a_lost_stream_makes_room_for_the_next() -> None:
    """The worker of the only stream dies: the waiting stream goes to the idle worker at once, not when a new one comes."""
    scheduler = Scheduler(10, max_streams=1)
    scheduler.add_worker("a", 1)
    scheduler.add_worker("b", 1)
    scheduler.submit(1, streaming=True)
    scheduler.submit(2, streaming=True)
    assert scheduler.remove_worker("a") == ([1], [], [], [Assignment(2, "b")])


def test_no_queue_at_all() -> None:
    """With a queue of 0 a call is served at once or refused."""
    scheduler = Scheduler(0)
    with pytest.raises(QueueIsFull):
        scheduler.submit(1, streaming=False)
    scheduler.add_worker("a", 1)
    assert scheduler.submit(2, streaming=False) == [Assignment(2, "a")]
    with pytest.raises(QueueIsFull):
        scheduler.submit(3, streaming=False)
    assert scheduler.waiting == 0


def test_an_unknown_worker_may_be_removed() -> None:
    """A worker that was never ready has nothing to give back."""
    assert Scheduler(1).remove_worker("ghost") == ([], [], [], [])


def test_a_worker_has_at_least_one_slot() -> None:
    """A worker without slots would be counted and never serve."""
    with pytest.raises(ValueError, match="has no slots"):
        Scheduler(1).add_worker("a", 0)
