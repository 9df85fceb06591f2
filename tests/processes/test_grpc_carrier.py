"""The gRPC stream to a worker ends when it is told to, also while it begins."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

from snakepit._channel.grpc_carrier import GrpcCarrier


class _Ends:
    """Three messages wait to be written; what happens at the end is kept."""

    def __init__(self) -> None:
        self.waiting = [b"one", b"two", b"three"]
        self.reasons: list[str] = []

    def next_message(self) -> bytes | None:
        return self.waiting.pop() if self.waiting else None

    def receive(self, message: bytes) -> bool:
        return bool(message)

    def closed(self, reason: str) -> None:
        self.reasons.append(reason)


class _Echo(grpc.GenericRpcHandler):
    """A worker's side of the stream: it sends back what it gets."""

    async def _answers(self, requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    def service(self, handler_call_details: object) -> grpc.RpcMethodHandler:
        return grpc.stream_stream_rpc_method_handler(self._answers)


@pytest.fixture
async def endpoint(tmp_path: pathlib.Path) -> AsyncIterator[str]:
    """A real server on a unix socket."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Echo(),))
    address = f"unix:{tmp_path}/server"
    server.add_insecure_port(address)
    await server.start()
    yield address
    await server.stop(None)


@pytest.mark.parametrize("turns", range(10))
async def test_closed_while_it_begins(endpoint: str, turns: int) -> None:
    """However far the stream has come, its tasks end, and its end is told once.

    A stream that is cancelled before it has begun leaves a write of grpc.aio waiting for its beginning for good.
    """
    carrier = await GrpcCarrier.attach(endpoint, "secret", "msgpack", 5)
    ends = _Ends()
    before = asyncio.all_tasks()
    carrier.start(ends, asyncio.create_task, "worker-1")
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.wait_for(carrier.close(), 5)
    assert ends.reasons == ["the gRPC stream was closed"]
    assert not [task for task in asyncio.all_tasks() - before if task.get_name().startswith("worker-1")]
