"""What happens below a gateway, and how it ends: each client has its status, others go on, and nothing stays open for long."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import time
from typing import Any

import grpc
import pytest

from abuse_helpers import abused, until
from gateway_helpers import refusal, request, running, served
from raw_http2 import PREFACE, Raw, settings
from snakepit.cli.hosts import look
from test_serve_command import _COMMAND, _TOOLS

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]


async def test_a_worker_is_killed_while_fifty_streams_run_and_wait() -> None:
    """Only the streams that it ran are told so, INTERNAL; all others end with every chunk."""
    async with served(size=2) as it:
        mine = [it.stub.ExecuteStreamingTool(request("ticks")) for _ in range(2)]
        for stream in mine:
            assert (await anext(aiter(stream))).data == b"tick"
        others = [it.stub.ExecuteStreamingTool(request("count", to=20)) for _ in range(48)]
        for worker in it.pool.workers():
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
        for stream in mine:
            told = await refusal(stream)
            assert (told.code, told.reason) == (grpc.StatusCode.INTERNAL, "worker_crashed")

        async def read(stream: Any) -> int:
            return len([chunk async for chunk in stream])

        async with asyncio.timeout(30):
            assert await asyncio.gather(*map(read, others)) == [21] * 48


async def test_a_tool_that_ends_its_process_costs_its_own_call() -> None:
    """Its client is told the exit code; calls that waited behind it are served by the next worker."""
    async with served() as it:
        leaving = it.stub.ExecuteTool(request("leave", code=7))
        behind = [it.stub.ExecuteTool(request("add", a=number)) for number in range(10)]
        told = await refusal(leaving)
        assert (told.code, told.reason, told.facts["exit_code"]) == (grpc.StatusCode.INTERNAL, "worker_crashed", "7")
        assert [float((await call).result.value) for call in behind] == list(range(1, 11))


async def test_a_pool_is_closed_by_its_owner() -> None:
    """Calls that run and those that come are UNAVAILABLE or CANCELLED, and the gateway still answers and closes in its bound."""
    async with served() as it:
        call = it.stub.ExecuteTool(request("nap", seconds=30))
        await running(it.pool)
        await it.pool.close()
        assert (await refusal(call)).code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        told = await refusal(it.stub.ExecuteTool(request("add", a=1)))
        assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "pool_closed")
        began = time.monotonic()
        await asyncio.gather(it.gateway.close(), it.gateway.close())
        await it.gateway.close()
        assert time.monotonic() - began < 2


def test_a_second_sigterm_ends_it_at_once() -> None:
    """While it drains, with a tool that has not ended."""
    with abused() as gateway, gateway.client() as stub:
        call = stub.ExecuteTool.future(request("nap", seconds=30))
        until(lambda: gateway.stats()["running"] == 1)
        gateway.process.terminate()
        until(lambda: look(gateway.process.pid).pools[0]["health"]["status"] != "ok", 5)
        began = time.monotonic()
        gateway.process.terminate()
        assert gateway.process.wait(10) == 0
        assert time.monotonic() - began < 2
        with pytest.raises(grpc.RpcError):
            call.result(10)


def test_sigterm_while_it_starts() -> None:
    """At whichever moment: it ends within its bound, and leaves nothing."""
    for delay in (0.05, 0.3, 0.5, 0.7, 0.9):
        with subprocess.Popen([*_COMMAND, "serve", "--address", "127.0.0.1:0", "--adapter", _TOOLS], stdout=subprocess.DEVNULL) as process:
            time.sleep(delay)  # the moment is what is tried
            process.terminate()
            assert process.wait(10) in {0, -signal.SIGTERM}


def test_too_many_connections_for_its_descriptors() -> None:
    """With no descriptor left it goes on serving those that it has, does not spin, and takes new ones when others have gone."""
    with abused() as gateway, gateway.client() as stub:
        stub.ExecuteTool(request("add", a=1))
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (150, 150))
        idle = [Raw(gateway.address, PREFACE + settings()) for _ in range(300)]
        time.sleep(0.5)
        began, spent = time.monotonic(), sum(gateway.cpu())
        while time.monotonic() < began + 2:
            assert stub.ExecuteTool(request("add", a=2), timeout=5).result.value == b"3"
            time.sleep(0.05)
        assert sum(gateway.cpu()) - spent < 1.0
        for client in idle:
            client.reset()
        gateway.is_as_before()
