"""The public API as users write it, for type checkers: pyright reads this file in strict mode, nobody runs it.

`assert_type` states what an editor shows. A line that must not type-check carries a pyright ignore, and an ignore that is not
needed is an error.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, assert_type

import snakepit
from snakepit.gateway import Gateway, GatewaySettings, Limits, Plan, Tls, Token, read_plan
from snakepit.remote import AsyncRemotePool, AsyncRemoteSession, AsyncRemoteStream, RemotePool, RemoteSession, RemoteStream
from snakepit.testing import (
    AsyncMemoryPool,
    Fault,
    Faults,
    MemoryPool,
    Passed,
    ToolRun,
    TurnedClock,
    replay,
    replay_async,
    run_tool,
    run_tool_async,
)
from snakepit_bridge.base_adapter import BaseAdapter, StreamChunk, tool


class Shop(BaseAdapter):
    """An adapter with every kind of tool."""

    @tool(description="Add two numbers", idempotent=True, metadata={"team": "sums"})
    def add(self, a: int, b: int = 1) -> int:
        self.progress(1, 2, message="halfway")
        assert_type(self.context.cancelled, bool)
        assert_type(self.context.remaining, float | None)
        return a + b

    @tool
    async def fetch(self, name: str) -> bytes:
        await asyncio.sleep(0)
        return name.encode()

    @tool(supports_streaming=True)
    def count(self, to: int) -> Iterator[dict[str, Any]]:
        for number in range(to):
            yield {"number": number}

    @tool(supports_streaming=True)
    async def ticks(self) -> AsyncIterator[StreamChunk]:
        yield StreamChunk({"tick": 1}, is_final=True, metadata={"source": "clock"})


def adapters() -> None:
    """Every way to name an adapter."""
    snakepit.Pool()
    snakepit.Pool("my_app.tools:MyAdapter", size=2, worker_output="log", env={"A": "b"})
    snakepit.Pool(Path("tools.py"), python="/usr/bin/python3")
    snakepit.Pool(Shop)
    snakepit.Pool(asyncio)
    snakepit.Pool([adapters, calls])
    snakepit.Pool(3)  # pyright: ignore[reportArgumentType]
    snakepit.Pool(siez=2)  # pyright: ignore[reportCallIssue]
    snakepit.Pool(size="2")  # pyright: ignore[reportArgumentType]


def calls() -> None:
    """The sync face."""
    with snakepit.Pool(Shop, size=1, base_port=None, worker_output=lambda worker, stream, line: None) as pool:
        assert_type(pool, snakepit.Pool)
        result: int = pool.execute("add", {"a": 1}, timeout=5, on_progress=lambda report: print(report["progress"]))
        pool.execute("add", timeout=None)
        pool.execute("add", {"a": 1}, 5)  # pyright: ignore[reportCallIssue]
        pool.execute("add", ["a"])  # pyright: ignore[reportArgumentType]
        future = pool.submit("add", {"a": result})
        assert_type(future, snakepit.CallFuture)
        concurrent.futures.wait([future])
        pool.tools.add(2, b=3)
        pool.tools.add.options(timeout=5)(2, b=3)


def streams() -> None:
    """Chunks as dicts, values as the tool yielded them, and leaving early."""
    with snakepit.Pool(Shop) as pool:
        stream = pool.stream("count", {"to": 3}, chunk_timeout=1.5)
        assert_type(stream, snakepit.Stream)
        for chunk in stream:
            assert_type(chunk, dict[str, Any])
            if chunk["is_final"]:
                break
        for value in pool.stream("count", {"to": 3}, timeout=None).values():
            print(value)
        with pool.stream("count", {"to": 3}) as left:
            next(left)
            left.cancel()
        print(left.result)


def bound() -> None:
    """Tools typed as their adapter."""
    with snakepit.Pool(Shop) as pool:
        shop = pool.bind(Shop)
        assert_type(shop, Shop)
        assert_type(shop.add(2, 3), int)
        assert_type(shop.count(3), Iterator[dict[str, Any]])
        shop.add("two")  # pyright: ignore[reportArgumentType]


def resilience() -> None:
    """Retries and circuit breakers."""
    retry = snakepit.RetryPolicy(attempts=3, errors=(ConnectionError, "my_app.errors.Busy"), first_delay=0.1)
    with snakepit.Pool(Shop, retry=retry, circuit_breaker=snakepit.CircuitBreaker(failures=3, scope="pool")) as pool:
        pool.execute("add", {"a": 1}, retry=False)
        pool.submit("add", {"a": 1}, retry={"attempts": 5})
        assert_type(pool.stats().circuits, tuple[snakepit.CircuitInfo, ...])
    snakepit.CircuitBreaker(scope="worker")  # pyright: ignore[reportArgumentType]


def telemetry() -> None:
    """Events of tools, and which of them are wanted."""

    def hear(event: snakepit.TelemetryEvent) -> None:
        assert_type(event.time, float)

    with snakepit.Pool(Shop, on_event=hear) as pool:
        assert_type(pool.telemetry(sampling={"python.*": 0.1}, deny=["tool.*"]), snakepit.TelemetrySettings)
        pool.telemetry(enabled="no")  # pyright: ignore[reportArgumentType]


async def _main() -> int:
    return 1


def scripts() -> None:
    """A script's main, sync or async."""
    assert_type(snakepit.run_as_script(lambda: "text"), str)
    assert_type(snakepit.run_as_script(_main, drain_timeout=5.0, leave_timeout=1), int)
    snakepit.run_as_script(_main, close_timeout=5)  # pyright: ignore[reportCallIssue]


