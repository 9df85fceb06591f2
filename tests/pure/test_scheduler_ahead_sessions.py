"""Strict calls of sessions are sent ahead: to their own worker, in their order, beside others; against the same model of workers."""

from __future__ import annotations

import collections

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, multiple, precondition, rule

from snakepit._pool.decisions import Assignment, How, QueueIsFull
from snakepit._pool.scheduler import Scheduler
from test_scheduler_ahead import KINDS, AheadMachine, FarWorker

#: Each with its affinity; the calls of one session are all alike.
SESSIONS = {"red": "strict_queue", "blue": "hint"}


class SessionsAheadMachine(AheadMachine):
    """As `AheadMachine`, with sessions."""

    calls = AheadMachine.calls
    workers = AheadMachine.workers

    def __init__(self) -> None:
        super().__init__()
        self.session: dict[int, str] = {}
        self.settled = True
        self.scheduler.ask(lambda _call: None, lambda _call, _worker: self.settled)
        self.went_on: collections.defaultdict[tuple[str, str], list[int]] = collections.defaultdict(list)

    # What happens

    @initialize(target=workers)
    def two_workers(self) -> object:
        return multiple(self.a_worker_comes("all"), self.a_worker_comes("all"))

    @rule(target=workers, ahead=st.sampled_from(["all", "all", "others", "none"]))
    def a_worker_comes(self, ahead: str) -> str:
        self.names += 1
        name = f"w{self.names}"
        self.far[name] = FarWorker()
        self._follow(self.scheduler.add_worker(name, 1))
        if ahead != "none":
            self._follow(self.scheduler.let_ahead(name, for_sessions=ahead == "all"))
        return name

    @rule(target=calls, kinds=st.lists(st.tuples(KINDS, st.sampled_from(["", "red", "red", "blue"])), min_size=1, max_size=6))
    def submit(self, kinds: list[tuple[str, str]]) -> object:
        return multiple(*(call for kind, session in kinds for call in self._submit(kind, session)))

    def _submit(self, kind: str, session: str = "") -> list[int]:
        self.names += 1
        call = self.names
        seconds = {"short": 1e-4, "middle": 1.5e-3}.get(kind)
        if seconds is not None:
            self.short.add(call)
        self.waiting.append(call)
        self.session[call] = session
        affinity = SESSIONS.get(session, "hint")
        try:
            made = self.scheduler.submit(
                call, streaming=kind == "stream", session=session, affinity=affinity, blocking=True, seconds=seconds
            )
        except QueueIsFull as full:
            self.waiting.remove(call)
            self._follow(full.assignments)
            return []
        self._follow(made)
        return [call]

    def _goes_on(self, worker: str) -> None:
        far = self.far.get(worker)
        super()._goes_on(worker)
        if far is not None and far.running is not None and self.session[far.running]:
            mine = self.went_on[worker, self.session[far.running]]
            assert not mine or far.running >= mine[-1], "a later call of the session ran first"
            mine.append(far.running)

    @rule(settled=st.booleans())
    def workers_know_all(self, settled: bool) -> None:
        """Or there is more to tell: then no call of a session is sent ahead."""
        self.settled = settled

    @rule(session=st.sampled_from(list(SESSIONS)))
    def a_session_changes(self, session: str) -> None:
        """As the Keeper and `SentAhead.take_those` do it: what has not begun waits again."""
        for far in self.far.values():
            back = [call for call in far.tickets if self.session[call] == session]
            for call in back:
                far.tickets.remove(call)
                self._back(call)
        self._follow(self.scheduler.next_assignments())

    @rule(session=st.sampled_from(list(SESSIONS)))
    def a_session_is_over(self, session: str) -> None:
        """As the Keeper does it: what waits does not run any more, what runs ends sometime."""
        mine = [call for call in self.waiting if self.session[call] == session]
        for call in mine:
            here = call not in self.at
            assert self.scheduler.withdraw(call) == here
            if here:
                self._given_up(call)
        for call in mine:
            if call in self.waiting and call in self.far[self.at[call]].tickets:
                self.far[self.at[call]].tickets.remove(call)
                self._back(call)
                assert self.scheduler.withdraw(call)
                self._given_up(call)
            elif call in self.waiting:  # it has begun, and another session of that name has nothing to do with it
                self.session[call] = ""
        self._follow(self.scheduler.next_assignments())
        self.scheduler.unbind(session)
        self._follow(self.scheduler.next_assignments())

    @rule(worker=workers, spared=st.integers(0, 3))
    def the_worker_retires(self, worker: str, spared: int) -> None:
        super().the_worker_retires(worker, spared)
        self._leave_if_idle(worker)

    # What must hold

    @invariant()
    def sessions_wait_at_their_own_workers(self) -> None:
        for call, worker in self.at.items():
            if call in self.waiting and self.session[call]:
                assert self.scheduler.bound_to(self.session[call]) in (worker, ""), "its session is elsewhere"

    @precondition(lambda self: self.far)
    @rule()
    def all_ends(self) -> None:
        super().all_ends()
        for worker in list(self.far):
            self._leave_if_idle(worker)
        if not self.waiting and not self.at:
            room = self.scheduler._room
            left = {name: table for name, table in vars(room).items() if isinstance(table, (dict, set)) and table}
            assert set(left) <= {"_bound", "_sessions"}, "of calls that are gone, nothing is left"
            assert not len(room)

    # The model

    def _read(self, worker: str) -> None:
        super()._read(worker)
        self._leave_if_idle(worker)

    def _leave_if_idle(self, worker: str) -> None:
        """As `Departures.leave_if_idle`."""
        seat = self.scheduler.seats.get(worker)
        if seat is not None and not seat.slots and not seat.running and worker in self.far and not self.far[worker].given:
            self._move(self.scheduler.retire_worker(worker).stranded)
            self._follow(self.scheduler.next_assignments())

    def _move(self, stranded: list[int]) -> None:
        for call in stranded:
            if call % 3 and call in self.waiting:  # its session can go on elsewhere
                self._follow(self.scheduler.resubmit(call))
            else:
                assert self.scheduler.withdraw(call)
                self._given_up(call)

    def _check_turn(self, call: int, worker: str, how: How) -> None:
        """Nobody is passed who could have gone there; and none of its session, wherever it waits."""
        session = self.session[call]
        older = [other for other in self.waiting if other < call]
        for other in older:
            if session and self.session[other] == session:
                waits = how is not How.AHEAD or self.at.get(other) != worker
                assert not waits, "an older call of its session waits elsewhere"
        if how is How.AHEAD:
            assert not session or (self.scheduler.bound_to(session) == worker and SESSIONS[session] == "strict_queue" and self.settled)
            for other in older:
                bound = self.scheduler.bound_to(self.session[other]) if self.session[other] else ""
                strict = SESSIONS.get(self.session[other]) == "strict_queue"
                held = strict or (bound and bound != worker)
                assert other in self.at or held, "an older call could have gone there"
        elif not session:
            assert not [other for other in older if other not in self.at and not self.session[other]], "it has passed an older one"

    def _others(self, far: FarWorker) -> list[int]:
        return [call for call in far.tickets if not self.session[call]]


