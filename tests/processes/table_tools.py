"""Tools that yield tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas
import polars
import pyarrow

from snakepit_bridge.base_adapter import BaseAdapter, tool


class TableTools(BaseAdapter):
    @tool
    def batches(self, count: int, rows: int = 3) -> Iterator[Any]:
        for number in range(count):
            yield pyarrow.record_batch({"n": [number] * rows, "s": [str(number)] * rows})

    @tool
    def empty(self) -> Iterator[Any]:
        for _ in range(2):
            yield pyarrow.table({"n": pyarrow.array([], pyarrow.int64())})

    @tool
    def one(self) -> Any:
        return pyarrow.table({"n": [1, 2]})

    @tool
    def tables(self) -> Iterator[Any]:
        yield pyarrow.table({"n": [1]})
        yield pandas.DataFrame({"n": [2, 3]})
        yield polars.DataFrame({"n": [4]})

    @tool
    def odd(self, second: str) -> Iterator[Any]:
        yield pyarrow.record_batch({"n": [1]})
        yield {"text": "text", "columns": pyarrow.record_batch({"m": [1]}), "frame": pandas.DataFrame({"n": ["x"]})}[second]

    @tool
    def endless(self) -> Iterator[Any]:
        number = 0
        while True:
            yield pyarrow.record_batch({"n": [number]})
            number += 1

    @tool
    def fails(self) -> Iterator[Any]:
        yield pyarrow.record_batch({"n": [1]})
        raise ValueError("in the middle")
