"""The dispatcher's own code against a model of workers: bundles, single calls, tickets, deaths, in any order. Each item has one end, once."""

from __future__ import annotations

import asyncio
import collections
import itertools
import types
from collections.abc import Callable, Collection
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakepit._pool.bundle import Job, Slot
from snakepit._pool.bundles import MOST
from snakepit._pool.call import Call, Ended, Failed
from snakepit._pool.dispatcher import Dispatcher
from snakepit._pool.scheduler import Scheduler
from snakepit._workers.ends import Death
from snakepit._workers.known_secrets import KnownSecrets
from snakepit.config import pool_config
from snakepit.errors import CallCancelled, SnakepitError, ToolError, WorkerCrashed
from snakepit_bridge.redaction import DEFAULT
from snakepit_bridge.wire.frames import Failure, Result, Window

_DEATH = Death("killed by SIGKILL", None, "SIGKILL", ())


class Far:
    """A worker, and the connection to it: what was sent there has come."""

    takes_ahead = takes_together = takes_sessions = True
    on_look: Callable[[bool], None] | None = None

    def __init__(self, name: str, together: bool, started: collections.Counter[int]) -> None:
        self.id = name
        self.connection = self
        self.says = types.SimpleNamespace(concurrency=1, threaded=False, ends_softly=False)
        self.secrets = KnownSecrets(DEFAULT, clock=itertools.count(0.0, 60.0).__next__)  # nothing lingers: what runs must be known
        self.running: dict[int, str] = {}
        self.calls_served = 0
        self.tainted = self.condemned = False
        self.retiring = ""
        self.tickets: list[int] = []
        self.come: dict[int, dict[str, Any]] = {}
        self.given: collections.deque[int] = collections.deque()  # without a ticket
        self.runs: int | None = None
        self.hand: int | None = None  # the oldest ticket: its call is still on its way, and nothing else is begun
        self.cancelled: set[int] = set()
        self.results: collections.deque[Result | Failure] = collections.deque()
        self.without_ticket: set[int] = set()
        self.hears: Callable[[Far, Result | Failure], None] = lambda _worker, _event: None
        self._together = together
        self._started = started

    # What the dispatcher asks of it

    def call(self, call_id: int, _tool: str, args: dict[str, Any], _options: Any, _window: Any) -> None:
        self.come[call_id] = args
        self.given.append(call_id)
        self.without_ticket.add(args["item"])

    def call_ahead(self, call_id: int, _tool: str, args: dict[str, Any], _options: Any, _window: Any) -> bool:
        self.come[call_id] = args
        self.tickets.append(call_id)
        return True

    def call_together(self, _tool: str, numbers: list[int], args: list[dict[str, Any]], _options: Any, _window: Any) -> bool:
        if self._together:
            assert len(numbers) <= MOST
            self.come.update(zip(numbers, args, strict=True))
            self.tickets += numbers
        return self._together

    def take_back(self, chosen: Callable[[list[int]], Collection[int]]) -> list[int]:
        back = set(chosen(list(self.tickets)))
        taken = [number for number in self.tickets if number in back]
        self.tickets = [number for number in self.tickets if number not in back]
        for number in taken:
            del self.come[number]
        return taken

    def take_back_one(self, call_id: int) -> bool:
        return bool(self.take_back(lambda _there: [call_id]))

    def cancel(self, call_id: int, _reason: str) -> bool:
        self.cancelled.add(call_id)
        return False

    def recover(self) -> None:
        while self.results:
            self.hears(self, self.results.popleft())

    def info(self) -> Any:
        return types.SimpleNamespace(pid=1)

    def memory(self, _now: float) -> int:
        return 0

    def drain(self) -> None:
        self.retiring = "drained"

    def condemn(self, _reason: str, **_how: Any) -> None: ...

    # What it does

    def goes_on(self, *, well: bool = True, taints: bool = False) -> None:
        """It ends what it runs, and begins the next. `taints`: a lock may be held for good."""
        if self.runs is not None:
            number, self.runs = self.runs, None
            if number in self.cancelled:
                self.results.append(Failure(number, {"code": "cancelled", "message": "", "rung": "exception"}))
            elif well:
                facts = {"execution_time_ms": 0.05, **({"tainted": True} if taints else {})}
                self.results.append(Result(number, self.come[number]["item"], facts))
            else:
                self.results.append(Failure(number, {"code": "tool_error", "type": "ValueError", "message": "no", "traceback": ""}))
        if self.given:
            self.runs = self.given.popleft()
        elif self.hand is not None:
            self.runs, self.hand = self.hand, None
        elif self.tickets:
            self.runs = self.tickets.pop(0)
        if self.runs is not None:
            args = self.come[self.runs]
            self._started[args["item"]] += 1
            assert args["password"] in self.secrets(), "what it prints would not be masked"

    def takes_in_hand(self) -> None:
        if self.tickets and self.hand is None and self.runs is None:
            self.hand = self.tickets.pop(0)


