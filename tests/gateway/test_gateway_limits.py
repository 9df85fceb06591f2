"""The gateway's limits: each refuses by its name, and costs nobody else anything. And what clients and operators are told."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import subprocess
import sys
import threading
import time
from typing import Any

import grpc
import grpc.aio
import pytest

import snakepit
from gateway_helpers import refusal, request, running, served
from gateway_tls import TOKENS, bearer
from snakepit import errors
from snakepit.gateway import Limits, Token
from snakepit.gateway.refusals import Refusals
from snakepit.gateway.telling import is_inside, outside
from snakepit.remote import statuses
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.grpc import snakepit_pb2_grpc

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]

_TOKENS = tuple(Token.of(name, token) for name, token in TOKENS.items())
_FULL = grpc.StatusCode.RESOURCE_EXHAUSTED


async def _refused_by(limit: str, call: Any) -> None:
    told = await refusal(call)
    assert (told.code, told.reason, told.facts["limit"]) == (_FULL, "limit_exceeded", limit)
    assert f"limits.{limit}" in told.message
    assert told.facts["hint"]


async def test_open_calls_and_streams_are_limited_per_client() -> None:
    """One more call, or stream, than a client may have is refused by the limit's name; another client's is not."""
    async with served(size=3, tokens=_TOKENS, limits=Limits(calls=2, streams=1)) as it:
        first = it.stub.ExecuteStreamingTool(request("ticks"), metadata=bearer("shop"))
        await first.read()
        await _refused_by("streams", it.stub.ExecuteStreamingTool(request("ticks"), metadata=bearer("shop")))
        second = it.stub.ExecuteTool(request("nap", seconds=30), metadata=bearer("shop"))
        await running(it.pool, 2)
        await _refused_by("calls", it.stub.ExecuteTool(request("add", a=1), metadata=bearer("shop")))
        assert (await it.stub.ExecuteTool(request("add", a=1), metadata=bearer("app"))).result.value == b"2"
        first.cancel()
        second.cancel()
        await running(it.pool, 0)
        assert (await it.stub.ExecuteTool(request("add", a=1), metadata=bearer("shop"))).result.value == b"2"


async def test_requests_that_come_while_the_gateway_is_busy_are_answered() -> None:
    """Thousands that wait for a look at them are all served or refused by name; none ends as if its client had cancelled it."""
    async with served() as it:
        ready, busy, sent = threading.Event(), threading.Event(), threading.Event()

        def client() -> collections.Counter[grpc.StatusCode]:
            with contextlib.ExitStack() as stack:
                options = [("grpc.use_local_subchannel_pool", 1)]
                channels = [stack.enter_context(grpc.insecure_channel(it.gateway.address, options=options)) for _ in range(4)]
                stubs = [snakepit_pb2_grpc.BridgeServiceStub(channel) for channel in channels]  # type: ignore[no-untyped-call]
                for stub in stubs:
                    stub.Ping(pb.PingRequest(message="first"), timeout=10)
                ready.set()
                assert busy.wait(10)
                calls = [stub.Ping.future(pb.PingRequest(message="x"), timeout=30) for stub in stubs for _ in range(1_000)]
                time.sleep(0.5)  # they are on their way
                sent.set()
                return collections.Counter(call.code() for call in calls)

        answers = asyncio.create_task(asyncio.to_thread(client))
        while not ready.is_set():  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(0.01)
        busy.set()
        assert sent.wait(20)  # noqa: ASYNC251,RUF100 - the loop is held up on purpose
        told = await answers
        assert set(told) <= {grpc.StatusCode.OK, _FULL}
        assert told[grpc.StatusCode.OK] >= 1_000


async def test_json_that_takes_long_to_decode_is_refused() -> None:
    """Too much JSON in a request, in one parameter or all together, is refused by `json_bytes` before it is decoded; as bytes it is taken."""
    async with served(limits=Limits(json_bytes=10_000)) as it, snakepit.connect_async(it.gateway.address) as pool:
        await _refused_by("json_bytes", it.stub.ExecuteTool(request("size_of", data="x" * 20_000)))
        await _refused_by("json_bytes", it.stub.ExecuteTool(request("size_of", data="x" * 6_000, other="y" * 6_000)))
        await _refused_by("json_bytes", it.stub.ExecuteStreamingTool(request("size_of", data="x" * 20_000)))
        told = await it.stub.ExecuteTool(request("size_of", binary={"data": b"x" * 20_000}))
        assert told.result.value == b"20000"
        assert await pool.execute("size_of", {"data": b"x" * 20_000}) == 20_000  # MessagePack
        with pytest.raises(errors.LimitExceeded, match="json_bytes"):
            await pool.execute("echo", {"value": [[]] * 20_000})


async def test_all_calls_are_limited_together() -> None:
    """With as many open calls as all clients may have, the next one's is refused by `all_calls`, until one ends."""
    async with served(tokens=_TOKENS, limits=Limits(all_calls=1)) as it:
        call = it.stub.ExecuteTool(request("nap", seconds=30), metadata=bearer("shop"))
        await running(it.pool)
        await _refused_by("all_calls", it.stub.ExecuteTool(request("add", a=1), metadata=bearer("app")))
        call.cancel()
        await running(it.pool, 0)
        assert (await it.stub.ExecuteTool(request("add", a=1), metadata=bearer("app"))).result.value == b"2"


