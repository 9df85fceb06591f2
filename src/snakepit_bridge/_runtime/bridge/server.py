"""The server of the public service in a worker: an asyncio loop on a thread of its own, so that it answers while tools compute."""

import asyncio
import os
import sys
import threading
import traceback
from typing import Any, Dict, Optional

import grpc
import grpc.aio

from ...grpc import snakepit_pb2_grpc
from ...heartbeat import HeartbeatConfig
from ...wire.frames import HostCall
from ..executor import Executor
from ..grpc_server import OPTIONS, tasks_ended
from ..local_host import LocalHost
from .host import BridgeHost, HostUnreachable
from .service import BridgeService
from .telemetry import Telemetry

#: How long calls may go on once the server stops (seconds).
_GRACE_SECONDS = 2.0
#: A worker that cannot be saved otherwise ends with this code: its host starts another.
LAST_RESORT = 70


class BridgeServer:
    """Serves one executor.

    Args:
        host: the address of the Snakepit host; empty: nobody to dial.
        kill_after: seconds after its cancel in which a call should have ended; then the worker ends, and its host starts another.
    """

    def __init__(self, executor: Executor, worker_id: str, host: str, beats: HeartbeatConfig, kill_after: float) -> None:
        self._executor = executor
        self._worker_id = worker_id
        self._address = host
        self._beats = beats
        self._kill_after = kill_after
        self._loop = asyncio.new_event_loop()
        self._local: Optional[LocalHost] = None
        self._host: Optional[BridgeHost] = None
        self._main: Optional[asyncio.Task[None]] = None
        self._stopping = False
        self._bound = threading.Event()
        self._port = 0
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, name="snakepit-bridge", daemon=True)

    def start(self, port: int) -> int:
        """Reach the host, bind loopback, serve; the port.

        Args:
            port: to bind; 0: any free one.

        Raises:
            HostUnreachable: the host does not answer. OSError: the port is taken. InterruptedError: `stop` came first.
        """
        self._asked_port = port
        self._thread.start()
        self._bound.wait()
        if self._error is not None:
            raise self._error
        return self._port

    def stop(self) -> None:
        """Let calls end (bounded), close the server, end the thread. From any thread; also while the host is being looked for."""
        self._stopping = True
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:
            return  # it has ended
        if threading.current_thread() is not self._thread:
            self._thread.join(_GRACE_SECONDS + 1.0)

    def _cancel(self) -> None:
        if self._main is not None:
            self._main.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._main = self._loop.create_task(self._serve())
            if self._stopping:
                self._main.cancel()
            self._loop.run_until_complete(asyncio.wait([self._main]))
            if not self._main.cancelled():
                self._main.result()
            self._loop.run_until_complete(tasks_ended())
        except BaseException as error:
            self._error = self._error or error
            if self._bound.is_set():  # a worker whose server is dead would keep its host waiting for ever
                traceback.print_exc()
                os._exit(LAST_RESORT)
        finally:
            if not self._bound.is_set():
                self._error = self._error or InterruptedError("the worker was told to leave")
                self._bound.set()
            self._loop.close()

    async def _serve(self) -> None:
        local = self._local = LocalHost(self._executor, self._host_call, self._host_cancel, self._kill_after, self._stuck)
        try:
            if self._address:
                self._host = BridgeHost(self._address, self._worker_id, local.answer, local.session_of)
                await self._host.reach()
            await self._serve_calls(local)
        finally:
            if self._host is not None:
                await self._host.close()

    async def _serve_calls(self, local: LocalHost) -> None:
        local.open()
        server = grpc.aio.server(options=OPTIONS)
        service = BridgeService(local, self._host, Telemetry(self._worker_id))
        snakepit_pb2_grpc.add_BridgeServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call,unused-ignore]
        try:
            self._port = server.add_insecure_port("127.0.0.1:%d" % self._asked_port)
        except RuntimeError:  # grpc's word for "address already in use"
            self._port = 0
        if not self._port:
            raise OSError("port %d is taken; port 0 takes any free one" % self._asked_port)
        await server.start()
        self._bound.set()
        beating = self._begin_to_beat()
        try:
            await asyncio.get_event_loop().create_future()  # until it is cancelled
        finally:
            if beating is not None:
                beating.cancel()
            await server.stop(_GRACE_SECONDS if local.running else 0)
            local.close("the worker was told to leave")

    def _begin_to_beat(self) -> "Optional[asyncio.Task[None]]":
        beats, host = self._beats, self._host
        if host is None or not beats.enabled:
            return None

        async def beat() -> None:
            await asyncio.sleep(beats.initial_delay_ms / 1e3)
            await host.beats(beats, self._lost)

        return asyncio.get_event_loop().create_task(beat())

    def _lost(self) -> None:
        text = "the host has not answered %d heartbeats, each within %g s" % (
            self._beats.max_missed_heartbeats,
            self._beats.timeout_ms / 1e3,
        )
        print("snakepit: " + text, file=sys.stderr, flush=True)
        if self._beats.dependent:
            os._exit(LAST_RESORT)

    def _stuck(self, call_id: int) -> None:
        text = "call %d was cancelled %g s ago and cannot be interrupted: this worker ends, so that another can serve"
        print("snakepit: " + text % (call_id, self._kill_after), file=sys.stderr, flush=True)
        os._exit(LAST_RESORT)

    def _host_call(self, call: HostCall) -> None:
        if self._host is not None:
            self._host.call(call)
        elif self._local is not None:
            failure: Dict[str, Any] = {
                "code": "unknown_tool",
                "type": "",
                "message": "there is no host to dial",
                "traceback": "",
                "chunk": None,
            }
            self._local.answer(call, None, failure)

    def _host_cancel(self, call_id: int) -> None:
        if self._host is not None:
            self._host.cancel(call_id)


__all__ = ["LAST_RESORT", "BridgeServer", "HostUnreachable"]
