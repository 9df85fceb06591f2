"""What clients get: results and chunks as messages, in JSON, or exactly for clients of our own. Pure.

JSON is the value as it is: None is `null`, 5 is `5`. A chunk that is text or bytes says so in its metadata, `kind`.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage

from snakepit._pool.call import Ended
from snakepit.remote import words
from snakepit_bridge.bridge import values
from snakepit_bridge.bridge.plain import dumps, plain
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.wire.frames import Chunks

_KINDS = {bool: "boolean", int: "integer", float: "float", str: "string", dict: "map", list: "list", type(None): "null"}
_RESULT = "type.googleapis.com/snakepit."
_BYTES = (bytes, bytearray, memoryview)
#: What the end of a call says of it to all clients.
_FACTS = ("execution_time_ms", "worker_id", "session_moved", "runs")


def result(value: Any, metadata: dict[str, Any], *, exact: bool) -> Any:
    """The answer to a call that gave a value."""
    spent = int(metadata.get("execution_time_ms", 0))
    if exact:
        packed = AnyMessage(type_url=words.EXACT, value=words.CODEC.encode_value(value))
        return pb.ExecuteToolResponse(success=True, result=packed, metadata={words.EXTRA: words.whole(metadata)}, execution_time_ms=spent)
    answer = pb.ExecuteToolResponse(success=True, metadata=values.texts(_facts(metadata)), execution_time_ms=spent)
    if isinstance(value, _BYTES):
        answer.binary_result = bytes(value)
        answer.result.type_url = _RESULT + "binary"
    else:
        value = value if type(value) in _KINDS else plain(value)
        answer.result.type_url = _RESULT + _KINDS.get(type(value), "list")
        answer.result.value = dumps(value)
    return answer


class ChunkWriter:
    """The chunks of one stream, counted from 1.

    Args:
        exact: for a client of our own.
    """

    def __init__(self, tool: str, *, exact: bool) -> None:
        self._tool = tool
        self._exact = exact
        self._count = 0

    def chunks(self, batch: Chunks) -> list[Any]:
        """A batch as messages."""
        write = self._exact_chunk if self._exact else self._chunk
        last = len(batch.payloads) - 1
        return [write(payload, batch.extra if at == last else None) for at, payload in enumerate(batch.payloads)]

    def end(self, ended: Ended) -> Any | None:
        """The message with which a stream ends; None if its tool has marked a last chunk, and the client needs no more."""
        final = not ended.metadata.get("final_sent")
        if self._exact:
            told = {words.ENDED: words.whole(ended.metadata)}
            return pb.ToolChunk(chunk_id=self._next_id(), data=words.CODEC.encode_value(ended.value), is_final=final, metadata=told)
        if not final:
            return None
        chunk = self._chunk(ended.value, None)
        chunk.is_final = True
        chunk.metadata.update(values.texts({**_facts(ended.metadata), "chunks": self._count, "synthetic_final": True}))
        return chunk

    def _chunk(self, payload: Any, extra: dict[str, Any] | None) -> Any:
        chunk = pb.ToolChunk(chunk_id=self._next_id(), data=b"null" if payload is None else values.chunk(payload))
        if type(payload) is dict:
            chunk.is_final = bool(payload.get("is_final"))
        elif isinstance(payload, (str, *_BYTES)):
            chunk.metadata["kind"] = "text" if isinstance(payload, str) else "binary"
        if extra is not None:
            if extra.get("progress"):
                chunk.is_final = False  # whatever the report says of itself
                chunk.metadata["kind"] = "progress"
            chunk.is_final = chunk.is_final or bool(extra.get("final"))
            chunk.metadata.update(values.texts(extra.get("metadata") or {}))
        return chunk

    def _exact_chunk(self, payload: Any, extra: dict[str, Any] | None) -> Any:
        chunk = pb.ToolChunk(chunk_id=self._next_id(), data=words.CODEC.encode_value(payload))
        if extra:
            chunk.metadata[words.EXTRA] = words.whole(extra)
            chunk.is_final = bool(extra.get("final"))
        return chunk

    def _next_id(self) -> str:
        self._count += 1
        return f"{self._tool}-{self._count}"


def _facts(metadata: dict[str, Any]) -> dict[str, Any]:
    return {name: metadata[name] for name in _FACTS if name in metadata}
