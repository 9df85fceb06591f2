"""A tool that reads a CSV of sales of any size in constant memory, a block of rows at a time, and reports as it goes.

One record per line (no line breaks inside quotes); blocks are parsed on their own, so a block that cannot be parsed
costs its own rows and no others. `sales_csv.py` makes such files.
"""

from __future__ import annotations

import io
import os
import resource
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from snakepit_bridge.base_adapter import BaseAdapter, tool

OPERATIONS = ("clean", "transform", "aggregate")
NUMBERS = ("units", "unit_price")
TEXTS = ("order_id", "day", "region", "product")
MIB = 1024 * 1024


@dataclass
class Tally:
    """What has been seen so far. Mutable: the one state that grows with the stream, and by groups only."""

    read: int = 0
    kept: int = 0
    errors: int = 0
    last_order: str = ""
    columns: list[str] = field(default_factory=list)
    groups: dict[str, dict[str, float]] = field(default_factory=dict)


class DatasetAdapter(BaseAdapter):
    """Offers `process_large_dataset`."""

    @tool(description="Process a large CSV file with progress", supports_streaming=True)
    def process_large_dataset(
        self, file_path: str, chunk_size: int = 10_000, operations: list[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Process a CSV of sales, one chunk of the stream per block of rows.

        Args:
            file_path: CSV with the columns order_id, day, region, product, units, unit_price.
            chunk_size: rows per block.
            operations: any of `clean` (leave out rows with missing or unparsable values and orders sent twice in a row),
                `transform` (add month and revenue), `aggregate` (sums by region, in the final chunk); run in this order.
                None: all of them.

        Yields:
            Per block `processed_rows` (rows gone through), `total_rows`, `progress_percent`, `memory_usage_mb` (MiB resident in
            this worker); for a block that cannot be parsed `error` and `chunk_start` (the rows before it). At the end
            `final_stats`: `errors` are rows that could not be read as what they should be, `skipped` all rows left out.
        """
        wanted = _check_operations(operations)
        if chunk_size < 1:
            raise ValueError(f"chunk_size: got {chunk_size}, allowed is 1 or more")
        total = count_rows(file_path)
        tally = Tally()
        with Path(file_path).open("rb") as file:
            header = _check_header(file.readline(), file_path)
            while lines := list(islice(file, chunk_size)):
                yield _process_block(header, lines, wanted, tally, total)
        yield _final_chunk(wanted, tally)


def count_rows(path: str | Path) -> int:
    """Data rows of the CSV at `path`: its lines without the header."""
    lines, last = 0, b"\n"
    with Path(path).open("rb") as file:
        while piece := file.read(MIB):
            lines += piece.count(b"\n")
            last = piece[-1:]
    return max(0, lines + (last != b"\n") - 1)


def resident_mib() -> float:
    """Memory of this process in MiB: resident now on Linux, its peak elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / MIB if sys.platform == "darwin" else peak / 1024
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def _check_operations(operations: Sequence[str] | None) -> set[str]:
    wanted = set(OPERATIONS if operations is None else operations)
    if unknown := sorted(wanted.difference(OPERATIONS)):
        raise ValueError(f"operations: got {', '.join(map(repr, unknown))}, allowed are {', '.join(OPERATIONS)}")
    return wanted


def _check_header(line: bytes, path: str) -> bytes:
    header = line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    found = [name.strip().strip('"') for name in header.decode("utf-8", "replace").split(",")]
    if missing := [name for name in TEXTS + NUMBERS if name not in found]:
        raise ValueError(f"file_path: {path} has no column {', '.join(missing)} (found {', '.join(found)})")
    return header + b"\n"


def _process_block(header: bytes, lines: list[bytes], wanted: set[str], tally: Tally, total: int) -> dict[str, Any]:
    start = tally.read
    tally.read += len(lines)
    try:
        rows = _parse(header, lines)
    except (ValueError, pd.errors.ParserWarning) as error:
        tally.errors += len(lines)
        return {"error": str(error).strip(), "chunk_start": start, "is_final": False}
    rows = _judge(rows, tally, drop="clean" in wanted)
    if "transform" in wanted:
        rows = rows.assign(month=rows["day"].str.slice(0, 7), revenue=rows["units"] * rows["unit_price"])
    if "aggregate" in wanted:
        _aggregate(rows, tally)
    tally.kept += len(rows)
    tally.columns = list(rows.columns)
    return {
        "processed_rows": tally.read,
        "total_rows": total,
        "progress_percent": 100.0 * tally.read / total,
        "memory_usage_mb": round(resident_mib(), 1),
        "is_final": False,
    }


def _parse(header: bytes, lines: list[bytes]) -> pd.DataFrame:
    with warnings.catch_warnings():
        # pandas only warns when the first row of a block has cells too many, and would lose them.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            io.BytesIO(header + b"".join(lines)),
            dtype=dict.fromkeys(TEXTS, "str"),
            keep_default_na=False,
            na_values=[""],
            index_col=False,
            low_memory=False,
        )


def _judge(rows: pd.DataFrame, tally: Tally, *, drop: bool) -> pd.DataFrame:
    """Make the number columns numbers, count what is none, and leave out the dirty rows if asked to."""
    orders = rows["order_id"]
    repeated = orders == orders.shift(fill_value=tally.last_order)
    if len(rows):
        tally.last_order = orders.iloc[-1]
    missing = rows.isna().any(axis="columns")
    numbers = {name: pd.to_numeric(rows[name], errors="coerce") for name in NUMBERS}
    rows = rows.assign(**numbers)
    unparsable = rows.isna().any(axis="columns") & ~missing & ~repeated
    tally.errors += int(unparsable.sum())
    return rows[~(repeated | missing | unparsable)] if drop else rows


def _aggregate(rows: pd.DataFrame, tally: Tally) -> None:
    grouped = rows.groupby("region", dropna=False)
    sums = grouped[[name for name in ("units", "revenue") if name in rows]].sum().assign(rows=grouped.size())
    for region, values in sums.iterrows():
        group = tally.groups.setdefault("" if pd.isna(region) else str(region), {})
        for name, value in values.items():
            group[str(name)] = group.get(str(name), 0) + (int(value) if name == "rows" else float(value))


def _final_chunk(wanted: set[str], tally: Tally) -> dict[str, Any]:
    final: dict[str, Any] = {
        "is_final": True,
        "final_stats": {
            "total_rows": tally.read,
            "processed": tally.kept,
            "errors": tally.errors,
            "skipped": tally.read - tally.kept,
        },
        "columns": tally.columns,
        "message": f"Processed {tally.kept} of {tally.read} rows",
    }
    if "aggregate" in wanted:
        final["aggregates"] = dict(sorted(tally.groups.items()))
    return final
