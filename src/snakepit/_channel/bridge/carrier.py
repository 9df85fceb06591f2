"""The channel to a foreign server that speaks `snakepit.bridge.BridgeService`: to everything above it is a worker like any other.

What a worker of ours does with frames stands here in the worker's place: it takes the host's frames, asks the server by RPC, and answers in
frames. What the old protocol cannot do shows in `negotiate.BRIDGE_REASONS`. Lives on the pool's loop; one per worker.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import grpc.aio

from snakepit._channel.carrier import Ends
from snakepit.telemetry.logs import library_logger
from snakepit_bridge.bridge import values
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.grpc import snakepit_pb2_grpc
from snakepit_bridge.wire import frames
from snakepit_bridge.wire.codecs import codec_named
from snakepit_bridge.wire.event_filter import EventFilter

from .calls import GONE, BridgeCalls
from .events import BridgeEvents
from .frames import ForeignMultiplexer
from .service import HostHalf
from .specs import specs_of

_log = library_logger("snakepit.channel")

_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]
#: The first sign of life, as Snakepit's host asks for it: so often, with so long between (seconds), each within so long.
_TRIES, _BETWEEN_SECONDS, _ASK_SECONDS = 5, 0.05, 5.0
#: A beat that is answered later is none (seconds).
_BEAT_SECONDS = 10.0


class BridgeCarrier:
    """Carries one worker's calls to a server.

    Args:
        worker_id: such as `worker-1`.
        host: the host's half of the service, which the server dials.
        leave: called when the host has said that nothing more will come, and all calls have ended: tells the server to leave.
    """

    def __init__(self, worker_id: str, host: HostHalf, concurrency: int, leave: Callable[[], None]) -> None:
        self._worker_id = worker_id
        self._host = host
        self._concurrency = concurrency
        self._leave = leave
        self._loop = asyncio.get_running_loop()
        self.address = ""
        self._channel: grpc.aio.Channel | None = None
        self._ends: Ends | None = None
        self._create_task: Callable[..., asyncio.Task[None]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = self._closed = False
        self._waking = False
        # One session for what belongs to none, one for each of the pool's: unguessable, as that is all the server proves itself by.
        self._sessions: dict[str, str] = {}
        self._opened: set[str] = set()

    def begin(self, codec: str) -> None:
        """The server is ready at `address`."""
        values = codec_named(codec)
        values.terms.strict = True  # what a server of another make says amiss is not to be taken for a marker of its own
        self._mux = ForeignMultiplexer(values)
        self._channel = grpc.aio.insecure_channel(self.address, options=_OPTIONS)
        self._stub = snakepit_pb2_grpc.BridgeServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._events = BridgeEvents(self._stub, self._mux, self.wake, self._begin)
        self._calls = BridgeCalls(self._stub, self._mux, self.wake, self._broken)

    def finish(self) -> None:
        """The worker has said goodbye."""

    def start(self, ends: Ends, create_task: Callable[..., asyncio.Task[None]], name: str) -> None:
        """Say hello to the server; then carry."""
        self._ends = ends
        self._create_task = create_task
        self._name = name
        self._begin(self._greet())

    def wake(self) -> None:
        """Frames wait on this side, or answers on the other."""
        if not self._waking and not self._closed:
            self._waking = True
            self._loop.call_soon(self._turn)

    async def close(self) -> None:
        """End every call, and the connection."""
        self._closed = True
        for session_id in self._sessions.values():
            self._host.forget(session_id)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._channel is not None:
            await self._channel.close()
            self._end("the channel was closed")

    # Inside -----------------------------------------------------------------------------------------------------------------

    def _begin(self, coroutine: Any) -> None:
        assert self._create_task is not None
        task = self._create_task(self._guarded(coroutine), name=f"{self._name}-bridge")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, coroutine: Any) -> None:
        """A fault of ours, or the server's end, costs this worker and not the pool."""
        try:
            await coroutine
        except asyncio.CancelledError:
            if not self._closed:
                raise
        except grpc.aio.AioRpcError as error:
            self._broken(error)
        except Exception as error:
            _log.exception("a foreign worker's channel is closed because of an internal error")
            self._end(f"internal error: {error!r}")

    async def _greet(self) -> None:
        await self._reach()
        session_id = self._session_id("")
        answer = await self._open(session_id, {})
        specs = specs_of(answer.available_tools.values()) + self._host.tools_of(session_id)
        hello = {
            "protocol": frames.PROTOCOL_VERSION,
            "worker_id": self._worker_id,
            "concurrency": self._concurrency,
            "threads": self._concurrency if self._concurrency > 1 else 0,
            "tools": list({spec["name"]: spec for spec in specs}.values()),
            "open_ended": True,  # it may have more tools than it says
        }
        self._mux.hello(hello)
        self.wake()

    async def _reach(self) -> None:
        for number in range(1, _TRIES + 1):
            try:
                await self._stub.Ping(pb.PingRequest(message="connection_test"), timeout=_ASK_SECONDS)
            except grpc.aio.AioRpcError:
                if number == _TRIES:
                    raise
                await asyncio.sleep(_BETWEEN_SECONDS * number)
            else:
                return

    async def _open(self, session_id: str, metadata: Mapping[str, Any]) -> Any:
        self._opened.add(session_id)
        config = pb.SessionConfig(enable_caching=True, cache_ttl_seconds=60)
        request = pb.InitializeSessionRequest(session_id=session_id, metadata=values.texts(metadata), config=config)
        answer = await self._stub.InitializeSession(request, timeout=_ASK_SECONDS)
        if not answer.success:
            raise grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, (), (), details=answer.error_message)  # type: ignore[arg-type]
        return answer

    def _session_id(self, session: str) -> str:
        """What the wire calls a session of the pool's; empty: what belongs to none."""
        known = self._sessions.get(session)
        if known is None:
            known = self._sessions[session] = f"session_{len(self._sessions) + 1}_{secrets.token_hex(12)}"
            self._host.expect(known, self._host_call)
        return known

    def _turn(self) -> None:
        """Take what waits on this side, and give what waits on the other."""
        self._waking = False
        ends = self._ends
        if ends is None or self._closed:
            return
        while (message := ends.next_message()) is not None:
            for event in self._mux.receive(message):
                self._take(event)
        while (out := self._mux.next_message()) is not None:
            if not ends.receive(out):
                return
        if self._draining and not self._calls.open:
            self._draining = False
            self._leave()

    def _take(self, event: Any) -> None:
        if isinstance(event, frames.Call):
            self._begin(self._run(event))
        elif isinstance(event, frames.Cancel):
            self._calls.cancel(event.call_id)
        elif isinstance(event, frames.Credit):
            self._calls.credit(event.call_id)
        elif isinstance(event, frames.Chunks | frames.Result | frames.Failure):
            self._host.answered(event)
            if isinstance(event, frames.Chunks):
                self._mux.asks.grant(event.call_id, len(event.payloads), event.nbytes)
        elif isinstance(event, frames.EndSession):
            session_id = self._sessions.pop(event.session_id, None)
            if session_id is not None:
                self._host.forget(session_id)
                self._begin(self._clean_up(session_id))
        elif isinstance(event, frames.Telemetry):
            self._events.obey(EventFilter.read(event.settings))
        elif isinstance(event, frames.Drain):
            self._draining = True
        elif isinstance(event, frames.Fault):
            self._end(f"internal error: {event.reason}")
        elif isinstance(event, frames.Pong):  # what the multiplexer makes of a ping: to be answered when the server has been
            self._begin(self._beat(event.token))

    async def _run(self, call: frames.Call) -> None:
        session = call.options.get("session") or {}
        session_id = self._session_id(session.get("id", ""))
        if session_id not in self._opened:
            try:
                await self._open(session_id, session.get("metadata") or {})
            except grpc.aio.AioRpcError as error:
                self._opened.discard(session_id)
                if error.code() in GONE:
                    raise
                self._calls.refused(call.call_id, error)
                return
        await self._calls.run(call, session_id)
        self.wake()

    async def _clean_up(self, session_id: str) -> None:
        self._opened.discard(session_id)
        try:
            await self._stub.CleanupSession(pb.CleanupSessionRequest(session_id=session_id, force=True), timeout=_ASK_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() in GONE:
                raise
            _log.warning("%s does not end a session: %s: %s", self._worker_id, error.code().name, error.details())

    async def _beat(self, token: int) -> None:
        await self._stub.Heartbeat(pb.HeartbeatRequest(session_id=self._session_id("")), timeout=_BEAT_SECONDS)
        self._mux.pong(token)
        self.wake()

    def _host_call(self, session_id: str, ask_id: int, name: str, arguments: dict[str, Any]) -> bool:
        """The server calls a host tool, for a session: is there a call of it?"""
        parent = self._calls.newest_of(session_id)
        if parent is None:
            return False
        self._mux.ask(ask_id, name, arguments, parent)
        self.wake()
        return True

    def _broken(self, error: grpc.aio.AioRpcError) -> None:
        """The server answers no more. Its process usually ends as well, and says more of why."""
        self._end(f"the server at {self.address} does not answer: {error.code().name}: {error.details()}")

    def _end(self, reason: str) -> None:
        ends, self._ends = self._ends, None
        if ends is not None:
            ends.closed(reason)
