"""The dataset tool, driven directly: honest counts, operations honoured, a broken block costs only itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HEADER = "order_id,day,region,product,units,unit_price\n"


@pytest.fixture
def tools(example: Callable[..., ModuleType]) -> ModuleType:
    """The module under test."""
    return example("process_large_dataset_tools", "pandas")


@pytest.fixture
def process(tools: ModuleType, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Runs the tool over rows given as text and collects its chunks."""

    def run(rows: str, **arguments: Any) -> list[dict[str, Any]]:
        path = tmp_path / "rows.csv"
        path.write_text(HEADER + rows, encoding="utf-8")
        return list(tools.DatasetAdapter().process_large_dataset(str(path), **arguments))

    return run


def test_counts_agree_with_the_maker(tools: ModuleType, example: Callable[..., ModuleType], tmp_path: Path) -> None:
    """Every dirty row that the maker put in is skipped, and the unparsable ones are counted as errors, across blocks."""
    path = tmp_path / "sales.csv"
    dirt = example("sales_csv").make_sales_csv(path, rows=25_000)
    *progress, final = tools.DatasetAdapter().process_large_dataset(str(path), chunk_size=4_001)
    assert [chunk["processed_rows"] for chunk in progress] == [4_001, 8_002, 12_003, 16_004, 20_005, 24_006, 25_000]
    assert all(chunk["total_rows"] == 25_000 and chunk["is_final"] is False for chunk in progress)
    assert progress[-1]["progress_percent"] == 100.0
    assert final["is_final"] is True
    assert final["final_stats"] == {
        "total_rows": 25_000,
        "processed": 25_000 - dirt.total,
        "errors": dirt.unparsable,
        "skipped": dirt.total,
    }


def test_chunks_carry_the_keys_of_the_guide(process: Callable[..., list[dict[str, Any]]]) -> None:
    """A progress chunk has exactly the guide's keys, and its memory is what a Python process with pandas really takes."""
    first, _ = process("1,2025-01-01,north,bell,2,3.5\n")
    assert set(first) == {"processed_rows", "total_rows", "progress_percent", "memory_usage_mb", "is_final"}
    assert 20 < first["memory_usage_mb"] < 4_000


def test_operations_are_honoured(process: Callable[..., list[dict[str, Any]]]) -> None:
    """Each operation does its own part and no other."""
    rows = "1,2025-01-01,north,bell,2,3.5\n2,2025-01-01,north,bell,,3.5\n3,2025-02-01,south,bell,few,1.0\n"
    _, clean = process(rows, operations=["clean"])
    _, transform = process(rows, operations=["transform"])
    _, aggregate = process(rows, operations=["aggregate"])
    _, none = process(rows, operations=[])
    assert clean["final_stats"] == {"total_rows": 3, "processed": 1, "errors": 1, "skipped": 2}
    assert transform["final_stats"] == {"total_rows": 3, "processed": 3, "errors": 1, "skipped": 0} == none["final_stats"]
    assert transform["columns"] == [*none["columns"], "month", "revenue"]
    assert aggregate["aggregates"] == {"north": {"units": 2.0, "rows": 2}, "south": {"units": 0.0, "rows": 1}}
    assert "aggregates" not in clean


def test_all_operations_are_the_default(process: Callable[..., list[dict[str, Any]]]) -> None:
    """Without `operations` rows are cleaned, get their revenue, and are summed by region over all blocks."""
    rows = "1,2025-01-01,north,bell,2,3.5\n2,2025-01-01,south,bell,1,1.5\n3,2025-02-01,north,bell,4,0.25\n"
    final = process(rows, chunk_size=1)[-1]
    assert final["aggregates"] == {
        "north": {"units": 6.0, "revenue": 8.0, "rows": 2},
        "south": {"units": 1.0, "revenue": 1.5, "rows": 1},
    }


