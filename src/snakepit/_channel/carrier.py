"""What a protocol has to offer: whole messages in, whole messages out, in order."""

from __future__ import annotations

from typing import Protocol


class Carrier(Protocol):
    """One open channel to one worker. `read` and `write` are each called by one task only, never under a timeout."""

    async def read(self) -> bytes | None:
        """The next message; None when the channel has ended.

        Raises:
            ChannelError: it ended badly.
        """

    async def write(self, message: bytes) -> None:
        """Send a message; returns when the carrier takes the next one.

        Raises:
            ChannelError: the channel has ended.
        """

    async def close(self) -> None:
        """End the channel and free what it holds. Ends a `read` or `write` that is waiting."""
