"""Process a CSV of a million rows with live progress: `python examples/process_large_dataset.py`.

Without `--file` the CSV is made on the spot, in a temporary folder, with a known number of dirty rows.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import snakepit
from sales_csv import make_sales_csv

ADAPTER = f"{Path(__file__).with_name('process_large_dataset_tools.py')}:DatasetAdapter"


def process(file_path: str, chunk_size: int, operations: list[str]) -> None:
    """Stream the work on one file; print a line for every tenth of it."""
    arguments = {"file_path": file_path, "chunk_size": chunk_size, "operations": operations}
    tenths = 0
    with snakepit.Pool(ADAPTER, size=1) as pool:
        for chunk in pool.stream("process_large_dataset", arguments):
            if chunk["is_final"]:
                print("✅ Processing complete!")
                print(f"📊 Final stats: {chunk['final_stats']}")
                for group, sums in chunk.get("aggregates", {}).items():
                    print(f"   {group}: " + ", ".join(f"{name} {value:,.0f}" for name, value in sums.items()))
            elif "error" in chunk:
                print(f"❌ Rows from {chunk['chunk_start']}: {chunk['error']}")
            elif int(chunk["progress_percent"] // 10) > tenths:
                tenths = int(chunk["progress_percent"] // 10)
                rows = f"{chunk['processed_rows']}/{chunk['total_rows']} rows"
                print(f"📊 Progress: {chunk['progress_percent']:.1f}% ({rows}) - Memory: {chunk['memory_usage_mb']:.0f}MB")


def main() -> None:
    """Make the file if none is given, and process it."""
    parser = argparse.ArgumentParser(description="Stream the processing of a large CSV file.")
    parser.add_argument("--file", help="a CSV with the columns that sales_csv.py writes (default: made on the spot)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the file that is made")
    parser.add_argument("--chunk-size", type=int, default=10_000, help="rows per block")
    parser.add_argument("--operations", nargs="*", default=["clean", "transform", "aggregate"])
    options = parser.parse_args()

    if options.file:
        process(options.file, options.chunk_size, options.operations)
        return
    with tempfile.TemporaryDirectory(prefix="snakepit-example-") as folder:
        path = f"{folder}/sales.csv"
        dirt = make_sales_csv(path, options.rows)
        print(f"Made {options.rows:,} rows, {dirt.total:,} of them dirty ({dirt.unparsable:,} unparsable)")
        process(path, options.chunk_size, options.operations)


if __name__ == "__main__":
    main()