async def test_sessions_are_limited_and_make_room_again() -> None:
    """A session too many is refused, opened by a call or by itself; ended ones make room, and so do those whose lifetime is over."""
    async with served(tokens=_TOKENS, limits=Limits(sessions=1)) as it:
        ttl = (*bearer("shop"), ("x-snakepit-session-ttl", "0.2"))
        await it.stub.InitializeSession(pb.InitializeSessionRequest(session_id="a"), metadata=ttl)
        await _refused_by("sessions", it.stub.InitializeSession(pb.InitializeSessionRequest(session_id="b"), metadata=bearer("shop")))
        await _refused_by("sessions", it.stub.ExecuteTool(request("remember", "b"), metadata=bearer("shop")))
        await it.stub.ExecuteTool(request("remember", "b"), metadata=bearer("app"))
        async with asyncio.timeout(20):
            while True:  # until the first has expired, and the gateway has looked
                try:
                    await it.stub.InitializeSession(pb.InitializeSessionRequest(session_id="b"), metadata=bearer("shop"))
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.1)
        await it.stub.CleanupSession(pb.CleanupSessionRequest(session_id="b"), metadata=bearer("shop"))
        await it.stub.InitializeSession(pb.InitializeSessionRequest(session_id="c"), metadata=bearer("shop"))


async def test_messages_are_limited_in_both_directions() -> None:
    """A result, a chunk and a request that are too large are RESOURCE_EXHAUSTED with the limit; the connection serves on."""
    async with served(limits=Limits(message_bytes=10_000)) as it, snakepit.connect_async(it.gateway.address) as pool:
        await _refused_by("message_bytes", it.stub.ExecuteTool(request("repeat", size=20_000)))
        await _refused_by("message_bytes", it.stub.ExecuteStreamingTool(request("count", to=3, size=20_000)))
        told = await refusal(it.stub.ExecuteTool(request("size_of", binary={"data": bytes(20_000)})))
        assert (told.code, "vs. 10000" in told.message) == (_FULL, True)
        for tool, args in (("repeat", {"size": 20_000}), ("echo", {"value": "x" * 20_000})):
            with pytest.raises(errors.LimitExceeded) as refused:
                await pool.execute(tool, args)
            assert refused.value.details["limit"] == "message_bytes"
            assert refused.value.hint
        assert await pool.execute("add", {"a": 1}) == 2


async def test_times_are_limited() -> None:
    """A call that outlasts `call_seconds`, and a request that does not come within `request_seconds`, are told which limit it was."""
    async with served(limits=Limits(call_seconds=0.3, request_seconds=0.3)) as it:
        told = await refusal(it.stub.ExecuteTool(request("nap", seconds=30), timeout=20))
        assert (told.code, told.facts["limit"]) == (grpc.StatusCode.DEADLINE_EXCEEDED, "call_seconds")
        silent = it.channel.stream_unary("/snakepit.bridge.BridgeService/ExecuteTool")(timeout=20)
        told = await refusal_of_unary(silent)
        assert (told.code, told.reason, told.facts["limit"]) == (grpc.StatusCode.DEADLINE_EXCEEDED, "request_timeout", "request_seconds")
        own = await refusal(it.stub.ExecuteTool(request("nap", seconds=30), timeout=0.1))
        assert (own.code, "limit" in own.facts) == (grpc.StatusCode.DEADLINE_EXCEEDED, False)


async def refusal_of_unary(call: Any) -> Any:
    async def waits() -> Any:
        return await call

    return await refusal(waits())


_SECRETS = ("/srv/inside/adapter.py", "redis://:pass@db", "stderr line", "Traceback")
_INSIDE = [
    errors.PoolBroken, errors.PoolStartFailed, errors.PoolForked, errors.AdapterError, errors.ProtocolUnavailable,
    errors.PlatformUnsupported, errors.ConfigurationError, errors.InvalidToolSpec, errors.CircuitOpen, errors.SessionStoreError,
    errors.HangTimeout, errors.WorkerCrashed, errors.ChannelError,
]  # fmt: skip


@pytest.mark.parametrize("kind", _INSIDE)
def test_the_inside_stays_inside(kind: type[errors.SnakepitError]) -> None:
    """What may hold paths, addresses or what a worker printed is told as a short message of its class, its code and plain facts."""
    text = " ".join(_SECRETS)
    error = kind(text, hint=text, tool="add", worker_id="worker-1", path=text, where=text, stderr=[text], cause=text, value=text, got=text)
    code, message, details = statuses.rich_status(outside(error))
    back = statuses.error_from(code, message, details)
    assert (type(back), back.code, back.details) == (kind, kind.code, {"tool": "add", "worker_id": "worker-1"})
    assert "the gateway's log says why" in message
    assert not any(secret.encode() in details for secret in _SECRETS)


