"""A pool whose tool puts down which calls have run, and in which order."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pathlib
import random
import signal
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import snakepit
from pool_helpers import wait_until
from snakepit._pool.ahead_lines import TOGETHER_SECONDS

#: Of such calls eight are sent ahead to one worker (seconds).
_SURELY_SHORT = TOGETHER_SECONDS / 20


class Marked:
    """A pool whose tool puts down which calls have run. Its calls are known to be short."""

    def __init__(self, pool: snakepit.Pool, folder: pathlib.Path) -> None:
        self.pool = pool
        self.folder = folder
        engine: Any = pool._ready()[0]
        for _ in range(500):  # one that the machine holds up does not count as short
            self.run(-1)
            if (engine._calls._ahead.pace.short("mark") or 1.0) < _SURELY_SHORT and pool.stats().workers_ready == pool.stats().size:
                break
        self.ran.clear()
        (folder / "marks").unlink()

    def submit(self, number: int, *, timeout: float | None = 60, **args: Any) -> concurrent.futures.Future[Any]:
        """A call in the background."""
        return self.pool.submit("mark", {"folder": str(self.folder), "number": number, **args}, timeout=timeout)

    def run(self, number: int, **args: Any) -> Any:
        """A call, to its end."""
        return self.submit(number, **args).result(60)

    def items(self, numbers: Iterable[int], **special: Any) -> list[dict[str, Any]]:
        """The arguments of as many calls; `special`: further ones of some, as `n7={...}`."""
        return [{"folder": str(self.folder), "number": number, **special.get(f"n{number}", {})} for number in numbers]

    @property
    def ran(self) -> list[int]:
        """Which have run, in their order."""
        return [int(line) for line in (self.folder / "marks").read_text().split()]

    def hold(self, name: str = "go") -> concurrent.futures.Future[Any]:
        """A call that runs until `say(name)`: longer than such calls do."""
        held = self.submit(0, wait_for=name)
        wait_until((self.folder / f"{name}-waits").exists, "the call runs")
        return held

    def say(self, name: str = "go") -> None:
        """Let such calls go on."""
        (self.folder / name).touch()


def settled(marked: Marked) -> None:
    """All has ended, and the books say so."""
    wait_until(lambda: marked.pool.stats().running == 0 and marked.pool.stats().queued == 0, "nothing runs or waits")
    stats, engine = marked.pool.stats(), marked.pool._ready()[0]
    assert stats.submitted == stats.succeeded + stats.failed + stats.cancelled + stats.timed_out + stats.crashed
    assert engine.together._owners == {}
    assert engine._ledger.open_calls() == []
    assert engine._ledger._without_end == {False: 0, True: 0}


@contextlib.contextmanager
def workers_killed(pool: snakepit.Pool, chance: random.Random, most: int) -> Iterator[list[int]]:
    """Workers get SIGKILL now and then, so many at most. Gives the list of those that have got it."""
    stop, killed = threading.Event(), list[int]()

    def kill() -> None:
        while not stop.wait(chance.uniform(0.02, 0.15)) and len(killed) < most:
            pids = [worker.pid for worker in pool.workers() if worker.pid and worker.info().state == "ready"]
            with contextlib.suppress(ProcessLookupError):
                if pids:
                    os.kill(pid := chance.choice(pids), signal.SIGKILL)
                    killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        stop.set()
        killer.join()
