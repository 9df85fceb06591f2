"""Sessions in the scheduler: they stick to workers, wait for them, lose them; beside a model that looks at everything each time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from snakepit._pool.decisions import Assignment, QueueIsFull, SessionBusy
from snakepit._pool.scheduler import Scheduler

SESSIONS = ("", "red", "blue", "green")
AFFINITIES = ("hint", "strict_queue", "strict_fail_fast")


class Waiting:
    """A call in the model's one list."""

    def __init__(self, call: int, turn: int, session: str, affinity: str, *, streaming: bool) -> None:
        self.call, self.turn, self.session, self.streaming = call, turn, session, streaming
        self.strict = bool(session) and affinity != "hint"


def kept_by(scheduler: Scheduler) -> dict[str, Any]:
    """What is left in the tables of a scheduler, by name."""
    room = scheduler._room
    tables = {**vars(scheduler), **vars(room), "unary": room.anybody.unary, "streams": room.anybody.streams}
    return {name: table for name, table in tables.items() if isinstance(table, (dict, set)) and table}


class SchedulerWithSessions(RuleBasedStateMachine):
    """Random workers, calls and sessions; what must hold is checked against books kept in the plainest way."""

    @initialize(max_queue=st.integers(0, 8), max_streams=st.none() | st.integers(1, 2))
    def start(self, max_queue: int, max_streams: int | None) -> None:
        self.scheduler = Scheduler(max_queue, max_streams)
        self.max_queue, self.max_streams = max_queue, max_streams
        self.slots: dict[str, int] = {}
        self.retired: set[str] = set()
        self.waiting: dict[int, Waiting] = {}
        self.stranded: dict[int, Waiting] = {}
        self.running: dict[int, tuple[str, bool]] = {}
        self.strict: dict[int, str] = {}  # running strict calls, with their sessions
        self.bound: dict[str, str] = {}
        self.names = 0

    # What can happen

    @rule(slots=st.integers(1, 2))
    def add_worker(self, slots: int) -> None:
        self.names += 1
        self.slots[f"w{self.names}"] = slots
        self._made(self.scheduler.add_worker(f"w{self.names}", slots))

    @precondition(lambda self: self.slots)
    @rule(data=st.data(), first=st.booleans())
    def lose_worker(self, data: st.DataObject, first: bool) -> None:
        worker = data.draw(st.sampled_from(sorted(self.slots)))
        if first:
            removal = self.scheduler.retire_worker(worker)
            assert (removal.orphans, removal.assignments) == ([], [])
            self._unbound(worker, removal)
            self.retired.add(worker)
            return
        removal = self.scheduler.remove_worker(worker)
        assert sorted(removal.orphans) == sorted(call for call, (name, _) in self.running.items() if name == worker)
        self._unbound(worker, removal)
        for call in removal.orphans:
            del self.running[call]
            self.strict.pop(call, None)
        del self.slots[worker]
        self.retired.discard(worker)
        self._made(removal.assignments)

    @rule(session=st.sampled_from(SESSIONS), affinity=st.sampled_from(AFFINITIES), streaming=st.booleans())
    def submit(self, session: str, affinity: str, streaming: bool) -> None:
        self.names += 1
        call = Waiting(self.names, self.names, session, affinity, streaming=streaming)
        before = self._state()
        bound = self.bound.get(session, "")
        try:
            assignments = self.scheduler.submit(call.call, streaming=streaming, session=session, affinity=affinity)
        except SessionBusy as busy:
            assert session
            assert affinity == "strict_fail_fast"
            assert busy.worker_id == bound
            leads = any(other.strict and other.session == session for other in self.waiting.values())
            taken = bound not in self._free() if bound else not self._free() or leads
            assert taken or not self._may_stream(streaming)
            assert busy.assignments == []  # nobody waits beside a slot that is free for it
            assert self._state() == before
            return
        except QueueIsFull as full:
            assert len(self.waiting) >= self.max_queue
            assert full.assignments == []
            assert self._state() == before
            return
        self.waiting[call.call] = call
        self._made(assignments)
        if affinity == "strict_fail_fast" and session:
            assert call.call in self.running, "a call that must not wait waits"

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(sorted(self.running)))
        del self.running[call]
        self.strict.pop(call, None)
        self._made(self.scheduler.finish(call))

    @precondition(lambda self: self.waiting or self.stranded)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(sorted({**self.waiting, **self.stranded})))
        assert self.scheduler.withdraw(call) is True
        assert self.scheduler.withdraw(call) is False
        self.waiting.pop(call, None)
        self.stranded.pop(call, None)
        self._made(self.scheduler.next_assignments())

    @precondition(lambda self: self.stranded)
    @rule(data=st.data())
    def go_on_elsewhere(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(sorted(self.stranded)))
        self.waiting[call] = self.stranded.pop(call)
        self._made(self.scheduler.resubmit(call))

    @rule(session=st.sampled_from(SESSIONS[1:]))
    def unbind(self, session: str) -> None:
        self.bound.pop(session, None)
        self.scheduler.unbind(session)
        self._made(self.scheduler.next_assignments())

    # What must hold

    @invariant()
    def figures_agree(self) -> None:
        assert self.scheduler.waiting == len(self.waiting)
        assert self.scheduler.running == len(self.running)
        assert self.scheduler.seats.keys() == self.slots.keys()
        assert {call: self.scheduler.worker_of(call) for call in self.running} == {call: name for call, (name, _) in self.running.items()}

    @invariant()
    def bindings_agree(self) -> None:
        assert {session: self.scheduler.bound_to(session) for session in SESSIONS[1:]} == {
            session: self.bound.get(session, "") for session in SESSIONS[1:]
        }
        for worker in self.slots:
            assert sorted(self.scheduler._room._sessions.get(worker, ())) == sorted(
                name for name, where in self.bound.items() if where == worker
            )

    @invariant()
    def capacity_is_kept(self) -> None:
        for name, slots in self.slots.items():
            assert sum(worker == name for worker, _ in self.running.values()) <= slots
        assert self.max_streams is None or self._streams() <= self.max_streams

    @invariant()
    def nobody_waits_beside_a_slot_that_is_free_for_it(self) -> None:
        free = self._free()
        for call in self.waiting.values():
            if not self._may_stream(call.streaming):
                continue
            bound = self.bound.get(call.session, "") if call.strict or self._must_stay(call.session) else ""
            if bound:
                assert bound not in free, f"call {call.call} waits for {bound}, which is free"
            elif not self._follows(call):
                assert not free, f"call {call.call} could run on {free}"

    @invariant()
    def where_calls_may_run_is_what_it_says(self) -> None:
        for session in SESSIONS:
            for affinity in ("hint", "strict_queue"):
                bound = self.bound.get(session, "") if affinity != "hint" or self._must_stay(session) else ""
                assert self.scheduler.only_worker_for(session, affinity) == bound
        assert {name: len(seat.running) for name, seat in self.scheduler.seats.items()} == {name: self._load(name) for name in self.slots}
        assert all(seat.is_full is (self._load(name) >= self._capacity(name)) for name, seat in self.scheduler.seats.items())

    def teardown(self) -> None:
        """When all is over, nothing is kept."""
        if not hasattr(self, "scheduler"):
            return
        for call in [*self.waiting, *self.stranded]:
            self.scheduler.withdraw(call)
        for worker in list(self.slots):
            self.scheduler.remove_worker(worker)
        for session in SESSIONS:
            self.scheduler.unbind(session)
        assert kept_by(self.scheduler) == {}
        assert (self.scheduler.waiting, self.scheduler.running) == (0, 0)

    # The model

    def _made(self, assignments: list[Assignment]) -> None:
        for call_id, worker, moved_from, _ in assignments:
            call = self.waiting.pop(call_id)
            free = self._free()
            assert worker in free, "a worker without a free slot was given a call"
            assert self._may_stream(call.streaming)
            bound = self.bound.get(call.session, "")
            if call.strict and bound:
                assert worker == bound, "a strict call ran elsewhere"
            elif bound and self._must_stay(call.session):
                assert worker == bound, "a hint call moved a session from under its strict calls"
            elif bound in free:
                assert worker == bound, "the session's own worker was free"
            else:
                assert self._load(worker) == min(map(self._load, free)), "a busier worker was given the call"
            assert moved_from == (bound if bound and bound != worker else "")
            self._is_next(call, worker, free)
            if call.session:
                self.bound[call.session] = worker
            self.running[call_id] = worker, call.streaming
            if call.strict:
                self.strict[call_id] = call.session

    def _is_next(self, call: Waiting, worker: str, free: list[str]) -> None:
        """No older call could have run there, but for general ones that another free worker can take."""
        for other in self.waiting.values():
            if other.turn > call.turn or not self._may_stream(other.streaming) or self._follows(other):
                continue
            bound = self.bound.get(other.session, "") if other.strict or self._must_stay(other.session) else ""
            if bound and (other.strict or bound != worker):
                assert bound != worker, f"call {other.call} has waited longer for {worker}"
            else:
                assert call.strict, f"call {other.call} is older"
                assert len(free) > 1, f"call {other.call} is older, and there is one free worker"

    def _follows(self, call: Waiting) -> bool:
        """Does it wait for an older strict call of its session to find a worker?"""
        if not call.strict or self.bound.get(call.session):
            return False
        return any(other.strict and other.session == call.session and other.turn < call.turn for other in self.waiting.values())

    def _must_stay(self, session: str) -> bool:
        """Do strict calls of it wait or run?"""
        unserved = (*self.waiting.values(), *self.stranded.values())
        return session in self.strict.values() or any(call.strict and call.session == session for call in unserved)

    def _unbound(self, worker: str, removal: Any) -> None:
        lost = {session for session, where in self.bound.items() if where == worker}
        assert set(removal.lost_sessions) == lost
        theirs = [call for call in self.waiting.values() if call.session in lost]
        assert {call.call for call in theirs if call.strict} <= set(removal.stranded) <= {call.call for call in theirs}
        assert removal.stranded == sorted(removal.stranded)  # they are numbered by their turns
        for call in removal.stranded:
            self.stranded[call] = self.waiting.pop(call)
        for session in lost:
            del self.bound[session]

    def _load(self, name: str) -> int:
        return sum(worker == name for worker, _ in self.running.values())

    def _capacity(self, name: str) -> int:
        return 0 if name in self.retired else self.slots[name]

    def _free(self) -> list[str]:
        return [name for name in self.slots if self._load(name) < self._capacity(name)]

    def _streams(self) -> int:
        return sum(streaming for _, streaming in self.running.values())

    def _may_stream(self, streaming: bool) -> bool:
        return not streaming or self.max_streams is None or self._streams() < self.max_streams

    def _state(self) -> Any:
        return self.scheduler.waiting, self.scheduler.running, dict(self.bound)


