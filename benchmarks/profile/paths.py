"""The paths that are measured, and the floors beside them: each a context manager that gives the workers' process ids and a
function which makes so many calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import snakepit
from benchmarks.contest import on_loop
from benchmarks.scenarios import TOOLS

#: How many calls `map` and `gather` have in flight.
WINDOW = 64
_WORKERS = 2
#: So long all workers have until they take calls (seconds); under callgrind they need most of it.
_START_SECONDS = 240.0
_LOOK_SECONDS = 0.01


class Subject(NamedTuple):
    """One opened path.

    Attributes:
        workers: process ids.
        play: makes that many calls; of a stream, chunks.
    """

    workers: list[int]
    play: Callable[[int], Any]


Path = Callable[[], contextlib.AbstractContextManager[Subject]]


@contextlib.contextmanager
def _sync(protocol: str, play: Callable[[snakepit.Pool, int], None]) -> Iterator[Subject]:
    with snakepit.Pool(TOOLS, size=_WORKERS, protocol=protocol, start_timeout=_START_SECONDS) as pool:
        yield Subject(_all_ready(pool, lambda: time.sleep(_LOOK_SECONDS)), lambda count: play(pool, count))


@contextlib.contextmanager
def _asynchronous(protocol: str, play: Callable[[snakepit.AsyncPool, int], Any]) -> Iterator[Subject]:
    with on_loop(snakepit.AsyncPool(TOOLS, size=_WORKERS, protocol=protocol, start_timeout=_START_SECONDS)) as (runner, pool):
        workers = _all_ready(pool, lambda: runner.run(asyncio.sleep(_LOOK_SECONDS)))
        yield Subject(workers, lambda count: runner.run(play(pool, count)))


def _all_ready(pool: snakepit.Pool | snakepit.AsyncPool, wait: Callable[[], None]) -> list[int]:
    until = time.monotonic() + _START_SECONDS
    while len(pids := [worker.pid or 0 for worker in pool.workers() if worker.info().state == "ready"]) < _WORKERS:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(pids)} of {_WORKERS} workers are ready")
        wait()
    return pids


def _execute(pool: snakepit.Pool, count: int) -> None:
    for i in range(count):
        pool.execute("echo", {"value": {"x": i}})


async def _execute_async(pool: snakepit.AsyncPool, count: int) -> None:
    for i in range(count):
        await pool.execute("echo", {"value": {"x": i}})


def _map(pool: snakepit.Pool, count: int) -> None:
    for _ in pool.map("echo", ({"value": {"x": i}} for i in range(count)), window=WINDOW):
        pass


async def _gather(pool: snakepit.AsyncPool, count: int) -> None:
    """So many coroutines, each with one call under way."""
    numbers = iter(range(count))

    async def some() -> None:
        for i in numbers:
            await pool.execute("echo", {"value": {"x": i}})

    await asyncio.gather(*(some() for _ in range(WINDOW)))


def _stream(pool: snakepit.Pool, count: int) -> None:
    for _ in pool.stream("count_up", {"count": count}, timeout=None):
        pass


@contextlib.contextmanager
def _pipe() -> Iterator[Subject]:
    """Pickles over a `multiprocessing.Pipe`; both sides block."""
    from benchmarks.peers import pipe, work

    player = pipe.Player()
    with player.opened(1) as pool:

        def play(count: int) -> None:
            for i in range(count):
                player.result(player.submit(pool, work.echo, {"x": i}))

        yield Subject([worker.pid or 0 for worker in pool.workers], play)


@contextlib.contextmanager
def _grpc_aio() -> Iterator[Subject]:
    """One unary RPC per call, grpc.aio on both sides."""
    from benchmarks import plain_grpc
    from benchmarks.peers.processes import family

    with plain_grpc.plain_server() as address, on_loop(plain_grpc.PlainClient(address)) as (runner, client):

        async def play(count: int) -> None:
            for i in range(count):
                await client.echo({"value": {"x": i}})

        yield Subject([process.pid for process in family(os.getpid())], lambda count: runner.run(play(count)))


class _Echo(asyncio.Protocol):
    """Asks again as soon as the answer is there."""

    transport: asyncio.Transport
    left = 0
    done: asyncio.Future[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.left -= 1
        if self.left > 0:
            self.transport.write(data)
        else:
            self.done.set_result(None)


@contextlib.contextmanager
def _unix_echo() -> Iterator[Subject]:
    """An asyncio protocol asks over a Unix socket, a blocking process answers: no ids, no encoding."""
    import multiprocessing

    ours, theirs = socket.socketpair()
    worker = multiprocessing.get_context("spawn").Process(target=_answer, args=(theirs,), daemon=True)
    worker.start()
    theirs.close()
    with asyncio.Runner() as runner:

        async def connected() -> _Echo:
            return (await asyncio.get_running_loop().create_unix_connection(_Echo, sock=ours))[1]

        protocol = runner.run(connected())

        async def play(count: int) -> None:
            protocol.left, protocol.done = count, asyncio.get_running_loop().create_future()
            protocol.transport.write(b"0123456789abcdef0123456789abcdef")
            await protocol.done

        try:
            yield Subject([worker.pid or 0], lambda count: runner.run(play(count)))
        finally:
            protocol.transport.close()
    worker.join(2)
    worker.kill()
    worker.join(2)


def _answer(end: socket.socket) -> None:
    while data := end.recv(4096):
        end.sendall(data)


@contextlib.contextmanager
def _hop() -> Iterator[Subject]:
    """A thread wakes a loop on another one, which wakes it in turn: what any sync face over a loop pays."""
    import queue

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    answers: queue.SimpleQueue[int] = queue.SimpleQueue()

    def play(count: int) -> None:
        for i in range(count):
            loop.call_soon_threadsafe(answers.put, i)
            answers.get()

    try:
        yield Subject([], play)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


#: What is measured.
PATHS: dict[str, Path] = {
    "execute-msgpack": lambda: _sync("msgpack", _execute),
    "execute-grpc": lambda: _sync("grpc", _execute),
    "async-msgpack": lambda: _asynchronous("msgpack", _execute_async),
    "async-grpc": lambda: _asynchronous("grpc", _execute_async),
    "map-msgpack": lambda: _sync("msgpack", _map),
    "gather-msgpack": lambda: _asynchronous("msgpack", _gather),
    "stream-grpc": lambda: _sync("grpc", _stream),
}

#: What it stands beside: about the least that can be done in Python with the same means.
FLOORS: dict[str, Path] = {"pipe": _pipe, "grpc-aio": _grpc_aio, "unix-echo": _unix_echo, "hop": _hop}
