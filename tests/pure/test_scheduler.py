"""The scheduler against a model so plain that it can be seen to be right: lists, and a look at everything each time."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, precondition, rule

from snakepit._pool.scheduler import Assignment, QueueIsFull, Scheduler


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
        self.gone: set[int] = set()  # finished, withdrawn, or lost with their worker
        self.names = 0

    # What can happen

    @rule(target=workers, slots=st.integers(1, 3))
    def add_worker(self, slots: int) -> str:
        self.names += 1
        name = f"worker-{self.names}"
        self.slots[name] = slots
        self._made(self.scheduler.add_worker(name, slots))
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

    @rule(target=calls, streaming=st.booleans())
    def submit(self, streaming: bool):
        self.names += 1
        call = self.names
        servable = self._may_run(streaming=streaming) and self._free() > 0
        if not servable and len(self.waiting) >= self.max_queue:
            with pytest.raises(QueueIsFull):
                self.scheduler.submit(call, streaming=streaming)
            self.refused.add(call)
            return multiple()
        self.waiting.append((call, streaming))
        self._made(self.scheduler.submit(call, streaming=streaming))
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
        for call, worker, moved_from in assignments:
            assert not moved_from
            first = next((item for item in self.waiting if self._may_run(streaming=item[1])), None)
            assert first is not None, "a call was served although none may be"
            assert call == first[0], "a younger call was served before an older one"
            self.waiting.remove(first)
            self.running[call] = worker, first[1]
            self.assigned.append(call)

    def _may_run(self, *, streaming: bool) -> bool:
        return not streaming or self.max_streams is None or self._streams() < self.max_streams

    def _streams(self) -> int:
        return sum(streaming for _, streaming in self.running.values())

    def _free(self) -> int:
        return sum(self.slots.values()) - len(self.running)


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
        served += [worker for _, worker, _ in scheduler.submit(call, streaming=False)]
        scheduler.finish(call)
    assert served == ["a", "b", "a", "b"]


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
