"""The carrier of the MessagePack and JSON protocols at the host: length-prefixed messages over one inherited socket.

The worker has the other end as a descriptor that it inherited, or as its stdin and stdout; either stands for the secret.
Before the frames come two messages of JSON: the worker's report (over its stdin and stdout only; else its lifeline has
brought that), and the host's opening, which names the codec.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

from snakepit.errors import ChannelError
from snakepit_bridge.wire.frames import PROTOCOL_VERSION, Fault
from snakepit_bridge.wire.framing import Deframer, frame_message

from .carrier import Ends

#: Read at once (bytes).
_READ_BYTES = 256 * 1024
#: What waits in our own buffer beside the kernel's (bytes): little, so that a cancel never waits behind much.
_BUFFERED = 64 * 1024
#: So much of what came in the place of a report is shown (bytes).
_SHOWN = 120
#: How long `close` waits for what has been written to leave (seconds); the worker reads until it ends.
_CLOSE_SECONDS = 1.0


class _Here(threading.local):
    """What each thread has of its own: a quarter of a MiB for each worker would be most of what the host keeps for it."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_READ_BYTES))


_here = _Here()


class StreamCarrier(asyncio.BufferedProtocol):
    """One end of a socketpair; the loop's transport reads it from the first moment on, into one buffer for all that this thread reads.

    (An `asyncio.Protocol` is given bytes that the transport makes for each read, of the most that may come: memory that is mapped,
    cut down and unmapped again for every small message.)

    Attributes:
        finished: nothing more will be written.
        noise: what came in the place of the worker's report was none.
        first: the first message, where the worker reports on this channel; fails with `ChannelError` if none can come any more.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._deframer = Deframer()
        self._transport: asyncio.Transport | None = None
        self._writer: asyncio.Transport | None = None  # the same one, or that of the worker's stdin
        self._ends: Ends | None = None
        self._paused = False
        self.finished = self.noise = False
        self._reason = ""
        self._head = b""  # of what has come before the frames
        self._lost: asyncio.Future[None] = loop.create_future()
        self.first: asyncio.Future[bytes] = loop.create_future()

    async def open(self, reads: socket.socket, writes: socket.socket) -> None:
        """Take the sockets over, which may be one; they are closed by `close`."""
        transport, _ = await self._loop.create_unix_connection(lambda: self, sock=reads)
        self._writer = transport
        if writes is not reads:
            self._writer, _ = await self._loop.create_unix_connection(lambda: _WriteSide(self), sock=writes)
        self._writer.set_write_buffer_limits(high=_BUFFERED)

    def begin(self, codec: str) -> None:
        """Tell the worker the codec; frames may follow.

        Raises:
            ChannelError: the worker has left meanwhile, or is being ended.
        """
        if self._is_closing:
            raise ChannelError(self._reason or "the channel was closed before it was used")
        self._write(json.dumps({"protocol": PROTOCOL_VERSION, "codec": codec}).encode())

    def start(self, ends: Ends, create_task: Callable[..., asyncio.Task[None]], name: str) -> None:
        """Begin to carry. It needs no tasks: the loop calls."""
        self._ends = ends
        if self._lost.done():
            ends.closed(self._reason)

    def wake(self) -> None:
        """Something waits to be written: at once, not at the end of the loop's turn, which a lone call would wait for in vain.

        What the socket does not take piles up, and leaves together.
        """
        self._flush()

    def finish(self) -> None:
        """The worker has said goodbye: end its stdin, which whoever stands between may wait for."""
        if self._writer is not None and self._writer is not self._transport:
            self.finished = True
            self._writer.close()

    async def close(self) -> None:
        """Close the socket, once what has been written has left (bounded)."""
        for transport in self._transports():
            transport.close()
        if self._transport is not None and not self._lost.done():
            await asyncio.wait([self._lost], timeout=_CLOSE_SECONDS)
            for transport in self._transports():
                transport.abort()
            await asyncio.wait([self._lost], timeout=_CLOSE_SECONDS)

    # Called by the loop -------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is being read."""
        self._transport = transport  # type: ignore[assignment]

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the bytes that come next are to be put."""
        return _here.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come, in whatever parts."""
        data = _here.buffer[:nbytes]  # nothing else is read before all of it has been taken out
        if self._ends is None:
            self._head += data[: _SHOWN - len(self._head)]
        for message in self._deframer.feed(data):
            if isinstance(message, Fault):
                self.break_off(self._not_the_protocol(message))
                return
            if self._ends is None:
                if self.first.done():
                    self.break_off("the worker sent a second message before the channel was opened")
                    return
                self.first.set_result(message)
            elif not self._ends.receive(message):
                self.break_off("the worker broke the protocol")
                return

    def eof_received(self) -> None:
        """The worker has closed its end."""
        for fault in self._deframer.end():
            self._reason = self._reason or self._not_the_protocol(fault)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        if exc is not None:
            self._read_rest()
        self._reason = self._reason or (f"the channel broke: {exc}" if exc is not None else "the worker closed the channel")
        if not self._lost.done():
            self._lost.set_result(None)
        if not self.first.done():
            self.first.set_exception(ChannelError(self._reason))
            self.first.exception()  # nobody may be waiting for it
        if self._writer is not None:
            self._writer.abort()
        if self._ends is not None:
            self._ends.closed(self._reason)

    def _read_rest(self) -> None:
        """It broke as something was to be written: what the worker had said before is there still."""
        handle: Any = self._transport.get_extra_info("socket") if self._transport is not None else None
        with contextlib.suppress(OSError, AttributeError):
            while (count := os.readv(handle.fileno(), [_here.buffer])) > 0:
                self.buffer_updated(count)

    def pause_writing(self) -> None:
        """The kernel takes no more for now."""
        self._paused = True

    def resume_writing(self) -> None:
        """It does again."""
        self._paused = False
        self._flush()

    def _flush(self) -> None:
        ends = self._ends
        if ends is None:
            return
        while not (self._paused or self._is_closing) and (message := ends.next_message()) is not None:
            if not message:  # others have their turn first
                self._loop.call_soon(self._flush)
                return
            self._write(message)

    @property
    def _is_closing(self) -> bool:
        """Is there nobody to write to any more? uvloop raises if it is done all the same, asyncio is silent."""
        return self._lost.done() or self._writer is None or self._writer.is_closing()

    def _write(self, message: bytes) -> None:
        assert self._writer is not None, "a carrier is opened before it is written to"
        self._writer.write(frame_message(message))

    def _transports(self) -> list[asyncio.Transport]:
        return [item for item in dict.fromkeys((self._transport, self._writer)) if item is not None]

    def _not_the_protocol(self, fault: object) -> str:
        if self._ends is None:
            self.noise = True
            bridge = " (a server of Snakepit's own service? that wants protocol='bridge')" if self._head.startswith(b"ready 127") else ""
            return f"what came first is not a worker's report: {self._head!r}{bridge}"
        return f"the worker sent something that is not the protocol: {getattr(fault, 'reason', fault)}"

    def break_off(self, reason: str) -> None:
        """Nothing good can come any more."""
        self._reason = self._reason or reason
        for transport in self._transports():
            transport.abort()


class _WriteSide(asyncio.Protocol):
    """The worker's stdin, where it is not the socket that is read."""

    def __init__(self, carrier: StreamCarrier) -> None:
        self._carrier = carrier

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._carrier.finished:
            self._carrier.break_off("the worker closed its stdin")

    def pause_writing(self) -> None:
        self._carrier.pause_writing()

    def resume_writing(self) -> None:
        self._carrier.resume_writing()


def parse_report(data: bytes) -> dict[str, Any]:
    """A worker's report; where it is none, one that says so."""
    report = None
    with contextlib.suppress(ValueError):
        report = json.loads(data)
    if isinstance(report, dict):
        return report
    return {"failed": {"kind": "start", "message": "the worker's report is not JSON", "hint": "", "traceback": ""}}