#: Their messages say what is wrong with the call, its session or its tool, or are the gateway's own.
_OF_THE_CALL = [
    errors.CallError, errors.PoolClosed, errors.NestingTooDeep, errors.PoolDeadlock, errors.WorkerBusy, errors.QueueFull,
    errors.QueueTimeout, errors.SessionLost, errors.SessionEnded, errors.SessionQuotaExceeded, errors.ProgramQuotaExceeded,
    errors.WorkerTimeout, errors.GatewayError, errors.CallCancelled, errors.ToolError, errors.PayloadTooLarge,
    errors.SerializationError,
]  # fmt: skip


def test_of_each_error_it_is_decided_what_clients_see() -> None:
    """Every class without subclasses is of the inside or of the call: a new one has to be thought about."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SnakepitError)]
    for kind in kinds:
        if not kind.__subclasses__():
            assert issubclass(kind, tuple(_INSIDE)) or issubclass(kind, tuple(_OF_THE_CALL)), kind
            assert is_inside(kind("x")) is issubclass(kind, tuple(_INSIDE)), kind
    assert is_inside(ValueError("x"))
    assert outside(ValueError("/srv/inside")).message == "this request failed; the gateway's log says why"


async def test_a_lost_session_is_named_as_the_client_names_it() -> None:
    """SessionLost has the client's own id in message, hint and facts; and says of the worker's end how it ended, not what it printed."""
    async with served(pool_settings={"affinity": "strict_queue"}, tokens=_TOKENS) as it:
        await it.stub.ExecuteTool(request("remember", "s", value="x"), metadata=bearer("shop"))
        await refusal(it.stub.ExecuteTool(request("die", "s", text="words on stderr"), metadata=bearer("shop")))
        told = await refusal(it.stub.ExecuteTool(request("remember", "s"), metadata=bearer("shop")))
        assert (told.code, told.reason, told.facts["session_id"]) == (grpc.StatusCode.FAILED_PRECONDITION, "session_lost", "s")
        assert "session 's' was lost" in told.message
        assert "rebind_session('s')" in told.facts["hint"]
        assert "shop:" not in str(told)
        assert "words on stderr" not in str(told)


async def test_a_workers_death_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The client learns that the worker died and how, not what it printed; the log has it all."""
    async with served() as it:
        told = await refusal(it.stub.ExecuteTool(request("die", text="words on stderr")))
        assert (told.code, told.reason) == (grpc.StatusCode.INTERNAL, "worker_crashed")
        assert told.facts["exit_code"] == "3"
        assert "words on stderr" not in str(told)
    assert "words on stderr" in caplog.text


def test_refusals_are_logged_at_most_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    """A flood of refusals is one line a second, which counts those that were left out; no text forges a line."""
    now = [100.0]
    refusals = Refusals(lambda: now[0])
    caplog.set_level(logging.WARNING)
    for number in range(1000):
        refusals.note("token shop", errors.AccessDenied(f"no {number}\nforged"))
    now[0] += 1
    refusals.note("token app", errors.LimitExceeded("too many"))
    assert [record.getMessage() for record in caplog.records] == [
        "refused token shop: no 0?forged",
        "refused token app: too many (999 more were left out)",
    ]


_FORKS = """
import asyncio, multiprocessing, os, sys
sys.path.insert(0, sys.argv[1])
import snakepit
from snakepit.gateway import Gateway, GatewaySettings

def child():
    os._exit(0)

def refused():
    try:
        snakepit.connect("127.0.0.1:1")
    except snakepit.PoolForked:
        os._exit(7)

async def main():
    from gateway_tools import GatewayTools
    fork = multiprocessing.get_context("fork")
    async with snakepit.AsyncPool(GatewayTools, size=1, protocol="json") as pool:
        async with Gateway({"main": pool}, GatewaySettings(address="127.0.0.1:0")) as gateway:
            async with snakepit.connect_async(gateway.address) as remote:
                for target, code in [(child, 0)] * 30 + [(refused, 7)]:
                    process = fork.Process(target=target)
                    process.start()
                    assert await remote.execute("add", {"a": 1}) == 2
                    await asyncio.to_thread(process.join)
                    assert process.exitcode == code, process.exitcode
    print("well")

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_forked_children_do_not_crash() -> None:
    """Children that a program with a gateway and a connection to it forks end as they should; a connection made in one is refused."""
    command = [sys.executable, "-W", "ignore", "-c", _FORKS, "tests/gateway"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (ran.stdout, ran.returncode) == ("well\n", 0), ran.stderr
    assert "fork" not in ran.stderr
