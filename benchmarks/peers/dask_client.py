"""Dask distributed on this machine: `Client.submit`, or an actor for each worker, which is asked with less ado. A large array is
scattered before it is used, a stream is a `Queue`.

https://distributed.dask.org/en/stable/client.html, https://distributed.dask.org/en/stable/actors.html,
https://distributed.dask.org/en/stable/api.html#distributed.Queue
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import dask
import distributed

from . import player, work

#: Else a call that kills its worker is tried on three others.
_SETTINGS = {"distributed.scheduler.allowed-failures": 0}


class Player(player.Player):
    """Scheduler and nannies live in this process."""

    def __init__(self, *, actors: bool = False) -> None:
        self._actors = actors
        self._queues = itertools.count()

    @contextlib.contextmanager
    def opened(self, workers: int) -> Iterator[_Pool]:
        with (
            dask.config.set(_SETTINGS),
            distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=logging.CRITICAL
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield _Pool(client, workers if self._actors else 0)

    def submit(self, pool: _Pool, tool: Callable[..., Any], *args: Any) -> Any:
        if pool.actors and tool is work.echo:
            return next(pool.turns).echo(*args)
        return pool.client.submit(tool, *args, pure=False)

    def result(self, handle: Any) -> Any:
        return handle.result(timeout=30)

    def chunks(self, pool: _Pool, count: int, size: int = 0) -> Iterable[dict[str, Any]]:
        queue = distributed.Queue(f"chunks-{next(self._queues)}", client=pool.client)
        producer = pool.client.submit(_produce, queue, count, size, pure=False)
        for _ in range(count):
            yield queue.get(timeout=30)
        self.result(producer)
        queue.close()

    def session(self, pool: _Pool) -> Callable[[], Any]:
        if not pool.actors:
            raise player.Cannot("a call goes to whichever worker is free; that is what actors are for")
        actor, key = pool.actors[0], f"s{next(player.numbers)}"
        return lambda: self.result(actor.count_up(key))

    def up(self, pool: _Pool, value: Any) -> float:
        return float(self.call(pool, work.total, pool.client.scatter(value, hash=False)))

    def cancel_one(self, pool: _Pool, handle: Any) -> None:
        handle.cancel()  # It forgets the call, which runs on.


class _Pool:
    def __init__(self, client: Any, actors: int) -> None:
        self.client = client
        addresses = list(client.scheduler_info()["workers"])[:actors]
        self.actors = [client.submit(_Tools, actor=True, pure=False, workers=[address]).result(timeout=30) for address in addresses]
        self.turns = itertools.cycle(self.actors)


class _Tools:
    def echo(self, value: dict[str, int]) -> dict[str, int]:
        return work.echo(value)

    def count_up(self, key: str) -> int:
        return work.count_up(key)


def _produce(queue: Any, count: int, size: int) -> None:
    for chunk in work.chunks(count, size):
        queue.put(chunk)
