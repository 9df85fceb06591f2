"""The gRPC carrier in the worker: one server, one method, one stream for the worker's whole life.

`Attach` is a bidirectional stream of messages as raw bytes; generic handlers, no stubs. The server lives in an asyncio loop
on a thread of its own, so the channel answers while a tool computes. Two rules keep grpc.aio's streams alive: one task
reads, one writes, and neither is ever awaited under a timeout or cancelled while the stream is wanted.
"""

import asyncio
import hmac
import importlib
import os
import sys
import threading
import traceback
from typing import Any, NoReturn, Optional

from ..wire.codecs import available_codecs, codec_named
from .executor import Executor
from .handover import Handover
from .lifeline import end_everything
from .link import Link

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
import grpc.aio

_MAX_PORT = 65535

METHOD = "/snakepit.channel.Channel/Attach"
SECRET_KEY = "x-snakepit-secret"
CODEC_KEY = "x-snakepit-codec"

OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.so_reuseport", 0),
    # The host pings an idle channel; without these the server takes that for abuse and hangs up.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 0),
]


def _refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
    raise RuntimeError("gRPC does not work in a forked child of a worker: use multiprocessing's spawn start method, or subprocess")


def _after_fork_in_child() -> None:
    """A child that a tool forked has none of gRPC's threads: what it opened would hang, or stop its parent's stream.

    gRPC's own support for forks is off (see `main`).
    """
    cygrpc = importlib.import_module("grpc._cython.cygrpc")
    for name in ("Channel", "AioChannel", "Server", "AioServer"):
        setattr(cygrpc, name, _refuse)


class GrpcServer(grpc.GenericRpcHandler):
    """Serves one executor on one address.

    Args:
        secret: what a host must present in the call's metadata.
    """

    def __init__(self, executor: Executor, secret: str) -> None:
        self._executor = executor
        self._secret = secret.encode()
        self._taken = False
        self._loop = asyncio.new_event_loop()
        self._stop: Optional[asyncio.Event] = None  # made in the loop's thread: before 3.10 it belongs to one loop
        self._bound = threading.Event()
        self._port = 0
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, name="snakepit-grpc", daemon=True)

    def start(self, listen: "Listen") -> str:
        """Bind the address and serve; the endpoint, with the port that was taken.

        Raises:
            OSError: no port of the range is free, or the socket cannot be made.
        """
        self._listen = listen
        os.register_at_fork(after_in_child=_after_fork_in_child)  # not when this is imported: a template forks workers that serve
        self._thread.start()
        self._bound.wait()
        if self._error is not None:
            raise self._error
        return listen.endpoint(self._port)

    def stop(self) -> None:
        """Write what is left, close the server, end the thread."""
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(3.0)

    def service(self, handler_call_details: Any) -> Any:
        """gRPC asks who serves a method."""
        if handler_call_details.method == METHOD:
            return grpc.stream_stream_rpc_method_handler(self._attach)
        return None

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(tasks_ended())
        except BaseException:  # a worker whose channel is dead would keep its callers waiting for ever
            try:
                traceback.print_exc()
            finally:
                end_everything()
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        stop = self._stop = asyncio.Event()
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((self,))
        try:
            self._port = self._listen.bind(server)
            await server.start()
        except BaseException as error:
            self._error = error
            return
        finally:
            self._bound.set()
        await stop.wait()
        await server.stop(0.5)

    async def _attach(self, _requests: Any, context: Any) -> None:
        metadata = dict(context.invocation_metadata() or ())
        presented = str(metadata.get(SECRET_KEY, "")).encode()
        if not hmac.compare_digest(presented, self._secret):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "this worker serves only the host that started it")
        if self._taken:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "this worker has its host already")
        codec = str(metadata.get(CODEC_KEY, "json"))
        if codec not in available_codecs():
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no codec %r here: use one of %s" % (codec, available_codecs()))
        assert self._stop is not None
        self._taken = True
        await _Attachment(self._executor, context, codec, self._stop).run()


async def tasks_ended() -> None:
    """When the server has stopped, grpc's own tasks are a step behind; a loop closed over them would complain on stderr."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=0.5)
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=0.5)


class _Attachment:
    """The one stream: a task that reads, and this one, which writes."""

    sure = False  # gRPC ends a write when the message has its place in a buffer

    def __init__(self, executor: Executor, context: Any, codec: str, stop: asyncio.Event) -> None:
        self._executor = executor
        self._context = context
        self._loop = asyncio.get_event_loop()
        self._thread = threading.get_ident()
        self._ready = asyncio.Event()
        self._stop = stop
        self._ended = False
        self._fault = ""
        self._handover = Handover()
        self._link = Link(codec_named(codec), self)

    async def run(self) -> None:
        """Carry messages until the host hangs up or this worker stops."""
        self._executor.attach(self._link)
        reader = self._loop.create_task(self._read())
        stopper = self._loop.create_task(self._wait_for_stop())
        try:
            await self._write()
        finally:
            self._ended = True
            self._executor.closed("the channel was closed")
            stopper.cancel()
            reader.cancel()  # the RPC ends here anyway
        if self._fault:
            await self._context.abort(grpc.StatusCode.INVALID_ARGUMENT, self._fault)

    def wake(self) -> None:
        if threading.get_ident() == self._thread:
            self._ready.set()
        else:
            self._loop.call_soon_threadsafe(self._ready.set)

    def wake_for_chunk(self) -> None:
        self._handover.lend(self.wake)

    def wake_for_flood(self) -> None:
        self.wake()

    async def _write(self) -> None:
        while True:
            message = self._link.next_message()
            self._handover.taken()
            if message is not None:
                await self._context.write(message)
            elif self._ended:
                return
            else:
                await self._ready.wait()
                self._ready.clear()

    async def _read(self) -> None:
        try:
            while True:
                message = await self._context.read()
                if message is grpc.aio.EOF:
                    break
                self._fault = self._executor.receive(message) or ""
                if self._fault:
                    print("snakepit: what the host sent is not the protocol: %s" % self._fault, file=sys.stderr)
                    break
        except grpc.aio.UsageError:
            pass  # the RPC has ended before this task could be cancelled
        finally:
            self._ended = True
            self._ready.set()

    async def _wait_for_stop(self) -> None:
        await self._stop.wait()
        self._ended = True
        self._ready.set()


class Listen:
    """Where to listen: `unix:/path`, `127.0.0.1:0`, or `127.0.0.1:50051-50151`, whose first free port is taken.

    Raises:
        ValueError: it is none of these.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.host, _, ports = address.rpartition(":")
        self.unix = address.startswith("unix:")
        if not self.unix:
            first, _, last = ports.partition("-")
            self.first = int(first) if first.isdecimal() else -1
            self.last = int(last or first) if (last or first).isdecimal() else -1
            if not (self.host and 0 <= self.first <= self.last <= _MAX_PORT):
                raise ValueError("cannot listen on %r: allowed are unix:/path, HOST:PORT and HOST:FIRST-LAST" % (address,))

    def bind(self, server: Any) -> int:
        """Bind `server`; the port, or 0 for a unix socket."""
        if self.unix:
            server.add_insecure_port(self.address)
            return 0
        for port in range(self.first, self.last + 1):
            try:
                taken = server.add_insecure_port("%s:%d" % (self.host, port))
            except RuntimeError:  # grpc's word for "address already in use"
                taken = 0
            if taken:
                return int(taken)
        raise OSError("every port of %s is taken" % self.address.rpartition(":")[2])

    def endpoint(self, port: int) -> str:
        """The address a host dials."""
        return self.address if self.unix else "%s:%d" % (self.host, port)
