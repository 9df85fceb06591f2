"""Our worker answering a bare client of `snakepit.bridge.BridgeService`, as under a Snakepit host, beside a bare grpc.aio server."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage

from benchmarks import faces, plain_grpc
from benchmarks.contest import ROOT, Contestant, Play, in_turn, on_loop
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.grpc import snakepit_pb2_grpc

_VALUE = {"a": 1, "b": "two", "c": [3.0, None]}
_STRING_VALUE = "type.googleapis.com/google.protobuf.StringValue"


def run(plan: Plan) -> Iterator[Row]:
    with Contestant(worker_chunks) as ours, Contestant(faces.plain_chunks) as theirs:
        bridge, plain = in_turn(plan.rounds, ours, theirs, args=(plan.size(30_000, 10_000),))
    yield Row("bridge worker, stream", "chunks/s", bridge, plain, Bar(0.7, at_least=True, of_ratio=True))
    with Contestant(worker_latency) as ours, Contestant(faces.plain_latency) as theirs:
        bridge, plain = in_turn(plan.rounds * plan.size(3, 1), ours, theirs, args=(plan.size(500, 200),))
    yield Row("bridge worker, call p50", "ms", bridge, plain, Bar(1.8, of_ratio=True))
    with Contestant(worker_rate) as ours, Contestant(baseline_rate) as theirs:
        bridge, plain = in_turn(plan.rounds, ours, theirs, args=(plan.size(3000, 600),))
    yield Row("bridge worker, 16 calls in flight", "calls/s", bridge, plain, Bar(0.5, at_least=True, of_ratio=True))


@contextlib.contextmanager
def worker_chunks() -> Iterator[Play]:
    with _worker() as (runner, stub):
        yield lambda count: runner.run(chunk_rate_of(stub, count))


@contextlib.contextmanager
def worker_latency() -> Iterator[Play]:
    with _worker() as (runner, stub):
        yield lambda calls: runner.run(faces.median_of(calls, lambda: stub.ExecuteTool(echo_request())))


@contextlib.contextmanager
def worker_rate() -> Iterator[Play]:
    with _worker() as (runner, stub):
        yield lambda calls: runner.run(faces.rate_of(16, calls, lambda: stub.ExecuteTool(echo_request())))


@contextlib.contextmanager
def baseline_rate() -> Iterator[Play]:
    with plain_grpc.plain_server() as address, on_loop(plain_grpc.PlainClient(address)) as (runner, client):
        yield lambda calls: runner.run(faces.rate_of(16, calls, lambda: client.echo({"value": _VALUE})))


async def chunk_rate_of(stub: Any, count: int) -> float:
    began, seen = time.perf_counter(), 0
    async for _ in stub.ExecuteStreamingTool(_request("count_up", count=count)):
        seen += 1
    if seen != count:
        raise RuntimeError(f"{seen} chunks came of {count}")
    return seen / (time.perf_counter() - began)


def echo_request() -> Any:
    return _request("echo", value=_VALUE)


def _request(tool: str, **args: Any) -> Any:
    parameters = {name: AnyMessage(type_url=_STRING_VALUE, value=json.dumps(value).encode()) for name, value in args.items()}
    return pb.ExecuteToolRequest(session_id="session_1_2", tool_name=tool, parameters=parameters)


class Client:
    """A bare client; lives on one event loop."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def __aenter__(self) -> Any:
        self._channel = grpc.aio.insecure_channel(self._address)
        await self._channel.channel_ready()
        return snakepit_pb2_grpc.BridgeServiceStub(self._channel)  # type: ignore[no-untyped-call]

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()


@contextlib.contextmanager
def _worker() -> Iterator[Any]:
    command = [sys.executable, "-m", "snakepit_bridge.grpc_server", "--adapter", TOOLS]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            word, _, address = process.stdout.readline().strip().partition(" ")
            if word != "ready":
                raise RuntimeError("the worker did not start; its last words are above")
            with on_loop(Client(address)) as found:
                yield found
        finally:
            process.terminate()
