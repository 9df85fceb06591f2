"""The worker's half of the multiplexer, standing in the host for a foreign server: its beats are the server's, not its own."""

from __future__ import annotations

from typing import Any

from snakepit_bridge.wire.codecs import Codec
from snakepit_bridge.wire.frames import PING, PONG, Pong, Window
from snakepit_bridge.wire.worker_side import WorkerMultiplexer


class ForeignMultiplexer(WorkerMultiplexer):
    """Hands a ping on, as a `Pong` that waits for its answer, instead of answering it."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)

    def pong(self, token: int) -> None:
        """The server has given a sign of life."""
        self._outbox.put_control(self.codec.encode((PONG, 0, token)))

    def ask(self, ask_id: int, name: str, arguments: dict[str, Any], parent: int) -> None:
        """The server calls a host tool, for an open call of its own."""
        self.asks.call(ask_id, name, {"args": [], "kwargs": arguments}, {"parent": parent}, Window())

    def _handle(self, frame: list[Any]) -> Any:
        if frame[0] == PING:
            return Pong(frame[2])
        return super()._handle(frame)
