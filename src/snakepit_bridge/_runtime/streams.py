"""Drives a generator tool: each item becomes a chunk, sent as credit allows; its return value ends the call.

What a tool yields after a final chunk is not delivered: the generator is closed and a warning names the tool.
"""

import functools
import time
from typing import Any, AsyncGenerator, Callable, Dict, Iterator, Optional, Tuple

from ..call_context import Cancelled
from ..wire.attachments import Encoded
from ..wire.plain import Unserialisable
from .cancel import async_border, border, border_next
from .link import Link
from .own_secrets import OWN
from .running import RunningCall


class ChunkUnserialisable(Exception):
    """A chunk cannot travel; `cause` says why."""

    def __init__(self, cause: Unserialisable) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Chunks:
    """What sync and async streams share: how an unusual item becomes an encoded chunk, and what the end looks like."""

    def __init__(self, call: RunningCall, link: Link) -> None:
        self.call = call
        self.link = link
        self.final_sent = False
        self.warning = ""

    def encode(self, item: Any) -> Tuple[Encoded, Optional[Dict[str, Any]]]:
        """(the encoded payload, what goes beside it)."""
        payload = item
        extra: Optional[Dict[str, Any]] = None
        if isinstance(item, dict):
            self.final_sent = bool(item.get("is_final"))
        elif hasattr(item, "is_final"):
            self.final_sent = bool(item.is_final)
            if hasattr(item, "data"):  # a StreamChunk, or what looks like one
                payload = item.data
                self.final_sent = self.final_sent or (isinstance(payload, dict) and bool(payload.get("is_final")))
                metadata = getattr(item, "metadata", None)
                extra = {"metadata": dict(metadata)} if metadata else None
        if self.final_sent:
            extra = self._final_extra(extra)
        if extra is not None:
            self.link.encode(extra)  # the carrier encodes it later, when nobody is there to hear that it cannot travel
        return self.link.packed(payload), extra

    def _final_extra(self, extra: Optional[Dict[str, Any]]) -> Dict[str, Any]:
        metadata = dict((extra or {}).get("metadata") or {})
        metadata["execution_time_ms"] = (time.perf_counter() - self.call.began) * 1e3
        metadata["chunks"] = self.link.chunks_sent(self.call.call_id) + 1
        return {"final": True, "metadata": metadata}

    def end(self, value: Any) -> Tuple[Any, Dict[str, Any]]:
        """(the call's result, facts about its end)."""
        return value, {"streamed": True, "final_sent": self.final_sent}

    def end_after_final(self) -> Tuple[Any, Dict[str, Any]]:
        """The tool went on yielding."""
        warning = "tool %r went on yielding after a chunk with is_final: True; that was not delivered" % self.call.tool
        return None, {"streamed": True, "final_sent": True, "warning": warning}


def stream(call: RunningCall, items: Iterator[Any], link: Link) -> Tuple[Any, Dict[str, Any]]:
    """Send all that a generator yields; (its return value, metadata of the end).

    Raises:
        Cancelled: the call was cancelled; the generator is closed.
        ChunkUnserialisable: an item cannot travel; the generator is closed.
    """
    chunks, outflow = _Chunks(call, link), link.outflow(call.call_id)
    following, encode, offer = items.__next__ if call.span is None else _remembered(items), link.pack, link.offer_chunk
    try:
        while True:
            try:
                item = border_next(call, following)
            except StopIteration as stop:
                link.wait_reported(outflow)
                return chunks.end(stop.value)
            if chunks.final_sent:
                return chunks.end_after_final()
            if outflow.cancelled:
                raise Cancelled
            extra = None
            try:
                if type(item) is dict and not item.get("is_final"):  # nearly every item of nearly every stream
                    data = encode(item)
                    if type(data) is not bytes:
                        data = link.own(data)  # a tool may fill one array again and again
                else:
                    data, extra = chunks.encode(item)
            except Unserialisable as error:
                raise ChunkUnserialisable(error) from None
            if not offer(outflow, data, extra):
                link.wait_to_send(outflow, data, extra)
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            if call.context.cancelled and getattr(items, "gi_frame", None) is not None:
                call.closing()  # it stands at a yield; one that has ended by itself has no frame any more
            call.cleaning = True
            border(call, close)


async def stream_async(
    call: RunningCall, items: "AsyncGenerator[Any, Any]", link: Link, post: Callable[[Callable[[], Any]], None]
) -> Tuple[Any, Dict[str, Any]]:
    """`stream` for an async generator; waits for credit without blocking the loop, on which `post` runs a function."""
    import asyncio

    chunks, outflow = _Chunks(call, link), link.outflow(call.call_id)
    may_go = asyncio.Event()
    link.on_credit(call.call_id, functools.partial(post, may_go.set))
    try:
        while True:
            try:
                item = await async_border(call, items.__anext__())
                if call.span is not None:
                    OWN.remember_random(item)
            except StopAsyncIteration:
                may_go.clear()
                while outflow.held is not None and not outflow.cancelled:
                    await may_go.wait()
                    may_go.clear()
                return chunks.end(None)
            if chunks.final_sent:
                return chunks.end_after_final()
            call.check()
            try:
                data, extra = chunks.encode(item)
            except Unserialisable as error:
                raise ChunkUnserialisable(error) from None
            may_go.clear()
            while not link.offer_chunk(outflow, data, extra):
                await may_go.wait()
                may_go.clear()
                call.check()
    finally:
        link.on_credit(call.call_id, None)
        if call.leaving and getattr(items, "ag_frame", None) is not None:
            call.closing()  # as above
        await async_border(call, items.aclose())


def _remembered(items: Iterator[Any]) -> Callable[[], Any]:
    """`items.__next__` of a traced call: its error may quote what it has yielded."""

    def following() -> Any:
        item = items.__next__()
        OWN.remember_random(item)
        return item

    return following