def views() -> None:
    """What a pool tells about itself is frozen."""
    pool = snakepit.Pool(Shop)
    stats = pool.stats()
    assert_type(stats, snakepit.PoolStats)
    assert_type(stats.running, int)
    assert_type(stats.quarantined, tuple[snakepit.QuarantinedSlot, ...])
    assert_type(pool.end_quarantine(), int)
    assert_type(pool.drain(timeout=5).cut_off, int)
    assert_type(stats.rungs["kill"], int)
    stats.running = 1  # pyright: ignore[reportAttributeAccessIssue]
    for worker in pool.workers():
        assert_type(worker, snakepit.WorkerHandle)
        assert_type(worker.info(), snakepit.WorkerInfo)
        assert_type(worker.info().pid, int | None)
        assert_type(worker.health(), snakepit.WorkerHealth)
    health = pool.health()
    assert_type(health, snakepit.PoolHealth)
    assert_type(health.reasons, tuple[str, ...])
    health.status = "ok"  # pyright: ignore[reportAttributeAccessIssue]
    for spec in pool.tool_specs():
        assert_type(spec, snakepit.ToolSpec)
        assert_type(spec.parameters, tuple[snakepit.ParameterSpec, ...])


async def asynchronous() -> None:
    """The async face: the same words with `await`."""
    async with snakepit.AsyncPool(Shop, size=2) as pool:
        assert_type(pool, snakepit.AsyncPool)
        await pool.execute("add", {"a": 1}, timeout=5)
        await asyncio.gather(pool.submit("add", {"a": 1}), pool.submit("add", {"a": 2}))
        stream = pool.stream("count", {"to": 3})
        assert_type(stream, snakepit.AsyncStream)
        async for chunk in stream:
            assert_type(chunk, dict[str, Any])
        async for value in pool.stream("count", {"to": 3}).values():
            print(value)
        await pool.tools.add(2, b=3)


def sessions_and_host_tools() -> None:
    """Sessions, binary parameters, and functions that tools call."""
    pool = snakepit.Pool(Shop, affinity="strict_queue", session_store="sqlite:///sessions.db")
    with pool.session("user-1", ttl=60.0, metadata={"user": "ann"}) as session:
        assert_type(session, snakepit.Session)
        session.execute("add", {"a": 1}, affinity="hint")
        assert_type(session.stream("count", {"to": 3}), snakepit.Stream)
        assert_type(session.submit("add", {"a": 1}), snakepit.CallFuture)
        assert_type(session.info(), snakepit.SessionInfo)
        assert_type(session.programs(), tuple[str, ...])
        session.update(lambda metadata: {**metadata, "step": 2})
        pool.execute("add", {"a": 1}, session_id=session, on_metadata=print)
    pool.execute("add", {"a": 1}, session_id="user-2", binary_parameters={"blob": b"x"})
    pool.execute("add", {"a": 1}, affinity="glue")  # pyright: ignore[reportArgumentType]
    assert_type(pool.sessions(), tuple[snakepit.SessionInfo, ...])

    @pool.host_tool
    def rate(currency: str) -> float:
        assert_type(snakepit.current_host_call().cancelled, bool)
        return 1.25

    assert_type(rate("EUR"), float)
    assert_type(snakepit.is_unserializable(rate("EUR")), bool)
    pool.register_tool(rate, name="other", session_id="user-1")