class Mailbox:
    """That of a call which is submitted by itself."""

    def __init__(self, put: Callable[[list[tuple[int, Any]]], None], index: int) -> None:
        self._put = put
        self.index = index

    def put(self, item: Any) -> None:
        self._put([(self.index, item)])


class World:
    """One dispatcher, its workers, one map and its reader, and callers of single calls."""

    def __init__(self) -> None:
        self.started: collections.Counter[int] = collections.Counter()
        self.workers: dict[str, Any] = {}
        self.scheduler = Scheduler(max_queue=40)
        sessions: Any = types.SimpleNamespace(worker_lost=lambda *_: None, left=lambda _call: None)
        config = pool_config({"size": 2})
        self.dispatcher = Dispatcher(config, self.scheduler, sessions, self.workers, "run", DEFAULT, lambda _call: None)
        self.told: dict[int, Any] = {}
        self.job = Job(self._put)
        self.calls: list[Call] = []  # that were submitted by themselves
        self.items = self.names = 0
        self.without_ticket: set[int] = set()  # items of calls of which nobody knows whether they have begun when their worker dies
        for _ in range(5):
            self.dispatcher.bundles.pace.note("tool", 5e-5)

    def _put(self, news: list[tuple[int, Any]]) -> None:
        for index, item in news:
            assert index not in self.told, "two ends of one item"
            self.told[index] = item

    def comes(self, together: bool) -> None:
        self.names += 1
        worker: Any = Far(f"w{self.names}", together, self.started)
        worker.hears = self.dispatcher.call_ended
        worker.without_ticket = self.without_ticket
        self.workers[worker.id] = worker
        self.dispatcher.worker_ready(worker)

    def submit(self, count: int) -> None:
        parts = [(index, {"item": index, "password": f"the-secret-of-{index}"}) for index in range(self.items, self.items + count)]
        self.items += count
        number = next(self.dispatcher.ledger.numbers)
        if count == 1:
            mailbox: Any = Slot(self.job, parts[0][0])
            call = Call(number, "tool", parts[0][1], False, None, Window(), mailbox, blocking=True)
        else:
            bundle = self.dispatcher.bundles.bundle("tool", parts, self.job)
            call = Call(number, "tool", {}, False, None, Window(), bundle, blocking=True, bundle=bundle)
        self.job.enter([call])
        self.dispatcher.submit(call)

    def call(self, count: int) -> None:
        """So many callers call in the same turn of the loop."""
        for _ in range(count):
            mailbox = Mailbox(self._put, self.items)
            args = {"item": self.items, "password": f"the-secret-of-{self.items}"}
            self.items += 1
            number = next(self.dispatcher.ledger.numbers)
            call = Call(number, "tool", args, False, None, Window(), mailbox, blocking=True, correlation_id=f"run-{number}")
            self.calls.append(call)
            self.dispatcher.submit(call)

    def turn_ends(self) -> None:
        self.dispatcher._gathering.flush()

    def withdraw(self, call: Call) -> None:
        """Cancel it if it has not begun, as executors do."""
        over = call.over
        if self.dispatcher.withdraw(call, "it has not begun"):
            assert (over, call.over) == (False, True)
            assert self.started[call.args["item"]] == 0

    def dies(self, worker: Any) -> None:
        worker.recover()  # what was written down
        if worker.hand is not None:  # it counts as begun
            self.without_ticket.add(worker.come[worker.hand]["item"])
        self.dispatcher.worker_lost(worker, _DEATH, retry=True)
        del self.workers[worker.id]

    def step(self, kind: str, which: int) -> None:
        """Something happens: to the pool, or to one of its workers."""
        workers = list(self.workers.values())
        if kind == "submit":
            self.submit(1)
        elif kind == "bundle":
            self.submit(2 + which % (MOST - 1))
        elif kind == "calls":
            self.call(1 + which)
        elif kind == "turn ends":
            self.turn_ends()
        elif kind == "comes" and len(workers) < 4:
            self.comes(which % 5 != 0)
        elif kind == "leave":
            self.dispatcher.leave_job(self.job, "its reader left")
            assert [call for call in self.job.open() if not (call.over or call.cancelling)] == [], "one may still begin"
        elif kind == "cancel one":
            calls = [*self.job.singles.values(), *self.job.bundles.values()]
            if calls:
                self.dispatcher.cancel(calls[which % len(calls)], "somebody asks")
        elif kind in ("cancel call", "withdraw"):
            call = self.calls[which % len(self.calls)] if self.calls else None
            if call is not None:
                assert call.over or call.id in self.dispatcher.bundles._owners or self.dispatcher.ledger.get(call.id) is call
                self.withdraw(call) if kind == "withdraw" else self.dispatcher.cancel(call, "its caller left")
        elif workers:
            self.step_of(workers[which % len(workers)], kind)

    def step_of(self, worker: Any, kind: str) -> None:
        if kind in ("goes on", "fails"):
            worker.goes_on(well=kind == "goes on")
        elif kind == "taints":
            worker.goes_on(taints=True)
        elif kind == "reads" and worker.results:
            worker.hears(worker, worker.results.popleft())
        elif kind == "dies":
            self.dies(worker)
        elif kind == "retires" and not worker.retiring:
            self.dispatcher.departures.retire(worker, "it is old")
        elif kind == "held up" and worker.on_look is not None:
            worker.on_look(True)
        elif kind == "speaks" and worker.runs is not None:
            assert self.dispatcher.spoken_of(worker, worker.runs) is not None
        elif kind == "in hand":
            worker.takes_in_hand()

    def all_ends(self) -> None:
        self.turn_ends()
        self.comes(together=True)
        for _ in range(600):
            for worker in list(self.workers.values()):
                worker.goes_on()
                worker.recover()


