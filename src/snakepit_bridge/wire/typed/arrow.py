"""Arrow tables and record batches: a stream in Arrow's IPC format whose large parts are the table's own memory.

Needs pyarrow 14.0.1: older ones unpickle what the metadata of an extension type says.
"""

from typing import Any, Callable, Dict, List, Optional

import pyarrow

from ..malformed import Malformed
from .arrow_stream import check_stream
from .packed import Packed, count, joined

#: Up to this size (bytes) parts are put together: heads, paddings, small columns.
_SMALL = 16 * 1024

if tuple(int(part) for part in pyarrow.__version__.split(".")[:3] if part.isdigit()) < (14, 0, 1):
    raise ImportError("pyarrow %s is too old to read what arrives: use 14.0.1 or newer" % pyarrow.__version__)


def types() -> Dict[type, Callable[[Any, int], Optional[Packed]]]:
    """What is packed here, by its type."""
    return {pyarrow.Table: pack, pyarrow.RecordBatch: pack}


def pack(value: Any, threshold: int = 0) -> Optional[Packed]:
    """A table, with its chunks, or a record batch; None if the format has no room for it, such as 64 lists in each other."""
    try:
        parts = stream_of(value)
    except pyarrow.ArrowException:
        return None
    return Packed("pyarrow.Table", None, parts) if type(value) is pyarrow.Table else Packed("pyarrow.RecordBatch", value.num_rows, parts)


def unpack(meta: Any, buffers: List[memoryview]) -> Any:
    """A table whose columns are views of the buffer."""
    return table_of(buffers)


def unpack_batch(meta: Any, buffers: List[memoryview]) -> Any:
    """A record batch whose columns are views of the buffer."""
    with _opened(buffers) as reader:
        batches = list(reader)
    if len(batches) != 1 or batches[0].num_rows != count(meta):
        raise Malformed("expected one record batch of %r rows, got %r" % (meta, [batch.num_rows for batch in batches]))
    batches[0].validate(full=True)
    return batches[0]


def stream_of(value: Any) -> List[memoryview]:
    """A table or record batch as an IPC stream in parts."""
    parts = _Parts()
    with pyarrow.PythonFile(parts, mode="w") as file, pyarrow.ipc.new_stream(file, value.schema) as writer:
        writer.write(value)
    return parts.found()


def table_of(buffers: List[memoryview]) -> Any:
    """The table of an IPC stream, checked in full: what is false in it would crash whoever reads the column."""
    with _opened(buffers) as reader:
        table = reader.read_all()
    table.validate(full=True)
    return table


def _opened(buffers: List[memoryview]) -> Any:
    whole = joined(buffers)
    check_stream(whole)
    return pyarrow.ipc.open_stream(pyarrow.py_buffer(whole))


class _Parts:
    """What pyarrow writes a stream into: it hands over columns as buffers, which are kept as they are."""

    closed = False

    def __init__(self) -> None:
        self._large: List[memoryview] = []
        self._small: List[bytes] = []
        self._waiting = 0

    def write(self, data: Any) -> int:
        """A buffer of the table, or bytes of pyarrow's own."""
        size = len(data)
        if size <= _SMALL:
            self._small.append(bytes(data))
            self._waiting += size
            if self._waiting > 4 * _SMALL:
                self._gather()
        else:
            self._gather()
            self._large.append(memoryview(data).cast("B"))
        return size

    def found(self) -> List[memoryview]:
        """All of it."""
        self._gather()
        return self._large

    def _gather(self) -> None:
        if self._small:
            self._large.append(memoryview(b"".join(self._small)))
            self._small, self._waiting = [], 0

    def flush(self) -> None:
        """Nothing waits that `found` would not give."""

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False
