"""`snakepit.connect` and `connect_async`: the pool's own API from afar, with its values and its errors."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

import snakepit
from gateway_helpers import running, served
from gateway_tools import GatewayTools
from snakepit import errors
from snakepit.gateway import Gateway, GatewaySettings
from snakepit.remote import statuses
from snakepit.remote.async_pool import AsyncRemotePool
from snakepit.remote.async_session import AsyncRemoteSession
from snakepit.remote.pool import RemotePool
from snakepit.remote.session import RemoteSession

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]

#: What only the process that owns the pool can do.
_HOSTS_ALONE = {
    "register_tool", "unregister_tool", "host_tool", "host_tool_specs", "stats", "health", "workers", "drain", "dump_stacks",
    "end_quarantine", "sessions", "rebind_session", "telemetry", "map", "stream_map", "as_executor",
}  # fmt: skip
_SESSIONS_HOST_ALONE = {"update", "rebind", "put_program", "get_program", "delete_program", "programs", "metadata", "ttl"}


@contextlib.contextmanager
def gateway_in_thread() -> Iterator[str]:
    """A gateway on a loop of its own; its address."""
    ready, told = threading.Event(), {}

    async def serve() -> None:
        stop = told["stop"] = asyncio.Event()
        told["loop"] = asyncio.get_running_loop()
        async with snakepit.AsyncPool(GatewayTools, size=2) as pool, Gateway({"main": pool}, GatewaySettings(address="127.0.0.1:0")) as it:
            told["address"] = it.address
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        yield told["address"]
    finally:
        told["loop"].call_soon_threadsafe(told["stop"].set)
        thread.join()


def _parameters(function: Any) -> list[tuple[str, Any, Any, Any]]:
    return [(item.name, item.kind, item.default, item.annotation) for item in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize(
    ("near", "far", "alone"),
    [
        (snakepit.Pool, RemotePool, _HOSTS_ALONE),
        (snakepit.AsyncPool, AsyncRemotePool, _HOSTS_ALONE),
        (snakepit.Session, RemoteSession, _SESSIONS_HOST_ALONE),
        (snakepit.AsyncSession, AsyncRemoteSession, _SESSIONS_HOST_ALONE),
    ],
)
def test_remote_pools_are_called_as_pools_are(near: Any, far: Any, alone: set[str]) -> None:
    """Each method that makes sense from afar is there, takes the same parameters, and is awaited where the pool's own is."""
    public = {name: member for name, member in inspect.getmembers(near) if not name.startswith("_")}
    assert {name for name, _ in inspect.getmembers(far) if not name.startswith("_")} == set(public) - alone
    for name in set(public) - alone:
        if inspect.isfunction(public[name]):
            assert _parameters(getattr(far, name)) == _parameters(public[name]), name
            assert inspect.iscoroutinefunction(getattr(far, name)) is inspect.iscoroutinefunction(public[name]), name


def test_the_sync_face_gives_what_a_pool_gives() -> None:
    """Values of all kinds arrive as they were, streams as chunks and as values, sessions keep state, callbacks are called."""
    with gateway_in_thread() as address, snakepit.connect(address) as pool:
        assert pool.execute("add", {"a": 2, "b": 3}) == 5
        assert pool.tools.add(1, b=2.5) == 3.5
        value = {"n": None, "i": 2**70, "f": 1.5, "b": b"\x00", "l": [1, [b"x"]], "t": "é"}
        assert pool.execute("echo", {"value": value}) == value
        assert pool.execute("size_of", binary_parameters={"data": b"123"}) == 3
        stream = pool.stream("count", {"to": 1000})
        chunks = list(stream)
        assert [chunk["number"] for chunk in chunks[:-1]] == list(range(1000))
        assert chunks[-1]["counted"] == 1000
        assert chunks[-1]["_metadata"]["synthetic_final"]
        assert list(pool.stream("mixed").values()) == [b"\x00\xff", "text", 5, [1, None]]
        assert stream.result == {"counted": 1000}
        assert [future.result() for future in [pool.submit("add", {"a": number}) for number in range(5)]] == [1, 2, 3, 4, 5]
        reports, facts = [], {}
        assert pool.execute("steps", {"count": 3}, on_progress=reports.append, on_metadata=facts.update) == 3
        assert reports[-1]["progress"] == 3
        assert facts["worker_id"].startswith("worker-")
        with pool.session("s", ttl=60, metadata={"deep": [1]}) as session:
            session.execute("remember", {"value": "kept"})
            assert session.tools.remember() == "kept"
            assert (session.info().metadata, session.info().ttl) == ({"deep": [1]}, 60)
        assert pool.session_info("s") is None
        with pytest.raises(errors.SessionEnded):
            session.execute("remember")
        assert {spec.name for spec in pool.tool_specs()} >= {"add", "count"}
    with pytest.raises(errors.PoolClosed):
        pool.execute("add", {"a": 1})


class Telling:
    """An argument that says in which thread it was asked."""

    def to_dict(self) -> dict[str, Any]:
        """Its name."""
        return {"thread": threading.current_thread().name}


class Leaving:
    """An argument that ends what it can."""

    def to_dict(self) -> dict[str, Any]:
        """Not given."""
        raise KeyboardInterrupt


