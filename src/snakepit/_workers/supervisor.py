"""Keeps a pool's workers alive: one task per slot starts a worker, watches it, ends it, and starts the next.

Every task is born in the TaskGroup of `run`. Stops when told to, or when the restart policy gives up.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

from snakepit._channel import grpc_loading
from snakepit.heartbeat import Heartbeat
from snakepit_bridge.redaction import Redactor
from snakepit_bridge.wire.frames import HostEvent

from . import beats, wear
from .bench import Bench
from .ends import Death, StartFailure
from .launchers import Launcher, LaunchSpec
from .lifecycle import State
from .output import OutputSetting
from .restarts import RestartLimits, RestartPolicy, Step, Verdict
from .slots import QuarantinedSlot, Slot
from .starts import Starts, Turn
from .worker import Worker

#: A worker that lived this long without a call was not useless (seconds).
_USEFUL_AFTER = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """What the supervisor needs of a pool's configuration. Times in seconds. `spares`: ready workers beyond `size`, which wait."""

    size: int
    start_timeout: float
    connection_timeout: float
    close_timeout: float
    restarts: RestartLimits
    output: OutputSetting
    redactor: Redactor
    heartbeat: Heartbeat
    max_age: float | None = None
    memory_limit: int | None = None
    loads_grpc: bool = True
    trace: tuple[str, ...] = ()
    spares: int = 0


class Listener(Protocol):
    """Who wants to know: the engine."""

    def worker_ready(self, worker: Worker) -> None: ...

    def worker_event(self, worker: Worker, event: HostEvent) -> None: ...

    def worker_condemned(self, worker: Worker, reason: str) -> None: ...

    def worker_lost(self, worker: Worker, death: Death) -> None: ...

    def worker_worn(self, worker: Worker, reason: str) -> None: ...

    def start_failed(self, failure: StartFailure, *, gave_up: bool) -> None: ...


@dataclasses.dataclass(slots=True)
class _Start:
    """A worker of a slot, which is to be started.

    Attributes:
        worn: leaves as soon as this one is ready.
        first: of its slot.
        turn: None until it may be launched. failure: why that did not work.
        again: it did not become ready, and the launcher knows another way.
    """

    slot: Slot
    worker: Worker
    worn: Worker | None = None
    first: bool = False
    turn: Turn | None = None
    failure: StartFailure | None = None
    again: bool = False


