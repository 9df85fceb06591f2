"""The chunk envelope: what a tool yielded, as the dict its caller gets. Pure.

The payload merged with `is_final` and, when there is any, `_metadata`; what is no mapping comes under `data`, bytes under
`raw_data` (and, made when asked for, `raw_data_base64`).
"""

from __future__ import annotations

import base64
from typing import Any, TypeAlias

Chunk: TypeAlias = dict[str, Any]

#: What the last chunk's metadata says of the run.
_FINAL_FACTS = ("execution_time_ms", "worker_id", "session_id", "session_moved")

_BASE64 = "raw_data_base64"


class BinaryChunk(dict[str, Any]):
    """A chunk of bytes: `chunk["raw_data"]`, and `chunk["raw_data_base64"]` for those who need text."""

    def __missing__(self, key: str) -> Any:
        if key == _BASE64:
            return base64.b64encode(self["raw_data"]).decode("ascii")
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return key == _BASE64 or super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """`dict.get`, which knows `raw_data_base64` too."""
        return self[_BASE64] if key == _BASE64 else super().get(key, default)


def envelope(payload: Any) -> Chunk:
    """One chunk that is not the last."""
    if isinstance(payload, dict):
        if "is_final" not in payload:
            payload["is_final"] = False
        return payload
    if isinstance(payload, (bytes, bytearray, memoryview)):
        return BinaryChunk(raw_data=payload, is_final=False)
    return {"data": payload, "is_final": False}


def envelopes(payloads: list[Any]) -> list[Chunk]:
    """`envelope` for a whole run of chunks; the common kind costs no call."""
    return [item if type(item) is dict and "is_final" in item else envelope(item) for item in payloads]


def add_extra(chunk: Chunk, extra: dict[str, Any], where: dict[str, Any]) -> None:
    """Book what the worker said beside a chunk's payload: it is the last, it has metadata. `where`: facts for the last one."""
    metadata = extra.get("metadata")
    if extra.get("progress"):
        chunk["is_final"] = False  # whatever the report says of itself
    if extra.get("final"):
        chunk["is_final"] = True
        metadata = {**(metadata or {}), **where}
    if metadata:
        own = chunk.get("_metadata")
        chunk["_metadata"] = {**own, **metadata} if isinstance(own, dict) else metadata


def final_chunk(value: Any, metadata: dict[str, Any]) -> Chunk:
    """The last chunk of a stream whose tool marked none: its return value, if it had one."""
    chunk = {} if value is None else envelope(dict(value) if isinstance(value, dict) else value)  # `stream.result` stays as it was
    chunk["is_final"] = True
    chunks = int(metadata.get("chunks", 0)) + 1
    facts = {key: metadata[key] for key in _FINAL_FACTS if key in metadata}
    own = chunk.get("_metadata")
    chunk["_metadata"] = {**(own if isinstance(own, dict) else {}), **facts, "chunks": chunks, "synthetic_final": True}
    return chunk
