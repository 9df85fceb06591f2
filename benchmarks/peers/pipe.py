"""Processes and a `multiprocessing.Pipe` to each, by hand; no ids, no supervision: about the least that can be done in Python.

https://docs.python.org/3/library/multiprocessing.html#pipes-and-queues
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from . import player, work

_SPAWN = multiprocessing.get_context("spawn")


class Player(player.Player):
    """Calls go to the workers in turn, and a worker answers in order. What does not come is waited for in `Peer.ask` only:
    `poll` before each `recv` would take longer than all the rest.
    """

    @contextlib.contextmanager
    def opened(self, workers: int) -> Iterator[_Pool]:
        pool = _Pool(workers)
        try:
            yield pool
        finally:
            pool.close()

    def submit(self, pool: _Pool, tool: Callable[..., Any], *args: Any) -> Any:
        number = next(pool.turns)
        pool.ends[number].send((tool.__name__, args))
        return pool, number

    def result(self, handle: Any) -> Any:
        pool, number = handle
        return pool.ends[number].recv()

    def call_again(self, pool: _Pool) -> Any:
        raise player.Cannot("a worker is started again by hand only")

    def chunks(self, pool: _Pool, count: int, size: int = 0) -> Iterable[dict[str, Any]]:
        end = pool.ends[next(pool.turns)]
        end.send(("chunks", (count, size)))
        return iter(end.recv, None)

    def session(self, pool: _Pool) -> Callable[[], Any]:
        end, key = pool.ends[0], f"s{next(player.numbers)}"

        def call() -> Any:
            end.send(("count_up", (key,)))
            return end.recv()

        return call

    def up(self, pool: _Pool, value: Any) -> float:
        end = pool.ends[next(pool.turns)]
        end.send(("up", ()))
        end.send_bytes(value)
        return float(end.recv())

    def down(self, pool: _Pool, count: int) -> Any:
        import numpy

        end = pool.ends[next(pool.turns)]
        end.send(("down", (count,)))
        return numpy.frombuffer(end.recv_bytes())

    def cancel_one(self, pool: _Pool, handle: Any) -> None:
        pool.workers[handle[1]].terminate()


class _Pool:
    def __init__(self, workers: int) -> None:
        self.turns = itertools.cycle(range(workers))
        self.ends: list[Connection[Any, Any]] = []
        self.workers = []
        for _ in range(workers):
            here, there = _SPAWN.Pipe()
            worker = _SPAWN.Process(target=_serve, args=(there,), daemon=True)
            worker.start()
            there.close()  # Else its end would not be seen here.
            self.ends.append(here)
            self.workers.append(worker)

    def close(self) -> None:
        for end in self.ends:
            end.close()
        for worker in self.workers:
            worker.join(2)
            worker.kill()
            worker.join(2)
            worker.close()


def _serve(end: Connection[Any, Any]) -> None:
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            name, args = end.recv()
            if name == "chunks":
                for chunk in work.chunks(*args):
                    end.send(chunk)
                end.send(None)
            elif name == "up":
                end.send(_total(end.recv_bytes()))
            elif name == "down":
                end.send_bytes(work.numbers(*args))
            else:
                end.send(getattr(work, name)(*args))


def _total(data: bytes) -> float:
    import numpy

    return work.total(numpy.frombuffer(data))
