"""A worker that is sent what is not the protocol leaves, and says why."""

from __future__ import annotations

import pytest

import snakepit
from pool_helpers import TOOLS
from snakepit._channel.connection import Connection

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]


@pytest.mark.parametrize("protocol", ["msgpack", "json", "grpc"])
def test_the_call_says_what_was_wrong_and_the_pool_serves_on(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is cut on its way: its call has the worker's last words at once, and another worker serves the next."""
    whole, cut = Connection.next_message, []

    def next_message(self: Connection) -> bytes | None:
        message = whole(self)
        if message is not None and b"echo" in message and not cut:
            cut.append(message)
            return message[: len(message) // 2]
        return message

    monkeypatch.setattr(Connection, "next_message", next_message)
    with snakepit.Pool(TOOLS, size=1, protocol=protocol, worker_output="discard") as pool:
        with pytest.raises(snakepit.WorkerCrashed, match="what the host sent is not the protocol: not (MessagePack|JSON)"):
            pool.execute("echo", {"value": "x" * 100}, timeout=20)
        assert pool.execute("echo", {"value": 3}, timeout=20) == 3
        assert pool.stats().timed_out == 0
