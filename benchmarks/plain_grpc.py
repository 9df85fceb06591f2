"""The baseline: gRPC used directly, grpc.aio on both sides, one RPC per call and one message per chunk.

Server and client are as small as they can be: generic handlers on bytes, MessagePack by msgspec, a unix socket. The server
runs in a process of its own: `python -m benchmarks.plain_grpc unix:/path`.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Self

import grpc
import grpc.aio
import msgspec

from .contest import ROOT
from .tools import small_dicts

_ECHO, _COUNT = "/plain/echo", "/plain/count"

encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


class _Service(grpc.GenericRpcHandler):
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if handler_call_details.method == _ECHO:
            return grpc.unary_unary_rpc_method_handler(self._echo)
        return grpc.unary_stream_rpc_method_handler(self._count)

    async def _echo(self, request: bytes, _context: Any) -> bytes:
        return encode(decode(request))

    async def _count(self, request: bytes, _context: Any) -> AsyncIterator[bytes]:
        for item in small_dicts(decode(request)):
            yield encode(item)


class PlainClient:
    """What a program does that calls such a server; lives on one event loop."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def __aenter__(self) -> Self:
        self._channel = grpc.aio.insecure_channel(self._address)  # It belongs to the loop on which it is made.
        self._echo: Any = self._channel.unary_unary(_ECHO)
        self._count: Any = self._channel.unary_stream(_COUNT)
        await self._channel.channel_ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def echo(self, value: Any) -> Any:
        return decode(await self._echo(encode(value)))

    async def count_up(self, count: int) -> AsyncIterator[Any]:
        async for message in self._count(encode(count)):
            yield decode(message)


@contextlib.contextmanager
def plain_server(module: str = "benchmarks.plain_grpc") -> Iterator[str]:
    """The address of a running server, which `module` is when it is run as a program."""
    with tempfile.TemporaryDirectory(prefix="plain-") as folder:
        address = f"unix:{folder}/s"
        command = [sys.executable, "-m", module, address]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            try:
                if process.stdout.readline() != b"ready\n":
                    raise RuntimeError("the baseline's server did not start; its last words are above")
                yield address
            finally:
                process.terminate()


async def serve(address: str, service: grpc.GenericRpcHandler, options: Sequence[tuple[str, Any]] = ()) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(address)
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], _Service()))
