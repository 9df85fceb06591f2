"""Ray: an actor for each worker, which is started again when it dies; a streaming generator; tasks, where a call is cancelled.

https://docs.ray.io/en/latest/ray-core/actors.html, https://docs.ray.io/en/latest/ray-core/ray-generator.html,
https://docs.ray.io/en/latest/ray-core/fault_tolerance/actors.html, https://docs.ray.io/en/latest/ray-core/tasks.html#cancelling-tasks
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from . import player, work


def library() -> Any:
    """The module, told before it is imported that it has to stay on this machine: else it listens on all addresses."""
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    import ray

    return ray


@contextlib.contextmanager
def cluster(cpus: int = 2) -> Iterator[Any]:
    """The module `ray`, connected to a cluster of its own."""
    ray = library()
    with tempfile.TemporaryDirectory(prefix="r-", ignore_cleanup_errors=True) as folder:
        ray.init(
            num_cpus=cpus,
            object_store_memory=2 * 1024**3,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
            log_to_driver=False,
            logging_level="ERROR",
        )
        try:
            yield ray
        finally:
            ray.shutdown()


class Player(player.Player):
    """Calls go to the actors in turn."""

    def __init__(self) -> None:
        self._ray = library()  # Before the clock of `start` runs, as the other peers' are.

    @contextlib.contextmanager
    def opened(self, workers: int) -> Iterator[_Pool]:
        with cluster(max(2, workers)):
            actor = self._ray.remote(max_restarts=-1)(_Tools)
            yield _Pool([actor.remote() for _ in range(workers)])

    def submit(self, pool: _Pool, tool: Callable[..., Any], *args: Any) -> Any:
        if tool is work.hang:  # What an actor does cannot be cancelled, unless it is a coroutine.
            return self._ray.remote(tool).remote(*args)
        return getattr(next(pool.turns), tool.__name__).remote(*args)

    def result(self, handle: Any) -> Any:
        return self._ray.get(handle, timeout=30)

    def call_again(self, pool: _Pool) -> Any:
        """The same actor."""
        return self.result(pool.actors[pool.last].echo.remote({"x": 1}))

    def chunks(self, pool: _Pool, count: int, size: int = 0) -> Iterable[dict[str, Any]]:
        for reference in next(pool.turns).chunks.options(num_returns="streaming").remote(count, size):
            yield self._ray.get(reference)

    def pieces(self, pool: _Pool, tool: Callable[..., Any], *args: Any) -> Iterable[dict[str, Any]]:
        for reference in getattr(next(pool.turns), tool.__name__).options(num_returns="streaming").remote(*args):
            yield self._ray.get(reference)

    def session(self, pool: _Pool) -> Callable[[], Any]:
        actor, key = pool.actors[0], f"s{next(player.numbers)}"
        return lambda: self._ray.get(actor.count_up.remote(key))

    def up(self, pool: _Pool, value: Any) -> float:
        return float(self.call(pool, work.total, self._ray.put(value)))

    def cancel_one(self, pool: _Pool, handle: Any) -> None:
        self._ray.cancel(handle)  # It wakes no sleep and no read: https://github.com/ray-project/ray/issues/32954


class _Pool:
    def __init__(self, actors: list[Any]) -> None:
        self.actors = actors
        self.last = 0
        self.turns = self._turns()

    def _turns(self) -> Iterator[Any]:
        for number in itertools.cycle(range(len(self.actors))):
            self.last = number
            yield self.actors[number]


class _Tools:
    def echo(self, value: dict[str, int]) -> dict[str, int]:
        return work.echo(value)

    def chunks(self, count: int, size: int = 0) -> Iterator[dict[str, Any]]:
        yield from work.chunks(count, size)

    def count_up(self, key: str) -> int:
        return work.count_up(key)

    def read_csv(self, path: str) -> Iterator[dict[str, Any]]:
        yield from work.read_csv(path)

    def label_images(self, count: int) -> Iterator[dict[str, Any]]:
        yield from work.label_images(count)

    def total(self, value: Any) -> float:
        return work.total(value)

    def numbers(self, count: int) -> Any:
        return work.numbers(count)

    def prepare(self, count: int, seconds: float) -> int:
        return work.prepare(count, seconds)

    def die(self) -> None:
        work.die()