def test_arguments_run_their_code_in_the_caller_s_thread() -> None:
    """The loop is that of all pools of the program."""
    here = {"thread": threading.current_thread().name}
    with gateway_in_thread() as address, snakepit.connect(address) as pool:
        assert pool.execute("echo", {"value": [Telling()]}) == [here]
        assert pool.submit("echo", {"value": Telling()}).result(20) == here
        stream = pool.stream("echo", {"value": Telling()})
        assert list(stream) != []
        assert stream.result == here
        for call in (pool.execute, pool.submit, pool.stream):
            with pytest.raises(KeyboardInterrupt):
                call("echo", {"value": Leaving()})
        assert pool.execute("add", {"a": 1}) == 2


def test_errors_are_those_of_a_pool() -> None:
    """Mistakes are told before anything is sent, by the same classes; a tool's error, a deadline and a gap between chunks too."""
    with gateway_in_thread() as address, snakepit.connect(address) as pool:
        for error, tool, args in [
            (errors.UnknownTool, "addd", {}),
            (errors.InvalidParameter, "add", {"a": "x"}),
            (errors.WrongCallStyle, "count", {"to": 1}),
            (errors.SerializationError, "echo", {"value": object()}),
        ]:
            with pytest.raises(error):
                pool.execute(tool, args)
        with pytest.raises(errors.ToolError, match="no such model") as failed:
            pool.execute("fail")
        assert (failed.value.type, failed.value.traceback) == ("LookupError", "")
        began = time.monotonic()
        with pytest.raises(errors.WorkerTimeout) as late:
            pool.execute("nap", {"seconds": 30}, timeout=0.3)
        assert (late.value.rung, isinstance(late.value, TimeoutError)) == ("pending", True)
        with pytest.raises(errors.ChunkTimeout):
            list(pool.stream("ticks", {"delay": 30}, chunk_timeout=0.3))
        assert time.monotonic() - began < 3
        future = pool.submit("nap", {"seconds": 30})
        assert future.cancel()


async def test_what_is_too_large_for_the_pool_is_told_with_both_sizes() -> None:
    """Beyond the pool's `max_payload`, not the gateway's own limit: a client has the same error as a caller beside the pool."""
    limit = 1024 * 1024
    async with served(pool_settings={"max_payload": limit}) as it, snakepit.connect_async(it.gateway.address) as pool:
        for value, size in (("x" * limit, limit), ([["x" * limit]], limit + 10)):
            with pytest.raises(errors.PayloadTooLarge, match=f"and max_payload is {limit}") as caught:
                await pool.execute("echo", {"value": value})
            facts = caught.value.details
            assert (facts["what"], facts["max_payload"], facts["tool"]) == ("arguments", limit, "echo")
            assert size <= facts["size"] <= size + 20
            assert isinstance(caught.value, ValueError)
        assert await pool.execute("echo", {"value": "x"}) == "x"


def test_leaving_a_stream_early_frees_the_worker() -> None:
    """After `break`, and after a stream was dropped, both workers serve."""
    with gateway_in_thread() as address, snakepit.connect(address) as pool:
        for _ in range(4):
            for _chunk in pool.stream("ticks"):
                break
        stream = pool.stream("ticks")
        next(iter(stream))
        del stream
        futures = [pool.submit("add", {"a": 1}, timeout=5) for _ in range(4)]
        assert [future.result() for future in futures] == [2] * 4


async def test_the_async_face() -> None:
    """The same with `await`: calls, streams, sessions, tasks that are cancelled."""
    async with served() as it, snakepit.connect_async(it.gateway.address) as pool:
        assert await pool.execute("add", {"a": 2}) == 3
        assert [chunk["number"] async for chunk in pool.stream("count", {"to": 3}) if "number" in chunk] == [0, 1, 2]
        async with pool.session() as session:
            await session.execute("remember", {"value": "kept"})
            assert await session.tools.remember() == "kept"
        task = pool.submit("nap", {"seconds": 30})
        await running(it.pool)
        task.cancel()
        assert await pool.execute("add", {"a": 1}, timeout=5) == 2


async def test_what_cannot_be_reached_is_told() -> None:
    """Nobody listens: GatewayUnavailable, a ConnectionError; a token in the clear to another machine is not sent at all."""
    with pytest.raises(ConnectionError) as told:
        async with snakepit.connect_async("127.0.0.1:1"):
            pass
    assert isinstance(told.value, errors.GatewayUnavailable)
    with pytest.raises(errors.ConfigurationError, match="unencrypted"):
        snakepit.connect("10.1.2.3:50051", token="x" * 20)


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SnakepitError)]
)
def test_every_error_survives_the_way(kind: type[errors.SnakepitError]) -> None:
    """Class, code, message, hint and facts of each error come out of its status as they went in; what is not told stays behind."""
    error = kind("what went wrong", hint="how to mend it", tool="add", limit="calls", allowed=3, stderr=["secret place"])
    code, message, details = statuses.rich_status(error)
    back = statuses.error_from(code, message, details)
    assert (type(back), back.code, back.message, back.hint) == (kind, kind.code, "what went wrong", "how to mend it")
    assert back.details == {"tool": "add", "limit": "calls", "allowed": 3}
    assert code is not grpc.StatusCode.OK
