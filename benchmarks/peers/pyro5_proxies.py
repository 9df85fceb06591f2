"""Pyro5: a daemon for each worker on a unix socket, its MessagePack serializer, a proxy here. A generator is iterated item by
item. A proxy waits for its answer and belongs to one thread, so calls in flight are as many threads, each with a proxy; or they
are a batch for each worker, whose results come together. Arrays travel as bytes.

https://pyro5.readthedocs.io/en/latest/tipstricks.html, https://pyro5.readthedocs.io/en/latest/clientcode.html
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import Pyro5.api

from . import player, servers, work

Pyro5.api.config.SERIALIZER = "msgpack"
Pyro5.api.config.THREADPOOL_SIZE = 512  # A connection is served by a thread.


class Player(servers.Player):
    """Threads, or batches."""

    def __init__(self, *, batch: bool = False) -> None:
        self._flight = _batches if batch else _singly

    @contextlib.contextmanager
    def opened(self, workers: int) -> Iterator[_Pool]:
        with servers.running(__name__, workers) as paths, contextlib.ExitStack() as stack:
            yield _Pool(stack, paths)

    def submit(self, pool: _Pool, tool: Callable[..., Any], *args: Any) -> Any:
        return getattr(next(pool.turns), tool.__name__)(*args)

    def result(self, handle: Any) -> Any:
        return handle

    def in_flight(self, pool: _Pool, *, workers: int, window: int, count: int) -> player.Figures:
        if window == 1:
            return super().in_flight(pool, workers=workers, window=window, count=count)
        proxies = pool.proxies(workers if self._flight is _batches else window)
        share, rest = divmod(count, len(proxies))
        counts = [share + (number < rest) for number in range(len(proxies))]
        began = time.perf_counter()
        with ThreadPoolExecutor(len(proxies)) as threads:
            deque(threads.map(self._flight, proxies, counts, [window // workers] * len(proxies)), maxlen=0)
        return {"rate": count / (time.perf_counter() - began)}

    def chunks(self, pool: _Pool, count: int, size: int = 0) -> Iterable[dict[str, Any]]:
        chunks: Iterable[dict[str, Any]] = next(pool.turns).chunks(count, size)
        return chunks

    def session(self, pool: _Pool) -> Callable[[], Any]:
        proxy, key = next(pool.turns), f"s{next(player.numbers)}"
        return lambda: proxy.count_up(key)

    def up(self, pool: _Pool, value: Any) -> float:
        return float(next(pool.turns).total(value.tobytes()))

    def down(self, pool: _Pool, count: int) -> Any:
        import numpy

        return numpy.frombuffer(next(pool.turns).numbers(count))


class _Pool:
    """Proxies for the main thread, which come in turn; and for other threads, kept for the next round."""

    def __init__(self, stack: contextlib.ExitStack, paths: list[str]) -> None:
        self._stack = stack
        self._paths = itertools.cycle(paths)
        self._kept: list[Any] = []
        self.turns = itertools.cycle([self._connected() for _ in paths])

    def proxies(self, count: int) -> list[Any]:
        while len(self._kept) < count:
            self._kept.append(self._connected())
        for proxy in self._kept:
            proxy._pyroClaimOwnership()
        return self._kept[:count]

    def _connected(self) -> Any:
        proxy = self._stack.enter_context(Pyro5.api.Proxy(f"PYRO:tools@./u:{next(self._paths)}"))
        self._stack.callback(proxy._pyroClaimOwnership)  # Only its owner may close it.
        proxy._pyroBind()
        return proxy


def _singly(proxy: Any, count: int, _window: int) -> None:
    proxy._pyroClaimOwnership()
    for i in range(count):
        player.check(proxy.echo({"x": i}), {"x": i})


def _batches(proxy: Any, count: int, window: int) -> None:
    proxy._pyroClaimOwnership()
    for at in range(0, count, window):
        size = min(window, count - at)
        batch = Pyro5.api.BatchProxy(proxy)
        for i in range(size):
            batch.echo({"x": i})
        player.check(list(batch()), [{"x": i} for i in range(size)])


class Tools:  # Pyro5 exposes nothing that begins with an underscore.
    def echo(self, value: dict[str, int]) -> dict[str, int]:
        return work.echo(value)

    def chunks(self, count: int, size: int = 0) -> Iterator[dict[str, Any]]:
        return work.chunks(count, size)

    def count_up(self, key: str) -> int:
        return work.count_up(key)

    def total(self, data: bytes) -> float:
        import numpy

        return work.total(numpy.frombuffer(data))

    def numbers(self, count: int) -> bytes:
        data: bytes = work.numbers(count).tobytes()
        return data

    def prepare(self, count: int, seconds: float) -> int:
        return work.prepare(count, seconds)

    def die(self) -> None:
        work.die()


def _serve(path: str) -> None:
    with Pyro5.api.Daemon(unixsocket=path) as daemon:
        daemon.register(Pyro5.api.expose(Tools)(), "tools")
        servers.say_ready()
        daemon.requestLoop()


if __name__ == "__main__":
    _serve(sys.argv[1])
