"""Tables in parts: Arrow's and pandas' as an Arrow IPC stream, polars' by its own writer of the same. And torch tensors.

pandas frames need pyarrow, at both ends. A frame whose contents Arrow does not hold is not packed.
"""

from typing import Any, Optional, Sequence

from .malformed import Malformed
from .typed import Packed, Unpacker


def _stream_of(table: Any) -> "memoryview":
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    return memoryview(sink.getvalue())


def _table_of(buffers: "Sequence[memoryview]") -> Any:
    import pyarrow

    (buffer,) = buffers
    return pyarrow.ipc.open_stream(pyarrow.py_buffer(buffer)).read_all()


def _pack_table(value: Any) -> Packed:
    return Packed("pyarrow.Table", None, [_stream_of(value)])


def _pack_batch(value: Any) -> Packed:
    return Packed("pyarrow.RecordBatch", None, [_stream_of(value)])


def _unpack_batch(_meta: Any, buffers: "Sequence[memoryview]") -> Any:
    import pyarrow

    (buffer,) = buffers
    return pyarrow.ipc.open_stream(pyarrow.py_buffer(buffer)).read_next_batch()


def _pandas_table(frame: Any) -> Any:
    """None: Arrow is not there, or does not hold it."""
    try:
        import pyarrow
    except ImportError:
        return None
    try:
        return pyarrow.Table.from_pandas(frame)
    except (pyarrow.ArrowException, TypeError, ValueError):
        return None


def _pack_frame(value: Any) -> Optional[Packed]:
    table = _pandas_table(value)
    return None if table is None else Packed("pandas.DataFrame", None, [_stream_of(table)])


def _pack_series(value: Any) -> Optional[Packed]:
    """As a frame of one column; `meta`: whether it has a name."""
    named = value.name is not None
    table = _pandas_table(value.to_frame(value.name if named else "values"))
    return None if table is None else Packed("pandas.Series", named, [_stream_of(table)])


def _unpack_frame(_meta: Any, buffers: "Sequence[memoryview]") -> Any:
    import pandas  # noqa: F401 - pyarrow says less clearly that it is missing

    return _table_of(buffers).to_pandas()


def _unpack_series(meta: Any, buffers: "Sequence[memoryview]") -> Any:
    found = _unpack_frame(None, buffers).iloc[:, 0]
    return found if meta else found.rename(None)


def _pack_polars(value: Any) -> Packed:
    return Packed("polars.DataFrame", None, [value.write_ipc_stream(None).getbuffer()])


def _pack_polars_series(value: Any) -> Packed:
    return Packed("polars.Series", None, [value.to_frame().write_ipc_stream(None).getbuffer()])


def _unpack_polars(_meta: Any, buffers: "Sequence[memoryview]") -> Any:
    import io

    import polars

    (buffer,) = buffers
    return polars.read_ipc_stream(io.BytesIO(buffer))


def _unpack_polars_series(_meta: Any, buffers: "Sequence[memoryview]") -> Any:
    return _unpack_polars(None, buffers).to_series()


def _pack_tensor(value: Any) -> Optional[Packed]:
    """`meta`: [dtype, shape]. Dense ones in the machine's memory only; a gradient does not travel."""
    import torch

    if value.device.type != "cpu" or value.layout != torch.strided or value.is_quantized or value.is_complex():
        return None
    flat = value.detach().contiguous().reshape(-1)
    buffer = memoryview(flat.view(torch.uint8).numpy()) if flat.numel() else memoryview(b"")
    return Packed("torch.Tensor", [str(value.dtype).rpartition(".")[2], list(value.shape)], [buffer])


def _unpack_tensor(meta: Any, buffers: "Sequence[memoryview]") -> Any:
    import torch

    name, shape = meta
    dtype = getattr(torch, name)
    if not isinstance(dtype, torch.dtype):
        raise Malformed("a tensor's items are %.40r" % (name,))
    (buffer,) = buffers
    if not len(buffer):
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(buffer), dtype=dtype).reshape(shape)  # a tensor over read-only memory would be a trap


PACKERS = {
    "pyarrow.Table": _pack_table,
    "pyarrow.RecordBatch": _pack_batch,
    "pandas.DataFrame": _pack_frame,
    "pandas.Series": _pack_series,
    "polars.DataFrame": _pack_polars,
    "polars.Series": _pack_polars_series,
    "torch.Tensor": _pack_tensor,
}
UNPACKERS: "dict[str, Unpacker]" = {
    "pyarrow.Table": lambda _meta, buffers: _table_of(buffers),
    "pyarrow.RecordBatch": _unpack_batch,
    "pandas.DataFrame": _unpack_frame,
    "pandas.Series": _unpack_series,
    "polars.DataFrame": _unpack_polars,
    "polars.Series": _unpack_polars_series,
    "torch.Tensor": _unpack_tensor,
}