def _kind(item: Any) -> type[SnakepitError] | None:
    assert isinstance(item, (Ended, Failed))
    return type(item.error) if isinstance(item, Failed) else None


_KINDS = ["submit", "bundle", "bundle", "comes", "goes on", "goes on", "goes on", "goes on", "reads", "reads", "reads", "fails"]
_KINDS += ["calls", "calls", "turn ends", "turn ends", "cancel call", "withdraw"]
_KINDS += ["taints", "dies", "retires", "held up", "speaks", "in hand", "cancel one", "leave"]


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(_KINDS), st.integers(0, 30)), min_size=10, max_size=100), st.integers(1, 3))
def test_each_item_has_one_end(steps: list[tuple[str, int]], workers: int) -> None:
    """Nothing runs twice, nothing is lost, the books are empty at the end."""

    async def play() -> None:
        world = World()
        for number in range(workers):
            world.comes(together=number < 2)
        for kind, which in steps:
            world.step(kind, which)
            assert world.scheduler.waiting >= 0
        world.all_ends()
        await asyncio.sleep(0)
        assert [index for index, times in world.started.items() if times > 1] == []
        assert sorted(world.told) == list(range(world.items))
        for index, item in world.told.items():
            kind = _kind(item)
            assert kind in (None, ToolError, WorkerCrashed, CallCancelled) or kind.__name__ == "QueueFull"
            assert kind is not None or (item.value == index and world.started[index] == 1)
            assert kind is not ToolError or world.started[index] == 1
            assert kind is not WorkerCrashed or world.started[index] == 1 or index in world.without_ticket
        for call in world.calls:
            assert call.over
            assert call.travels_in is None
            assert call.correlation_id == f"run-{call.id}"
        ledger, bundles = world.dispatcher.ledger, world.dispatcher.bundles
        assert (ledger.open_calls(), bundles._owners, world.job.singles, world.job.bundles) == ([], {}, {}, {})
        assert ledger._without_end == {False: 0, True: 0}
        assert (world.scheduler.waiting, world.scheduler.running) == (0, 0)
        counters = ledger.counters
        ends = counters.succeeded + counters.failed + counters.cancelled + counters.timed_out + counters.crashed
        assert counters.submitted == ends == world.items
        for worker in world.workers.values():
            assert (worker.running, worker.tickets, worker.secrets._running) == ({}, [], {})

    asyncio.run(play())