class Supervisor:
    """Runs the workers of one pool.

    Args:
        spec_for: makes the launch specification of the worker with an id.
    """

    def __init__(self, settings: SupervisorSettings, launcher: Launcher, spec_for: Callable[[str], LaunchSpec], listener: Listener) -> None:
        self._settings = settings
        self._launcher = launcher
        self._spec_for = spec_for
        self._listener = listener
        self._policy = RestartPolicy(settings.restarts)
        self._numbers = itertools.count(1)
        self._stopping = asyncio.Event()
        self._starts = Starts()
        self._bench = Bench(settings.size)
        self._untried: set[str] = set()  # slots' first workers that were launched and may yet become ready
        self._slots = [Slot(number) for number in range(1, settings.size + settings.spares + 1)]
        self.workers: dict[str, Worker] = {}
        self.restarts = self.recycled = 0

    async def run(self) -> None:
        """Keep `size` workers alive, and the spares, until `stop`."""
        try:
            async with asyncio.TaskGroup() as group:
                if self._settings.loads_grpc:
                    group.create_task(grpc_loading.load(), name="import-carrier")
                for slot in self._slots:
                    self._policy.begun(slot.number)
                    start = self._begin(slot, first=True)  # a batch before anything is awaited: they start in parallel
                    group.create_task(self._keep_slot(start, group.create_task), name=f"slot-{start.worker.id}")
        finally:
            await _to_its_end(self._launcher.close)

    def stop(self) -> None:
        """Let every worker finish its calls and leave; start no other."""
        self._stopping.set()
        self._starts.open()
        for worker in self.workers.values():
            worker.drain()
        self._wake_slots()

    @property
    def launcher(self) -> Launcher:
        """What starts the workers."""
        return self._launcher

    @property
    def spares(self) -> int:
        """How many workers wait to take another one's place."""
        return len(self._bench.spares)

    @property
    def quarantined(self) -> tuple[QuarantinedSlot, ...]:
        """The slots in which no worker is started now."""
        return tuple(slot.quarantined for slot in self._slots if slot.quarantined is not None)

    def end_quarantine(self) -> int:
        """What made workers useless is mended: start one in each slot that is quarantined. Returns how many those are."""
        for place in self.quarantined:
            self._policy.begun(place.slot)
        return self._wake_slots()

    def _wake_slots(self) -> int:
        return sum(slot.wake() for slot in self._slots)

    def _new_worker(self, worker_id: str) -> Worker:
        spec = self._spec_for(worker_id or f"worker-{next(self._numbers)}")
        worker = Worker(
            spec,
            self._launcher,
            self._settings.output,
            self._settings.redactor,
            self._event,
            self._listener.worker_condemned,
            self._settings.trace,
        )
        self.workers[worker.id] = worker
        return worker

    def _event(self, worker: Worker, event: HostEvent) -> None:
        self._listener.worker_event(worker, event)

    def _begin(self, slot: Slot, worn: Worker | None = None, *, first: bool = False, worker_id: str = "") -> _Start:
        """A new worker, launched if it may be now; else `_ready` waits for its turn."""
        start = _Start(slot, self._new_worker(worker_id), worn, first, self._starts.take())
        if start.turn is not None:
            self._launch(start)
        return start

    def _launch(self, start: _Start) -> None:
        try:
            start.worker.launch()
        except StartFailure as failure:
            start.failure = failure
        if start.first:
            self._untried.add(start.worker.id)

    async def _keep_slot(self, start: _Start, create_task: Callable[..., asyncio.Task[None]]) -> None:
        """Start worker after worker, until the pool stops or another task takes the slot over."""
        slot, worn = start.slot, start.worn
        while True:
            useful, problem = await self._live(start, create_task)
            worker = start.worker
            if worker.succeeded:
                return
            if start.again and not self._stopping.is_set():
                start = self._begin(slot, worn, first=start.first, worker_id=worker.id)
                continue
            verdict = self._policy.died(
                slot.number, useful=useful, now=time.monotonic(), serving=bool(self._bench), untried=bool(self._untried)
            )
            if problem is not None and not self._stopping.is_set():
                self._listener.start_failed(problem, gave_up=verdict.step is Step.GIVE_UP)
            if not await self._carried_out(verdict, slot, worker, problem):
                return
            self.restarts += 1
            start = self._begin(slot, worn)

    async def _carried_out(self, verdict: Verdict, slot: Slot, worker: Worker, problem: StartFailure | None) -> bool:
        """Do as the policy says; is another worker to be started in the slot then?"""
        if verdict.step is Step.GIVE_UP:
            self._stopping.set()
        elif verdict.step is Step.QUARANTINE and not self._stopping.is_set():
            await slot.quarantine(worker.id, problem, verdict.seconds)
            return not self._stopping.is_set()
        return not await self._stopped_within(verdict.seconds)

    async def _live(self, start: _Start, create_task: Callable[..., asyncio.Task[None]]) -> tuple[bool, StartFailure | None]:
        """One worker's whole life: (was it of use?, why it was not)."""
        settings, worker, ready_at = self._settings, start.worker, None
        death: Death | None = None
        try:
            try:
                await self._ready(start, create_task)
            except StartFailure as problem:
                return False, problem
            if worker.state is not State.READY:
                return True, None  # the pool was closed in that moment
            ready_at = time.monotonic()
            self._take_place(worker, start.worn)
            death = await self._lost_or_stopped(start.slot, worker, create_task)
            if death is None:
                return True, None
            useful = worker.calls_served > 0 or bool(worker.running) or time.monotonic() - ready_at > _USEFUL_AFTER
            self._listener.worker_lost(worker, death)
            self._serve(self._bench.gone(worker.id))
            if useful:
                return True, None
            return False, StartFailure("start", f"{worker.id} died unused: {death.cause}", stderr=death.stderr)
        finally:
            self._untried.discard(worker.id)
            # A worker that never served, or whose channel is broken, has nothing to finish.
            patience = settings.close_timeout if self._stopping.is_set() and ready_at is not None else 0.0
            await _to_its_end(functools.partial(worker.end, patience))
            self.workers.pop(worker.id, None)
            self._bench.gone(worker.id)
            if ready_at is not None and not self._bench:  # nobody serves: no slot may be left out now
                self._wake_slots()
            if ready_at is not None and death is None:  # a stopping pool's worker: what it did not finish fails with it
                self._listener.worker_lost(worker, await worker.lost())

    async def _ready(self, start: _Start, create_task: Callable[..., asyncio.Task[None]]) -> None:
        """Launch it when it may be, and wait until it is ready, or the pool stops.

        Raises:
            StartFailure: it does not become ready.
        """
        if start.turn is None:
            start.turn = await self._starts.wait()
            if self._stopping.is_set():
                return
            self._launch(start)
        try:
            if start.failure is not None:
                raise start.failure
            await start.worker.attach(create_task, self._settings.start_timeout, self._settings.connection_timeout)
            start.worker.judged(None)
        except StartFailure as failure:
            start.again = not self._stopping.is_set() and start.worker.judged(failure)
            raise
        finally:
            start.turn.over()

    def _take_place(self, worker: Worker, worn: Worker | None) -> None:
        """A worker is ready: it serves, or waits as a spare. Whoever it replaces leaves, once as many serve as before."""
        if worn is not None and worn.id in self.workers:
            self._serve(self._bench.gone(worn.id))
        self._serve(self._bench.ready(worker.id))
        if worn is not None and worker.state is State.READY and worn.id in self.workers:
            self._listener.worker_worn(worn, worn.worn.result())

    def _serve(self, worker_ids: Iterable[str]) -> None:
        for worker_id in worker_ids if not self._stopping.is_set() else ():
            self.workers[worker_id].serving.set_result(None)
            self._listener.worker_ready(self.workers[worker_id])

    async def _lost_or_stopped(self, slot: Slot, worker: Worker, create_task: Callable[..., asyncio.Task[None]]) -> Death | None:
        """How the worker ended; None if the pool is stopping, which bounds what it still may do. It is looked after meanwhile."""
        settings = self._settings
        async with asyncio.TaskGroup() as group:
            lost = group.create_task(worker.lost(), name=f"{worker.id}-watch")
            stopping = group.create_task(self._stopping.wait(), name=f"{worker.id}-stop")
            others = [
                group.create_task(self._succession(slot, worker, create_task), name=f"{worker.id}-succession"),
                group.create_task(wear.watch(worker, settings.max_age, settings.memory_limit), name=f"{worker.id}-wear"),
            ]
            if settings.heartbeat.enabled:
                others.append(group.create_task(beats.watch(worker, settings.heartbeat), name=f"{worker.id}-beats"))
            await asyncio.wait([lost, stopping], return_when=asyncio.FIRST_COMPLETED)
            death = lost.result() if lost.done() else None
            for task in (lost, stopping, *others):
                task.cancel()
        return death

    async def _succession(self, slot: Slot, worker: Worker, create_task: Callable[..., asyncio.Task[None]]) -> None:
        """Once a worker is worn, have another one started in a slot of its own, which takes the place of this one's."""
        await asyncio.wait([worker.worn])
        if not self._stopping.is_set():
            worker.succeeded = True
            self.recycled += 1
            at_once = bool(self._bench.spares)
            start = self._begin(slot, None if at_once else worker)
            create_task(self._keep_slot(start, create_task), name=f"slot-{start.worker.id}")
            if at_once:  # a spare serves in its place, and the new one will be a spare
                self._serve(self._bench.gone(worker.id))
                self._listener.worker_worn(worker, worker.worn.result())

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass
        return self._stopping.is_set()  # it may have been in the turn of the loop in which the time was over


async def _to_its_end(end: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it to its end, however often this task is cancelled meanwhile: a loop that closes cancels every task, some twice.

    Args:
        end: what to run; again from the start if it was itself cancelled, so it must not mind being run twice.
    """
    cancelled: asyncio.CancelledError | None = None
    task = asyncio.get_running_loop().create_task(end())
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
        if task.cancelled():
            task = asyncio.get_running_loop().create_task(end())
    task.result()
    if cancelled is not None:
        raise cancelled
