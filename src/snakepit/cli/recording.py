"""`snakepit run --record FILE`: how a call went, one JSON document per line as it happens; `snakepit.testing.replay` plays it.

    {"snakepit_recording": 1, "tool": "train", "adapter": "./tools.py", "args": {"epochs": 2}, "streaming": true}
    {"at": 0.104, "chunk": {"epoch": 1}}                    beside it "metadata", if the tool gave the chunk some
    {"at": 0.110, "progress": {"progress": 1}}              of a call with one result
    {"at": 0.209, "result": null}                           or "error": {"code", "type", "message"}

`at`: seconds since the call. Values are written as the JSON protocol writes them; what is a secret by its name or its looks, or came
among the arguments as one, is masked.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakepit.errors import ConfigurationError, SnakepitError, ToolError
from snakepit_bridge.redaction import DEFAULT
from snakepit_bridge.wire.codecs import JsonCodec

_VERSION = 1
#: What the pool and the runtime say in a chunk's metadata; the rest is the tool's.
_FACTS = frozenset({"execution_time_ms", "worker_id", "session_id", "session_moved", "chunks", "synthetic_final"})


class Recording:
    """Writes one file, line by line: a command that is killed leaves what had happened until then.

    Raises:
        ConfigurationError: it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._codec = JsonCodec()
        self._secrets: tuple[str, ...] = ()
        self._began = time.perf_counter()
        try:
            self._file = Path(path).expanduser().open("wb")
        except (OSError, RuntimeError, ValueError) as error:
            raise self._failure(error) from error

    def begin(self, tool: str, adapter: str | None, args: Mapping[str, Any], *, streaming: bool) -> None:
        """The call is about to be made."""
        self._secrets = tuple(DEFAULT.secrets_in([dict(args)]))
        self._line({"snakepit_recording": _VERSION, "tool": tool, "adapter": adapter or "", "args": dict(args), "streaming": streaming})
        self._began = time.perf_counter()

    def chunk(self, chunk: Mapping[str, Any]) -> None:
        """A chunk has come; the last one, if the runtime added it, is told by `result`."""
        metadata = chunk.get("_metadata")
        own = {key: value for key, value in metadata.items() if key not in _FACTS} if isinstance(metadata, dict) else {}
        if isinstance(metadata, dict) and metadata.get("synthetic_final"):
            return
        payload = {key: value for key, value in chunk.items() if key != "_metadata" and (key != "is_final" or value)}
        self._happened("chunk", payload, **({"metadata": own} if own else {}))

    def progress(self, report: Mapping[str, Any]) -> None:
        """A call with one result has told how far it is."""
        self._happened("progress", dict(report))

    def result(self, value: Any) -> None:
        """The call has ended well."""
        self._happened("result", value)

    def error(self, error: SnakepitError) -> None:
        """It has ended with an error."""
        facts: dict[str, Any] = {"code": error.code, "type": type(error).__name__, "message": error.message}
        if isinstance(error, ToolError):
            facts["type"] = error.type or facts["type"]
            facts["message"] = error.message.partition(f" raised {error.type}")[2].partition(": ")[2] or error.message
        self._happened("error", facts)

    def cancelled(self, name: str) -> None:
        """A signal has ended it."""
        self._happened("error", {"code": "call_cancelled", "type": "CallCancelled", "message": f"cancelled by {name}"})

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()

    def _happened(self, what: str, value: Any, **beside: Any) -> None:
        self._line({"at": round(time.perf_counter() - self._began, 6), what: value, **beside})

    def _line(self, document: dict[str, Any]) -> None:
        line = self._codec.encode(DEFAULT.masked(document, self._secrets))
        try:
            self._file.write(line + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> ConfigurationError:
        reason = getattr(error, "strerror", None) or str(error)
        return ConfigurationError(f"--record: cannot write {self._path}: {reason}", hint="give it a file in a directory that is there")
