"""One direction of a memory channel on which things go wrong: messages in, what is left of them out, frame by frame.

Lives on the pool's loop, by whose time delays are measured.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable, Iterator
from typing import Any

from snakepit_bridge.wire.attachments import part_of
from snakepit_bridge.wire.codecs import Codec, codec_named
from snakepit_bridge.wire.frames import CHUNK, PART

from .faults import Direction, Faults


class Lane:
    """Carries messages of one worker in one direction.

    Args:
        deliver: takes what arrives.
        kill: ends the worker, and both of its lanes.
    """

    def __init__(
        self, faults: Faults, worker_id: str, direction: Direction, deliver: Callable[[bytes], None], kill: Callable[[], None]
    ) -> None:
        self._faults = faults
        self._worker_id = worker_id
        self._direction = direction
        self._deliver = deliver
        self._kill = kill
        self._codec: Codec | None = None
        self._count = 0
        self._steps: collections.deque[Callable[[], None]] = collections.deque()
        self._timer: asyncio.TimerHandle | None = None
        self._cut = False

    def begin(self, codec: str) -> None:
        """How messages are written from now on."""
        self._codec = codec_named(codec)

    def cut(self) -> None:
        """Nothing arrives any more."""
        self._cut = True
        self._steps.clear()
        if self._timer is not None:
            self._timer.cancel()

    def take(self, message: bytes) -> None:
        """A message is sent."""
        codec = self._codec
        assert codec is not None, "the channel has begun"
        part = part_of(message)
        if part is not None:
            self._plan([PART, part], message)
            self._go_on()
            return
        for frame in _single(codec, codec.decode(message)):
            self._plan(frame, codec.array([codec.encode(frame)]))
        self._go_on()

    def _plan(self, frame: list[Any], message: bytes) -> None:
        fault = self._faults.of(self._worker_id, self._direction, self._count, frame[0], frame[1])
        self._count += 1
        arrive = _Arrival(self._deliver, message)
        kind = "" if fault is None else fault.kind
        if kind == "delay" and fault is not None:
            seconds = fault.seconds
            self._steps.append(lambda: self._pause(seconds))
        elif kind == "truncate":
            arrive = _Arrival(self._deliver, message[: max(1, len(message) // 2)])
        if kind not in ("drop", "kill"):
            self._steps.append(arrive)
        if kind == "duplicate":
            self._steps.append(arrive)
        if kind in ("kill", "kill_after"):
            self._steps.append(self._kill)

    def _pause(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._paused)

    def _paused(self) -> None:
        self._timer = None
        self._go_on()

    def _go_on(self) -> None:
        while self._steps and self._timer is None and not self._cut:
            self._steps.popleft()()


class _Arrival:
    def __init__(self, deliver: Callable[[bytes], None], message: bytes) -> None:
        self._deliver = deliver
        self._message = message

    def __call__(self) -> None:
        self._deliver(self._message)


def _single(codec: Codec, found: list[list[Any]]) -> Iterator[list[Any]]:
    """The frames of a message, each chunk in one of its own: how many of them piled up is a matter of chance."""
    for frame in found:
        if frame[0] != CHUNK or len(frame[3]) < 2:
            yield frame
            continue
        kind, call_id, first, payloads, left, extra = frame
        for number, payload in enumerate(payloads[:-1]):
            size = len(codec.encode_value(payload))
            left -= size
            yield [kind, call_id, first + number, [payload], size, None]
        yield [kind, call_id, first + len(payloads) - 1, payloads[-1:], max(0, left), extra]
