"""Schedulers with many workers and many calls, and for each kind of decision a step that leaves them as they were.

Run as a program, `python scale_scenes.py SCENE WORKERS QUEUED STEPS`, it takes steps between two system calls that valgrind looks for.
"""

from __future__ import annotations

import collections
import itertools
import os
import sys
from collections.abc import Iterable
from typing import ClassVar

from snakepit._pool.decisions import Assignment, How
from snakepit._pool.scheduler import Scheduler


class Scene:
    """A scheduler of `workers` workers, for `queued` calls or sessions.

    Attributes:
        running: the calls that run, oldest first; ahead: those that were sent ahead and have not begun, likewise.
    """

    max_streams: ClassVar[int | None] = None

    def __init__(self, workers: int, queued: int) -> None:
        self.scheduler = Scheduler(10**9, self.max_streams)
        self.calls = itertools.count(1)
        self.running: collections.deque[int] = collections.deque()
        self.ahead: collections.deque[int] = collections.deque()
        self.names = [f"worker-{number}" for number in range(workers)]
        self.newest = 0
        for name in self.names:
            self.scheduler.add_worker(name, 1)
        self.fill(queued)

    def fill(self, queued: int) -> None:
        """Make the scene."""
        for _ in range(len(self.names) + queued):
            self.submit()

    def step(self) -> None:
        """One decision of the kind, and what undoes it."""
        raise NotImplementedError

    def submit(self, *, streaming: bool = False, session: str = "", affinity: str = "hint", seconds: float | None = None) -> None:
        self.newest = next(self.calls)
        made = self.scheduler.submit(self.newest, streaming=streaming, session=session, affinity=affinity, blocking=True, seconds=seconds)
        self.given(made)

    def given(self, made: Iterable[Assignment]) -> None:
        for item in made:
            (self.ahead if item.how is How.AHEAD else self.running).append(item.call_id)

    def finish(self) -> None:
        self.given(self.scheduler.finish(self.running.popleft()))

    def withdraw(self, call_id: int) -> None:
        assert self.scheduler.withdraw(call_id)
        self.given(self.scheduler.next_assignments())


class Queue(Scene):
    """All workers are busy: a call comes, and one ends, whose worker gets the next."""

    def step(self) -> None:
        self.submit()
        self.finish()


class Cancelled(Scene):
    """A call that waits is cancelled, or its deadline passes: the newest, and one of the oldest."""

    def fill(self, queued: int) -> None:
        super().fill(queued)
        self.waiting = collections.deque(range(len(self.names) + 1, self.newest + 1))

    def step(self) -> None:
        self.submit()
        self.withdraw(self.newest)
        self.submit()
        self.waiting.append(self.newest)
        self.withdraw(self.waiting.popleft())


class Idle(Scene):
    """All workers are free, and sessions are bound to them: a call comes, and ends, of no session and of one; that ends, and another begins."""

    def fill(self, queued: int) -> None:
        for number in range(queued):
            self.submit(session=f"session-{number}")
            self.finish()

    def step(self) -> None:
        self.submit()
        self.finish()
        for _ in range(2):  # it finds a worker, and goes there again
            self.submit(session="another", affinity="strict_queue")
            self.finish()
        self.scheduler.unbind("another")
        self.given(self.scheduler.next_assignments())


class Pipelined(Scene):
    """All workers are busy with short calls: a call comes, one ends, and one is sent ahead."""

    def fill(self, queued: int) -> None:
        for name in self.names:
            self.scheduler.let_ahead(name)
        for _ in range(len(self.names) * 4 + queued):  # three are sent ahead to each
            self.submit(seconds=1e-3)

    def given(self, made: Iterable[Assignment]) -> None:
        for item in made:
            if item.how is How.NEXT:
                continue  # it is in `ahead`, from where `finish` takes it
            (self.ahead if item.how is How.AHEAD else self.running).append(item.call_id)

    def finish(self) -> None:
        call_id = self.running.popleft()
        worker_id = self.scheduler.worker_of(call_id)
        self.given(made := self.scheduler.finish(call_id))
        assert made[0].how is How.NEXT
        assert made[0].worker_id == worker_id
        self.running.append(made[0].call_id)

    def step(self) -> None:
        self.submit(seconds=1e-3)
        self.finish()


