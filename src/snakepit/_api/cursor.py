"""Where a stream's consumer stands: batches in, chunks or values out, and what is owed to the worker for them.

Shared by the sync and the async stream; does no waiting.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from snakepit._pool.call import Call, Ended, Failed, Item
from snakepit.errors import ChunkTimeout
from snakepit_bridge.wire.frames import Chunks

from .chunks import add_extra, envelopes, final_chunk


class Cursor:
    """Reads what one call's mailbox delivers.

    Attributes:
        ended: the end has been read, or nobody will read it.
        result: the tool's return value, once ended well.
        owed: (chunks, bytes) taken since the last grant.
    """

    __slots__ = ("bare", "call", "ended", "owed", "result", "taken")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.bare = False  # values as the tool yielded them, without envelope
        self.ended = False
        self.result: Any = None
        self.owed = (0, 0)
        self.taken = 0  # chunks whose batch has been opened

    def open(self, item: Item) -> Iterator[Any]:
        """The chunks (or values) that an item brings; an iterator that may be empty.

        Raises:
            SnakepitError: the item is the call's failure.
        """
        if isinstance(item, Chunks):
            return self._batch(item)
        if isinstance(item, Failed):
            self.ended = True
            raise item.error
        if isinstance(item, Ended):
            self.ended = True
            self.result = item.value
            if not self.bare and not item.metadata.get("final_sent"):
                return iter([final_chunk(item.value, item.metadata)])
        return iter(())

    @property
    def state(self) -> str:
        """In words: how far the stream is."""
        return "ended" if self.ended else f"{self.taken} chunks read" if self.call.worker_id else "waiting for a worker"

    def settle(self) -> tuple[int, int]:
        """What the worker may send in place of what has been taken; nothing is owed after."""
        owed, self.owed = self.owed, (0, 0)
        return owed

    def gap_left(self, seconds: float) -> float:
        """How much longer the first chunk may take: a gap counts from when the call runs, not from when it queued."""
        call = self.call
        return call.began + seconds - time.monotonic() if call.worker_id else seconds

    def gap_error(self, seconds: float) -> ChunkTimeout:
        """The error for a tool that took too long for its next chunk."""
        call = self.call
        return ChunkTimeout(
            f"{call.tool!r} gave no chunk for {seconds:g} s (after {call.chunks} chunks, on {call.worker_id})",
            hint="give it a larger chunk_timeout=, or None",
            tool=call.tool,
            worker_id=call.worker_id,
            chunks=call.chunks,
            rung="pending",
        )

    def book(self, batch: Chunks) -> None:
        """A batch has been taken; as much may come in its place."""
        self.owed = (len(batch.payloads), batch.nbytes)
        self.taken += len(batch.payloads)

    def _batch(self, batch: Chunks) -> Iterator[Any]:
        payloads, extra = batch.payloads, batch.extra
        self.book(batch)
        if self.bare:
            if extra and extra.get("progress"):
                payloads.pop()  # said by self.progress, not yielded
            return iter(payloads)
        chunks = envelopes(payloads)
        if extra:
            add_extra(chunks[-1], extra, self.call.where())
        return iter(chunks)
