"""Bare grpc.aio: a server process for each worker on a unix socket, generic handlers on bytes, MessagePack by msgspec; one RPC
per call, one message per chunk, arrays in messages of 1 MiB, since one of 100 MB would be refused, or slower.

https://grpc.github.io/grpc/python/grpc_asyncio.html, https://grpc.io/docs/guides/performance/
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from statistics import median
from typing import Any

import grpc
import grpc.aio
import msgspec

from . import player, servers, work

_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
_CALL, _CHUNKS, _UP, _DOWN = "/peer/call", "/peer/chunks", "/peer/up", "/peer/down"
_MESSAGE = 1024 * 1024
#: No call takes longer: seconds.
_DEADLINE = 60


class Player(servers.Player):
    """Calls go to the servers in turn; what is measured runs on the client's loop without leaving it."""

    @contextlib.contextmanager
    def opened(self, workers: int) -> Iterator[_Pool]:
        with servers.running(__name__, workers) as paths, asyncio.Runner() as runner:
            pool = runner.run(_connected(runner, paths))
            try:
                yield pool
            finally:
                runner.run(pool.close())

    def call(self, pool: _Pool, tool: Callable[..., Any], *args: Any) -> Any:
        return pool.runner.run(pool.ask(tool.__name__, *args))

    def submit(self, pool: _Pool, tool: Callable[..., Any], *args: Any) -> Any:
        return pool, pool.runner.run(_begun(pool.ask(tool.__name__, *args)))

    def result(self, handle: Any) -> Any:
        pool, task = handle
        return pool.runner.run(_ended(task))

    def cancel_one(self, pool: _Pool, handle: Any) -> None:
        handle[1].cancel()
        pool.runner.run(asyncio.wait([handle[1]], timeout=1))

    def sequential(self, pool: _Pool, *, workers: int, count: int) -> player.Figures:
        return {"p50": median(pool.runner.run(_times(pool, count)))}

    def in_flight(self, pool: _Pool, *, workers: int, window: int, count: int) -> player.Figures:
        return {"rate": count / pool.runner.run(_window(pool, window, count))}

    def stream(self, pool: _Pool, *, workers: int, count: int) -> player.Figures:
        first, seconds = pool.runner.run(_stream(pool, count))
        return {"rate": count / seconds, "first": first}

    def chunks(self, pool: _Pool, count: int, size: int = 0) -> Iterable[dict[str, Any]]:
        messages = aiter(next(pool.turns).chunks(_encode((count, size)), timeout=_DEADLINE))
        for _ in range(count):
            yield pool.runner.run(_next(messages))

    def pause(self, pool: _Pool, seconds: float) -> None:
        pool.runner.run(asyncio.sleep(seconds))

    def session(self, pool: _Pool) -> Callable[[], Any]:
        stub, request = next(pool.turns), _encode(("count_up", (f"s{next(player.numbers)}",)))
        return lambda: _decode(pool.runner.run(_asked(stub, request)))

    def up(self, pool: _Pool, value: Any) -> float:
        async def sent() -> float:
            return float(_decode(await next(pool.turns).up(_messages(value), timeout=_DEADLINE)))

        return pool.runner.run(sent())

    def down(self, pool: _Pool, count: int) -> Any:
        async def received() -> Any:
            return _array([part async for part in next(pool.turns).down(_encode(count), timeout=_DEADLINE)])

        return pool.runner.run(received())


class _Stub:
    """One server, as a client sees it."""

    def __init__(self, path: str) -> None:
        self.channel = grpc.aio.insecure_channel(f"unix:{path}")
        self.call: Any = self.channel.unary_unary(_CALL)
        self.chunks: Any = self.channel.unary_stream(_CHUNKS)
        self.up: Any = self.channel.stream_unary(_UP)
        self.down: Any = self.channel.unary_stream(_DOWN)


class _Pool:
    def __init__(self, runner: asyncio.Runner, stubs: list[_Stub]) -> None:
        self.runner = runner
        self._stubs = stubs
        self.turns = itertools.cycle(stubs)

    async def ask(self, name: str, *args: Any) -> Any:
        return _decode(await next(self.turns).call(_encode((name, args)), timeout=_DEADLINE))

    async def close(self) -> None:
        for stub in self._stubs:
            await stub.channel.close()


async def _connected(runner: asyncio.Runner, paths: list[str]) -> _Pool:
    """A channel belongs to the loop on which it is made."""
    stubs = [_Stub(path) for path in paths]
    for stub in stubs:
        await asyncio.wait_for(stub.channel.channel_ready(), 10)
    return _Pool(runner, stubs)


async def _begun(call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    task = asyncio.create_task(call)
    await asyncio.sleep(0.01)  # The loop runs only while it is asked to: until then, the request has gone.
    return task


async def _ended(task: asyncio.Task[Any]) -> Any:
    return await task


async def _asked(stub: _Stub, request: bytes) -> Any:
    return await stub.call(request, timeout=_DEADLINE)


async def _next(messages: Any) -> Any:
    return _decode(await anext(messages))


async def _times(pool: _Pool, count: int) -> list[float]:
    times = []
    for i in range(count):
        value = {"x": i}
        began = time.perf_counter()
        answer = await pool.ask("echo", value)
        times.append(time.perf_counter() - began)
        player.check(answer, value)
    return times


async def _window(pool: _Pool, window: int, count: int) -> float:
    """So many coroutines, each with one call under way."""
    numbers = iter(range(count))

    async def some() -> None:
        for i in numbers:
            player.check(await pool.ask("echo", {"x": i}), {"x": i})

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(window)))
    return time.perf_counter() - began


async def _stream(pool: _Pool, count: int) -> tuple[float, float]:
    began, first, seen = time.perf_counter(), 0.0, 0
    async for message in next(pool.turns).chunks(_encode((count, 0)), timeout=_DEADLINE):
        player.check(_decode(message), {"x": seen})
        first = first or time.perf_counter() - began
        seen += 1
    player.check(seen, count)
    return first, time.perf_counter() - began


async def _messages(value: Any) -> AsyncIterator[bytes]:
    view = memoryview(value).cast("B")
    for at in range(0, len(view), _MESSAGE):
        yield bytes(view[at : at + _MESSAGE])


def _array(parts: list[bytes]) -> Any:
    import numpy

    return numpy.frombuffer(b"".join(parts))


class _Service(grpc.GenericRpcHandler):
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return {
            _CALL: grpc.unary_unary_rpc_method_handler(self._call),
            _CHUNKS: grpc.unary_stream_rpc_method_handler(self._chunks),
            _UP: grpc.stream_unary_rpc_method_handler(self._up),
            _DOWN: grpc.unary_stream_rpc_method_handler(self._down),
        }[handler_call_details.method]

    async def _call(self, request: bytes, _context: Any) -> bytes:
        name, args = _decode(request)
        tool = getattr(work, name)
        # What blocks belongs on a thread, where an RPC's cancellation does not reach it.
        return _encode(await asyncio.to_thread(tool, *args) if tool is work.hang else tool(*args))

    async def _chunks(self, request: bytes, _context: Any) -> AsyncIterator[bytes]:
        for chunk in work.chunks(*_decode(request)):
            yield _encode(chunk)

    async def _up(self, requests: Any, _context: Any) -> bytes:
        return _encode(work.total(_array([part async for part in requests])))

    async def _down(self, request: bytes, _context: Any) -> AsyncIterator[bytes]:
        async for part in _messages(work.numbers(_decode(request))):
            yield part


async def _serve(path: str) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Service(),))
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    servers.say_ready()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
