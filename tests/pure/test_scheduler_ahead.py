"""Calls that are sent ahead to busy workers, against a model of those workers: with tickets, and results that are on their way."""

from __future__ import annotations

import collections

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule

from snakepit._pool.ahead_lines import MOST, TOGETHER_SECONDS, depth
from snakepit._pool.decisions import Assignment, How, QueueIsFull
from snakepit._pool.pace import Pace
from snakepit._pool.scheduler import Scheduler

KINDS = st.sampled_from(["short", "short", "short", "middle", "long", "stream"])


class FarWorker:
    """A worker as it is, whatever the host's books say."""

    def __init__(self) -> None:
        self.tickets: collections.deque[int] = collections.deque()
        self.running: int | None = None
        self.hand: int | None = None  # the oldest ticket: its call is still on its way, and nothing else is begun
        self.given: collections.deque[int] = collections.deque()  # calls that were sent without a ticket
        self.results: collections.deque[int] = collections.deque()  # on their way to the host


class AheadMachine(RuleBasedStateMachine):
    """Hosts and workers take their steps in any order."""

    calls = Bundle("calls")
    workers = Bundle("workers")

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler(max_queue=12)
        self.far: dict[str, FarWorker] = {}
        self.names = 0
        self.short: set[int] = set()
        self.at: dict[int, str] = {}  # the worker that a call was given, or sent ahead, to
        self.waiting: list[int] = []
        self.started: collections.Counter[int] = collections.Counter()
        self.ended: set[int] = set()

    # What happens

    @rule(target=workers, pipelined=st.booleans())
    def a_worker_comes(self, pipelined: bool) -> str:
        self.names += 1
        name = f"w{self.names}"
        self.far[name] = FarWorker()
        self._follow(self.scheduler.add_worker(name, 1))
        if pipelined:
            self._follow(self.scheduler.let_ahead(name))
        return name

    @rule(target=calls, kinds=st.lists(KINDS, min_size=1, max_size=6))
    def submit(self, kinds: list[str]) -> object:
        return multiple(*(call for kind in kinds for call in self._submit(kind)))

    def _submit(self, kind: str) -> list[int]:
        self.names += 1
        call = self.names
        seconds = {"short": 1e-4, "middle": TOGETHER_SECONDS / 2}.get(kind)
        if seconds is not None:
            self.short.add(call)
        self.waiting.append(call)
        try:
            made = self.scheduler.submit(call, streaming=kind == "stream", blocking=True, seconds=seconds)
        except QueueIsFull as full:
            assert len(self.waiting) > 12
            self.waiting.remove(call)
            self._follow(full.assignments)
            return []
        self._follow(made)
        return [call]

    @rule(worker=workers, times=st.integers(1, 4))
    def the_worker_goes_on(self, worker: str, times: int) -> None:
        for _ in range(times):
            self._goes_on(worker)

    def _goes_on(self, worker: str) -> None:
        """It ends what it runs, and takes the next ticket."""
        far = self.far.get(worker)
        if far is None:
            return
        if far.running is not None:
            far.results.append(far.running)
            far.running = None
        if far.given:
            far.running = far.given.popleft()
        elif far.hand is not None:
            far.running, far.hand = far.hand, None
        elif far.tickets:
            far.running = far.tickets.popleft()
        if far.running is not None:
            self.started[far.running] += 1

    @rule(worker=workers)
    def the_worker_has_a_ticket_in_its_hand(self, worker: str) -> None:
        """Of a call that is still on its way."""
        far = self.far.get(worker)
        if far is not None and far.tickets and far.hand is None and far.running is None:
            far.hand = far.tickets.popleft()

    @rule(worker=workers, most=st.integers(1, 4))
    def the_host_reads_results(self, worker: str, most: int) -> None:
        while most and worker in self.far and self.far[worker].results:
            self._read(worker)
            most -= 1

    @rule(call=calls)
    def nobody_wants_it_any_more(self, call: int) -> None:
        """As `SentAhead.has_begun` does it."""
        if call in self.ended or call not in self.waiting:
            return
        worker = self.at.get(call)
        if worker is not None:
            tickets = self.far[worker].tickets
            if call not in tickets:
                return  # it has begun: its end comes from the worker
            tickets.remove(call)
            self._back(call)
        assert self.scheduler.withdraw(call)
        self._given_up(call)
        self._follow(self.scheduler.next_assignments())

    @rule(worker=workers, heard=st.booleans(), spared=st.integers(0, 3))
    def the_worker_dies(self, worker: str, heard: bool, spared: int) -> None:
        """What has begun is lost, and only that; results that were on their way may have come before."""
        if not spared and worker in self.far:
            self._dies(worker, heard)

    def _dies(self, worker: str, heard: bool) -> None:
        while heard and self.far[worker].results:
            self._read(worker)
        far = self.far.pop(worker)
        self.scheduler.close_worker(worker)
        for call in list(far.tickets):
            self._back(call)
        removal = self.scheduler.remove_worker(worker)
        begun = [*far.results, *far.given, *(call for call in (far.running, far.hand) if call is not None)]
        assert sorted(removal.orphans) == sorted(begun)
        for call in removal.orphans:
            self._given_up(call)
            del self.at[call]
        self._move(removal.stranded)
        self._follow(removal.assignments)

    @rule(worker=workers, spared=st.integers(0, 3))
    def the_worker_retires(self, worker: str, spared: int) -> None:
        """As `Dispatcher.retire` does it: nothing more begins there."""
        if worker not in self.far or spared:
            return
        self.scheduler.close_worker(worker)
        tickets = self.far[worker].tickets
        while tickets:
            self._back(tickets.popleft())
        self._follow(self.scheduler.next_assignments())

    # What must hold

    @invariant()
    def nothing_runs_twice(self) -> None:
        assert not [call for call, times in self.started.items() if times > 1]

    @invariant()
    def figures_agree(self) -> None:
        assert self.scheduler.waiting == len(self.waiting)
        assert self.scheduler.running == len(self.at) - len([call for call in self.waiting if call in self.at])

    @invariant()
    def what_waits_at_workers_is_short_and_not_much(self) -> None:
        for seat in self.scheduler.seats.values():
            assert self.short.issuperset(seat.ahead)
            assert len(seat.ahead) <= MOST
            if seat.ahead:
                assert self.short.issuperset(seat.running), "a short call was sent behind a long one"

    @invariant()
    def no_call_waits_at_a_worker_while_another_is_idle(self) -> None:
        idle = [name for name, seat in self.scheduler.seats.items() if seat.slots and not seat.running]
        if idle:
            may_go = [worker for worker, far in self.far.items() if self._others(far) and self.scheduler.seats[worker].slots]
            assert not may_go

    @precondition(lambda self: self.far)
    @rule()
    def all_ends(self) -> None:
        """When every worker goes on until nothing is left to do, all calls have ended."""
        for _ in range(400):
            for worker in list(self.far):
                self._goes_on(worker)
                while worker in self.far and self.far[worker].results:
                    self._read(worker)
        if any(seat.slots for seat in self.scheduler.seats.values()):
            assert self.waiting == []
            assert self.at == {}

    # The model

    def _follow(self, made: list[Assignment]) -> None:
        """As `Dispatcher._give` does it."""
        while True:
            for call, worker, _moved, how in made:
                if how is How.NEXT:
                    assert self.at[call] == worker
                    self.waiting.remove(call)
                    continue
                self._check_turn(call, worker, how)
                self.at[call] = worker
                if how is How.AHEAD:
                    self.far[worker].tickets.append(call)
                else:
                    self.waiting.remove(call)
                    self.far[worker].given.append(call)
            laden = self.scheduler.to_relieve()
            if laden is None:
                return
            made = []
            if others := self._others(self.far[laden]):
                self.far[laden].tickets.remove(others[0])
                self._back(others[0])
                made = self.scheduler.next_assignments()
            else:
                self.scheduler.relieved(laden)

    def _given_up(self, call: int) -> None:
        """It has ended, or does not run any more."""
        self.ended.add(call)
        if call in self.waiting:
            self.waiting.remove(call)

    def _move(self, stranded: list[int]) -> None:
        assert not stranded, "none waits for one worker alone"

    def _check_turn(self, call: int, worker: str, how: How) -> None:
        here = [item for item in self.waiting if item not in self.at]
        assert call == here[0], "a younger call was served before an older one"

    def _others(self, far: FarWorker) -> list[int]:
        """The tickets that are not of its sessions' calls."""
        return list(far.tickets)

    def _back(self, call: int) -> None:
        """Its ticket is the host's."""
        self.scheduler.take_back([call])
        del self.at[call]
        if call not in self.waiting:  # it was thought to have begun
            self.waiting.append(call)
        self.waiting.sort()

    def _read(self, worker: str) -> None:
        call = self.far[worker].results.popleft()
        del self.at[call]
        self._given_up(call)
        self._follow(self.scheduler.finish(call))


