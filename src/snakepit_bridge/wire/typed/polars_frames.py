"""polars frames and series: Arrow's IPC format as polars itself writes and reads it, so no pyarrow is needed. Both sides copy."""

import io
from typing import Any, Callable, Dict, List, Optional

import polars

from ..malformed import Malformed
from .arrow_stream import check_stream
from .packed import Packed, count, fields, joined, text


def types() -> Dict[type, Callable[[Any, int], Optional[Packed]]]:
    """What is packed here, by its type. A LazyFrame is a plan, not data."""
    return {polars.DataFrame: pack, polars.Series: pack_series}


def pack(value: Any, threshold: int = 0) -> Optional[Packed]:
    """A frame; None if a column holds Python objects."""
    data = _stream_of(value)
    return None if data is None else Packed("polars.DataFrame", [value.height, value.width], [data])


def pack_series(value: Any, threshold: int = 0) -> Optional[Packed]:
    """A series, as a frame of one column."""
    data = _stream_of(value.to_frame())
    return None if data is None else Packed("polars.Series", [value.len(), value.name], [data])


def unpack(meta: Any, buffers: List[memoryview]) -> Any:
    """A frame of its own."""
    height, width = fields(meta, 2)
    return _frame_of(buffers, count(height), count(width))


def unpack_series(meta: Any, buffers: List[memoryview]) -> Any:
    """A series of its own."""
    length, name = fields(meta, 2)
    return _frame_of(buffers, count(length), 1).to_series().alias(text(name))


def _stream_of(frame: Any) -> Optional[memoryview]:
    if any(dtype == polars.Object for dtype in frame.dtypes):
        return None
    file = io.BytesIO()
    try:
        frame.write_ipc_stream(file, compression="uncompressed")
    except BaseException as error:
        _raise_unless_polars(error)
        return None  # a type that the format does not have
    data = file.getbuffer()
    try:
        check_stream(data, _most_items(data, frame.height))
    except Malformed:  # such as a list of a million times nothing
        return None
    return data


def _most_items(data: memoryview, height: int) -> int:
    """A bit is the least that an item takes, but for columns of nothing."""
    return max(8 * data.nbytes, height)


def _frame_of(buffers: List[memoryview], height: int, width: int) -> Any:
    whole = joined(buffers)
    check_stream(whole, _most_items(whole, height))
    try:
        frame = polars.read_ipc_stream(io.BytesIO(whole))
    except BaseException as error:
        _raise_unless_polars(error)
        raise Malformed("no frame of polars: %.200s" % error) from error
    if width == 0 and frame.width == 0 and frame.height != height:  # rows without columns are no part of the format
        frame = polars.DataFrame(height=height)
    if (frame.height, frame.width) != (height, width):
        raise Malformed("expected %d rows of %d columns, got %d of %d" % (height, width, frame.height, frame.width))
    return frame


def _raise_unless_polars(error: BaseException) -> None:
    """A panic inside polars is no Exception, but harms nothing."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
