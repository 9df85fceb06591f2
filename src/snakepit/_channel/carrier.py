"""What a protocol has to offer the connection: whole messages, both ways, in order; and what it asks of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Ends(Protocol):
    """The connection, as its carrier sees it. Called on the loop's thread only."""

    def next_message(self) -> bytes | None:
        """What to write next; None: nothing waits; empty: nothing yet, ask again after the loop's next turn."""

    def receive(self, message: bytes) -> bool:
        """A message has come. False: it was not the protocol, and nothing more will be read."""

    def closed(self, reason: str) -> None:
        """Nothing more will come. Called once."""


class Carrier(Protocol):
    """One open channel to one worker."""

    def start(self, ends: Ends, create_task: Callable[..., asyncio.Task[None]], name: str) -> None:
        """Begin to carry. `create_task` is the owner's; `name` begins the names of tasks."""

    def wake(self) -> None:
        """Something waits to be written. What piles up until the carrier looks leaves together; it never waits for more."""

    async def close(self) -> None:
        """End the channel and free what it holds; `closed` has been called when this returns."""