TestAhead = AheadMachine.TestCase
TestAhead.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)


@pytest.mark.parametrize(("seconds", "calls"), [(1e-6, MOST), (1e-4, 30), (1e-3, 3), (2e-3, 1), (4e-3, 0)])
def test_depth(seconds: float, calls: int) -> None:
    """As many as fit into a few milliseconds; none that are long."""
    assert depth(seconds) == calls


def test_the_pace_of_a_tool() -> None:
    """Unknown at first; then the slowest of late, which fades."""
    pace = Pace()
    for _ in range(2):
        pace.note("train", 1e-4)
        assert pace.short("train") is None
    pace.note("train", 1e-4)
    assert pace.short("train") == pytest.approx(1e-4)
    assert pace.mean("train") == pytest.approx(1e-4)
    pace.note("train", 1.0)
    assert pace.short("train") is None
    assert 0.05 < pace.mean("train") < 0.1
    for _ in range(100):
        pace.note("train", 1e-4)
    assert pace.short("train") == pytest.approx(1e-4)


def test_one_that_began_out_of_turn() -> None:
    """A worker took a ticket while others were away: the call that was thought to run waits, and may be taken back or end."""
    scheduler = Scheduler(max_queue=12)
    scheduler.add_worker("w", 1)
    scheduler.let_ahead("w")
    for call in (1, 2, 3):
        scheduler.submit(call, streaming=False, blocking=True, seconds=1e-4)
    assert scheduler.began_first(3) is None, "the first was not sent ahead: it has ended"
    assert [made.call_id for made in scheduler.finish(3)] == []
    assert [made.call_id for made in scheduler.finish(1)] == [2]
    scheduler.submit(4, streaming=False, blocking=True, seconds=1e-4)
    assert scheduler.began_first(4) == 2
    assert (scheduler.worker_of(4), scheduler.worker_of(2), scheduler.waiting, scheduler.running) == ("w", None, 1, 1)
    assert scheduler.finish(4) == [Assignment(2, "w", how=How.NEXT)]
    scheduler.finish(2)
    assert (scheduler.waiting, scheduler.running) == (0, 0)