def test_an_order_sent_twice_counts_once_across_blocks(process: Callable[..., list[dict[str, Any]]]) -> None:
    """A repeated order is skipped without being an error, also when its first copy ended the block before."""
    rows = "1,2025-01-01,north,bell,2,3.5\n1,2025-01-01,north,bell,2,3.5\n"
    assert process(rows, chunk_size=1)[-1]["final_stats"] == {"total_rows": 2, "processed": 1, "errors": 0, "skipped": 1}


@pytest.mark.parametrize("broken", ["3,a,b,c,1,1.0,too,many\n", '3,a,"b,c,1,1.0\n'], ids=["cells", "quote"])
def test_a_block_that_cannot_be_parsed_costs_only_itself(process: Callable[..., list[dict[str, Any]]], broken: str) -> None:
    """A block with a malformed line gives an error chunk that says where, and the blocks after it are processed."""
    good = "1,2025-01-01,north,bell,2,3.5\n2,2025-01-01,north,bell,2,3.5\n"
    chunks = process(good + broken + "4,d,e,f,1,1.0\n" + good, chunk_size=2)
    assert set(chunks[1]) == {"error", "chunk_start", "is_final"}
    assert chunks[1]["chunk_start"] == 2
    assert chunks[2]["processed_rows"] == 6
    assert chunks[3]["final_stats"] == {"total_rows": 6, "processed": 4, "errors": 2, "skipped": 2}


def test_bytes_that_are_no_text_cost_their_block(tools: ModuleType, tmp_path: Path) -> None:
    """Invalid UTF-8 gives an error chunk, not the end of the stream."""
    path = tmp_path / "rows.csv"
    path.write_bytes(HEADER.encode() + b"1,d,\xff\xfe,p,1,1\n2,d,n,p,1,1\n")
    chunks = list(tools.DatasetAdapter().process_large_dataset(str(path), chunk_size=1))
    assert "utf-8" in chunks[0]["error"]
    assert chunks[-1]["final_stats"]["processed"] == 1


def test_files_at_the_edge(process: Callable[..., list[dict[str, Any]]]) -> None:
    """A file of a header alone, of blank lines, and one whose last line has no end are counted right."""
    assert process("")[0]["final_stats"] == {"total_rows": 0, "processed": 0, "errors": 0, "skipped": 0}
    assert process("\n\n")[-1]["final_stats"] == {"total_rows": 2, "processed": 0, "errors": 0, "skipped": 2}
    assert process("1,2025-01-01,north,bell,2,3.5")[0]["total_rows"] == 1


def test_wrong_arguments_are_named(tools: ModuleType, process: Callable[..., list[dict[str, Any]]], tmp_path: Path) -> None:
    """An unknown operation, a block of no rows and a file without the columns say what is wrong and what is allowed."""
    with pytest.raises(ValueError, match=r"'polish', allowed are clean, transform, aggregate"):
        process("", operations=["clean", "polish"])
    with pytest.raises(ValueError, match=r"chunk_size: got 0"):
        process("", chunk_size=0)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"no column order_id, day"):
        list(tools.DatasetAdapter().process_large_dataset(str(tmp_path / "other.csv")))
    with pytest.raises(FileNotFoundError):
        list(tools.DatasetAdapter().process_large_dataset(str(tmp_path / "none.csv")))


def test_memory_does_not_grow_with_the_file(tools: ModuleType, example: Callable[..., ModuleType], tmp_path: Path) -> None:
    """After the first blocks, a file of many blocks takes hardly more memory than one of few."""
    path = tmp_path / "sales.csv"
    example("sales_csv").make_sales_csv(path, rows=120_000)
    *progress, _ = tools.DatasetAdapter().process_large_dataset(str(path), chunk_size=5_000)
    memory = [chunk["memory_usage_mb"] for chunk in progress]
    assert memory[-1] - memory[4] < 16


def test_a_bad_row_sent_twice_is_one_error(process: Callable[..., list[dict[str, Any]]]) -> None:
    """Of an unreadable row that was sent again, the copy is skipped as a copy and not counted as a second error."""
    row = "1,2025-01-01,north,bell,few,3.5\n"
    assert process(row + row)[-1]["final_stats"] == {"total_rows": 2, "processed": 0, "errors": 1, "skipped": 2}