class TestSchedulerWithSessions(SchedulerWithSessions.TestCase):
    """The scheduler does what the model allows, whatever happens in whatever order."""

    settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@pytest.fixture
def two() -> Scheduler:
    """Two idle workers, a before b."""
    scheduler = Scheduler(100)
    scheduler.add_worker("a", 1)
    scheduler.add_worker("b", 1)
    return scheduler


def test_a_session_prefers_its_worker(two: Scheduler) -> None:
    """It gets it although another has been idle longer."""
    assert two.submit(1, streaming=False, session="s") == [Assignment(1, "a")]
    two.finish(1)
    assert two.submit(2, streaming=False, session="s") == [Assignment(2, "a")]


def test_a_hint_moves_when_its_worker_is_busy(two: Scheduler) -> None:
    """The assignment says from where, and the session sticks to the new one."""
    two.submit(1, streaming=False, session="s")
    assert two.submit(2, streaming=False, session="s") == [Assignment(2, "b", moved_from="a")]
    two.finish(1)
    two.finish(2)
    assert two.submit(3, streaming=False, session="s") == [Assignment(3, "b")]


def test_a_strict_call_waits_for_its_worker(two: Scheduler) -> None:
    """Beside an idle one."""
    two.submit(1, streaming=False, session="s", affinity="strict_queue")
    assert two.submit(2, streaming=False, session="s", affinity="strict_queue") == []
    assert two.submit(3, streaming=False) == [Assignment(3, "b")]
    assert two.finish(1) == [Assignment(2, "a")]