TestSessionsAhead = SessionsAheadMachine.TestCase
TestSessionsAhead.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)


def of(scheduler: Scheduler, call: int, session: str = "", affinity: str = "hint") -> list[Assignment]:
    """A short call comes."""
    return scheduler.submit(call, streaming=False, session=session, affinity=affinity, blocking=True, seconds=1e-4)


def two_workers() -> Scheduler:
    """Both can be sent calls ahead."""
    scheduler = Scheduler(max_queue=100)
    for name in ("one", "two"):
        scheduler.add_worker(name, 1)
        scheduler.let_ahead(name, for_sessions=True)
    return scheduler


def test_a_session_s_calls_go_to_its_own_worker_though_another_is_idle() -> None:
    """And they are not taken from there."""
    scheduler = two_workers()
    assert of(scheduler, 1, "red", "strict_queue") == [Assignment(1, "one")]
    for call in (2, 3):
        assert of(scheduler, call, "red", "strict_queue") == [Assignment(call, "one", how=How.AHEAD)]
    assert scheduler.to_relieve() is None
    assert scheduler.finish(1) == [Assignment(2, "one", how=How.NEXT)]


def test_one_that_may_go_anywhere_is_not_sent() -> None:
    """Who is free first runs it."""
    scheduler = two_workers()
    of(scheduler, 1, "blue")
    of(scheduler, 2)
    assert of(scheduler, 3, "blue") == []
    assert scheduler.finish(2) == [Assignment(3, "two", moved_from="one")]


def test_none_is_sent_while_there_is_more_to_tell() -> None:
    """Of its session: each waits for the one before it."""
    scheduler = two_workers()
    told: list[int] = []
    scheduler.ask(lambda _call: None, lambda call, _worker: call in told)
    of(scheduler, 1, "red", "strict_queue")
    assert of(scheduler, 2, "red", "strict_queue") == of(scheduler, 3, "red", "strict_queue") == []
    told.append(3)
    assert scheduler.finish(1) == [Assignment(2, "one"), Assignment(3, "one", how=How.AHEAD)]


def test_hint_calls_wait_with_those_that_were_sent() -> None:
    """They do not move the session while strict calls of it are anywhere."""
    scheduler = two_workers()
    of(scheduler, 1, "red", "strict_queue")
    assert of(scheduler, 2, "red", "strict_queue") == [Assignment(2, "one", how=How.AHEAD)]
    assert of(scheduler, 3, "red") == [], "the other worker is idle"
    assert scheduler.finish(1) == [Assignment(2, "one", how=How.NEXT)]
    assert scheduler.finish(2) == [Assignment(3, "one")]


def test_none_is_sent_to_a_worker_that_runs_them_at_once() -> None:
    """Where hooks of sessions may be tasks, they would overtake each other."""
    scheduler = Scheduler(max_queue=100)
    scheduler.add_worker("one", 1)
    scheduler.let_ahead("one")
    of(scheduler, 1, "red", "strict_queue")
    assert of(scheduler, 2, "red", "strict_queue") == []
    assert of(scheduler, 3) == [], "it would pass the other"
    assert scheduler.finish(1) == [Assignment(2, "one"), Assignment(3, "one", how=How.AHEAD)]