class TakenBack(Pipelined):
    """A call that was sent ahead is cancelled: its ticket is taken back, and another is sent in its place."""

    def step(self) -> None:
        self.submit(seconds=1e-3)
        call_id = self.ahead.pop()
        self.scheduler.take_back([call_id])
        self.withdraw(call_id)


class Sessions(Scene):
    """Each session has a call that waits for its worker: a call ends, and a session with what waits of it; another one comes."""

    def fill(self, queued: int) -> None:
        self.number = itertools.count()
        self.waiting: dict[str, int] = {}
        for _ in range(max(queued, 200)):  # so many that steps end none that has begun meanwhile
            self.begin()
            self.finish()
        for _ in self.names:
            self.submit()
        for session in self.waiting:
            self.wait(session)
        self.sessions = collections.deque(self.waiting)

    def begin(self) -> str:
        session = f"session-{next(self.number)}"
        self.submit(session=session, affinity="strict_queue")
        self.waiting[session] = self.newest
        return session

    def wait(self, session: str) -> None:
        self.submit(session=session, affinity="strict_queue")
        self.waiting[session] = self.newest

    def end(self, session: str) -> None:
        """In the order in which the Keeper does it."""
        self.scheduler.withdraw(self.waiting.pop(session))
        self.scheduler.unbind(session)
        self.given(self.scheduler.next_assignments())

    def step(self) -> None:
        self.end(self.sessions.popleft())
        self.begin()  # it waits for any worker
        self.finish()  # the call that has waited longest for this worker runs
        self.wait(self.sessions[-1])
        self.sessions.rotate()


class OneSession(Scene):
    """One session without a worker has all calls: the one that is to find it one is cancelled, and another leads."""

    def fill(self, queued: int) -> None:
        for _ in self.names:
            self.submit()
        self.leader = self.newest
        for _ in range(queued + 1):
            self.submit(session="one", affinity="strict_queue")

    def step(self) -> None:
        self.submit(session="one", affinity="strict_queue")
        self.leader += 1
        self.withdraw(self.leader)


class Streams(Scene):
    """As many streams run as may, others wait for any worker or for their sessions' own: calls pass them, and the next stream begins."""

    max_streams = 1

    def fill(self, queued: int) -> None:
        self.number = itertools.count(len(self.names))
        self.sessions = collections.deque(f"session-{number}" for number in range(len(self.names)))
        for session in self.sessions:
            self.submit(session=session)
        while self.running:
            self.finish()
        for _ in range(max(queued // 2, len(self.names))):
            self.stream()
            self.submit(streaming=True)

    def stream(self) -> None:
        self.submit(streaming=True, session=self.sessions[0], affinity="strict_queue")
        self.sessions.rotate(-1)

    def step(self) -> None:
        self.submit()
        self.given(self.scheduler.finish(self.running.pop()))
        self.finish()
        if len(self.running) != 1:
            raise AssertionError(f"{len(self.running)} streams run")
        self.stream()
        self.submit(streaming=True)
        self.withdraw(self.newest)


class Replaced(Scene):
    """A worker dies with what it runs; the session's call that waited for it goes on at another, and a new worker comes."""

    max_streams = 0

    def fill(self, queued: int) -> None:
        self.number = itertools.count(len(self.names))
        for _ in range(queued):
            self.submit(streaming=True)

    def step(self) -> None:
        self.submit(session="moving")
        self.submit(session="moving", affinity="strict_queue")
        lost = self.scheduler.remove_worker(self.scheduler.bound_to("moving"))
        assert (lost.orphans, lost.stranded) == ([self.running.pop()], [self.newest])
        self.given(self.scheduler.add_worker(f"worker-{next(self.number)}", 1))
        self.given(self.scheduler.resubmit(self.newest))
        self.given(self.scheduler.finish(self.running.pop()))
        self.scheduler.unbind("moving")
        self.given(self.scheduler.next_assignments())


def main() -> None:
    """Build a scene, go on in it for a while, then take steps between the two system calls."""
    name, workers, queued, before, steps = sys.argv[1], *map(int, sys.argv[2:])
    scene: Scene = globals()[name](workers, queued)
    for _ in range(before):
        scene.step()
    os.getpgrp()
    for _ in range(steps):
        scene.step()
    os.getppid()


if __name__ == "__main__":
    main()