def test_followers_go_where_their_leader_went() -> None:
    """Strict calls of a session without a worker wait for the first of them, and then for its worker."""
    scheduler = Scheduler(100)
    for call in (1, 2, 3):
        assert scheduler.submit(call, streaming=False, session="s", affinity="strict_queue") == []
    scheduler.submit(4, streaming=False)
    assert scheduler.add_worker("a", 1) == [Assignment(1, "a")]
    assert scheduler.add_worker("b", 1) == [Assignment(4, "b")]
    assert scheduler.finish(4) == []
    assert scheduler.finish(1) == [Assignment(2, "a")]


def test_the_next_leads_when_the_leader_is_withdrawn() -> None:
    """Its followers do not wait for it for ever."""
    scheduler = Scheduler(100)
    scheduler.submit(1, streaming=False, session="s", affinity="strict_queue")
    scheduler.submit(2, streaming=False, session="s", affinity="strict_queue")
    assert scheduler.withdraw(1) is True
    assert scheduler.add_worker("a", 1) == [Assignment(2, "a")]


def test_a_stranded_call_keeps_its_place() -> None:
    """Its worker dies; it goes on elsewhere before younger calls."""
    scheduler = Scheduler(100)
    scheduler.add_worker("a", 1)
    scheduler.submit(1, streaming=False, session="s", affinity="strict_queue")
    scheduler.submit(2, streaming=False, session="s", affinity="strict_queue")
    scheduler.submit(3, streaming=False)
    orphans, stranded, sessions, made = scheduler.remove_worker("a")
    assert (orphans, stranded, sessions, made) == ([1], [2], ["s"], [])
    assert scheduler.resubmit(2) == []
    assert scheduler.add_worker("b", 1) == [Assignment(2, "b")]