def connected(pool: RemotePool) -> None:
    """A pool behind a gateway: the words of `Pool`, and classes of its own for annotations."""
    assert_type(snakepit.connect("127.0.0.1:1", token="t", tls={"ca": "ca.pem"}, pool="main"), RemotePool)
    snakepit.connect("127.0.0.1:1", tls=5)  # pyright: ignore[reportArgumentType]
    number: int = pool.execute("add", {"a": 1}, timeout=5, on_metadata=print, binary_parameters={"blob": b"x"})
    pool.execute("add", {"a": 1}, tiemout=5)  # pyright: ignore[reportCallIssue]
    assert_type(pool.stream("count", {"to": number}), RemoteStream)
    for chunk in pool.stream("count", {"to": 3}):
        assert_type(chunk["is_final"], Any)
    assert_type(pool.submit("add", {"a": 1}), concurrent.futures.Future[Any])
    assert_type(pool.bind(Shop).add(2, 3), int)
    assert_type(pool.tool_specs(), tuple[snakepit.ToolSpec, ...])
    with pool.session("user-1", ttl=60.0, affinity="strict_queue") as session:
        assert_type(session, RemoteSession)
        assert_type(session.stream("count", {"to": 3}), RemoteStream)
        assert_type(session.info(), snakepit.SessionInfo)
    assert_type(pool.session_info("user-1"), snakepit.SessionInfo | None)


async def connected_async() -> None:
    """The same with `await`."""
    async with snakepit.connect_async("unix:/run/gate") as pool:
        assert_type(pool, AsyncRemotePool)
        await pool.execute("add", {"a": 1})
        assert_type(pool.stream("count", {"to": 3}), AsyncRemoteStream)
        async with pool.session() as session:
            assert_type(session, AsyncRemoteSession)
            assert_type(await session.info(), snakepit.SessionInfo)


async def served() -> None:
    """A gateway in a program of one's own, and its settings."""
    tokens = (Token.of("shop", "a token of some length", tools=["add"], pools=["main"]),)
    settings = GatewaySettings(address="127.0.0.1:0", tokens=tokens, limits=Limits(calls=10, call_seconds=60.0), drain_timeout=5)
    Limits(cals=10)  # pyright: ignore[reportCallIssue]
    settings.address = "x"  # pyright: ignore[reportAttributeAccessIssue]
    assert_type(settings.tls, Tls | None)
    assert_type(read_plan("gateway.toml", {}, {}), Plan)
    async with snakepit.AsyncPool(Shop) as pool, Gateway({"main": pool}, settings) as gateway:
        assert_type(gateway.address, str)
        assert_type(await gateway.drain(), dict[str, snakepit.Drained])


def tests_of_tools() -> None:
    """What tests are written with."""
    run = run_tool(Shop, "add", {"a": 1}, session="user-1", host_tools={"rate": len}, chunks=3, timeout=1.0)
    assert_type(run, ToolRun)
    assert_type(run.chunks, list[Any])
    run_tool(Shop(), "add", {"a": 1}, session=run.session)
    faults = Faults.script([Fault("drop", 3), Fault("delay", 1, "to_worker", seconds=0.5, worker="worker-2")])
    Fault("lose", 3)  # pyright: ignore[reportArgumentType]
    with TurnedClock(seed=4711) as clock, MemoryPool(Shop, size=1, faults=faults) as pool:
        clock.advance(3600.0)
        assert_type(pool, MemoryPool)
        assert_type(clock.now, float)
        assert_type(faults.passed, tuple[Passed, ...])
        assert_type(clock.run(asyncio.sleep(1.0, "slept")), str)
    AsyncMemoryPool(Shop, faults=Faults(seed=1, rate=0.1, kinds=["drop", "kill"]))
    assert_type(replay(Path("train.jsonl"), "add.jsonl", delays=False, size=2), MemoryPool)
    assert_type(replay_async("train.jsonl"), AsyncMemoryPool)


async def async_tests_of_tools() -> None:
    """The same, awaited."""
    assert_type(await run_tool_async(Shop, "fetch", {"name": "tea"}, timeout=1.0), ToolRun)


def default_pool() -> None:
    """The module-level functions."""
    snakepit.configure(adapter="my_app.tools:MyAdapter", pool_size=4)
    snakepit.configure(adapter_module=snakepit.adapters.GRPCPython, grpc_config={"base_port": 50051, "port_range": 100})
    snakepit.execute("ping", {})
    assert_type(snakepit.execute_stream("ping_stream", {"count": 5}, lambda chunk: print(chunk["message"])), None)
    snakepit.shutdown()


def errors() -> None:
    """Errors are caught by their own names or by Python's."""
    try:
        snakepit.execute("ping", {})
    except snakepit.ToolError as error:
        assert_type(error.type, str)
        assert_type(error.chunk, int | None)
    except snakepit.SnakepitError as error:
        assert_type(error.code, str)
        assert_type(error.details, dict[str, Any])
    try:
        snakepit.execute("ping", {})
    except TimeoutError:
        pass
    timeout: type[TimeoutError] = snakepit.WorkerTimeout
    value: type[ValueError] = snakepit.InvalidParameter
    lookup: type[LookupError] = snakepit.UnknownTool
    print(timeout, value, lookup)