def test_a_hint_call_does_not_move_a_session_from_under_a_strict_one(two: Scheduler) -> None:
    """While strict calls of it run or wait, it waits with them for the session's worker, beside an idle one."""
    two.submit(1, streaming=False, session="s", affinity="strict_queue")
    two.submit(2, streaming=False, session="s", affinity="strict_queue")
    assert two.submit(3, streaming=False, session="s") == []
    assert two.only_worker_for("s", "hint") == "a"
    assert two.finish(1) == [Assignment(2, "a")]
    assert two.finish(2) == [Assignment(3, "a")]
    assert two.submit(4, streaming=False, session="s") == [Assignment(4, "b", moved_from="a")]


def test_hint_calls_spread_when_the_last_strict_one_has_ended(two: Scheduler) -> None:
    """Those that waited with it may go anywhere then."""
    two.submit(1, streaming=False, session="s", affinity="strict_queue")
    assert two.submit(2, streaming=False, session="s") == []
    assert two.submit(3, streaming=False, session="s") == []
    assert two.finish(1) == [Assignment(2, "a"), Assignment(3, "b", moved_from="a")]


def test_a_hint_call_that_waited_for_a_lost_worker_goes_on(two: Scheduler) -> None:
    """It is stranded with the strict ones, and may run anywhere."""
    two.submit(1, streaming=False, session="s", affinity="strict_queue")
    two.submit(2, streaming=False, session="s")
    assert two.remove_worker("a").stranded == [2]
    assert two.resubmit(2) == [Assignment(2, "b")]


@pytest.mark.parametrize(("max_queue", "affinity", "refusal"), [(0, "strict_queue", QueueIsFull), (9, "strict_fail_fast", SessionBusy)])
def test_a_refusal_brings_what_was_to_be_given_out(max_queue: int, affinity: str, refusal: type[QueueIsFull | SessionBusy]) -> None:
    """Calls that an event before it has set free are not lost with it."""
    scheduler = Scheduler(1)
    scheduler.add_worker("a", 1)
    scheduler.add_worker("b", 1)
    scheduler.submit(1, streaming=False, session="s", affinity="strict_queue")
    scheduler.submit(2, streaming=False, session="s", affinity="strict_queue")
    scheduler._max_queue = max_queue
    scheduler.unbind("s")
    with pytest.raises(refusal) as caught:
        scheduler.submit(3, streaming=False, session="s", affinity=affinity)
    assert caught.value.assignments == [Assignment(2, "b")]


def test_fail_fast_never_waits(two: Scheduler) -> None:
    """Not for its worker, not for any worker, not for a stream's turn."""
    two.submit(1, streaming=False, session="s")
    with pytest.raises(SessionBusy) as busy:
        two.submit(2, streaming=False, session="s", affinity="strict_fail_fast")
    assert busy.value.worker_id == "a"
    two.submit(3, streaming=False)
    with pytest.raises(SessionBusy) as busy:
        two.submit(4, streaming=False, session="t", affinity="strict_fail_fast")
    assert busy.value.worker_id == ""
    limited = Scheduler(100, max_streams=1)
    limited.add_worker("a", 2)
    limited.submit(1, streaming=True)
    with pytest.raises(SessionBusy):
        limited.submit(2, streaming=True, session="s", affinity="strict_fail_fast")
    assert limited.waiting == 0
