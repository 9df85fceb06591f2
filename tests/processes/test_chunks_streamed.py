"""The chunk envelope, through a real worker: what a tool yields, as the dicts that `stream()` and `values()` give."""

from __future__ import annotations

import json
import logging
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import wait_until
from worker_faces import AsyncFace, SyncFace, adapter, face_of, nothing_left

pytestmark = pytest.mark.slow

Face = SyncFace | AsyncFace
STREAMS = adapter("streams", "Streams")


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Looked at once for the whole module: its pools serve many tests."""
    with nothing_left(tmp_path_factory):
        yield


@pytest.fixture(scope="module", params=["sync", "async"])
def streams(request: pytest.FixtureRequest) -> Iterator[Face]:
    """Streams of every shape, behind either face."""
    with face_of(request.param, STREAMS) as face:
        yield face


# Payloads ------------------------------------------------------------------------------------------------------------

STEP = {"step": 3, "is_final": False}
PAYLOADS: list[tuple[str, dict[str, Any], Any]] = [
    ("dict", {"a": 1, "is_final": False}, {"a": 1}),
    ("empty dict", {"is_final": False}, {}),
    ("ordered", {"a": 1, "is_final": False}, {"a": 1}),
    ("int keys", {1: "one", "is_final": False}, {1: "one"}),
    ("own metadata", {"a": 1, "is_final": False, "_metadata": {"mine": True}}, {"a": 1, "_metadata": {"mine": True}}),
    ("odd metadata", {"a": 1, "is_final": False, "_metadata": "text"}, {"a": 1, "_metadata": "text"}),
    ("not final", {"a": 1, "is_final": False}, {"a": 1, "is_final": False}),
    ("error", {"error": "row 7 is broken", "row": 7, "is_final": False}, {"error": "row 7 is broken", "row": 7}),
    ("data", {"data": [1], "raw_data": "mine", "is_final": False}, {"data": [1], "raw_data": "mine"}),
    ("none", {"data": None, "is_final": False}, None),
    ("int", {"data": 5, "is_final": False}, 5),
    ("text", {"data": "hello", "is_final": False}, "hello"),
    ("list", {"data": [1, {"is_final": True}], "is_final": False}, [1, {"is_final": True}]),
    ("tuple", {"data": (1, 2), "is_final": False}, (1, 2)),
    ("set", {"data": {1}, "is_final": False}, {1}),
    ("dataclass", STEP, STEP),
    ("bytes", {"raw_data": b"\x00\xff", "is_final": False}, b"\x00\xff"),
    ("bytearray", {"raw_data": b"\x00\xff", "is_final": False}, bytearray(b"\x00\xff")),
    ("memoryview", {"raw_data": b"\x00\xff", "is_final": False}, memoryview(b"\x00\xff")),
    ("empty bytes", {"raw_data": b"", "is_final": False}, b""),
    ("chunk", {"a": 1, "is_final": False}, {"a": 1}),
    ("chunk of text", {"data": "hello", "is_final": False}, "hello"),
    ("chunk of bytes", {"raw_data": b"\x00\xff", "is_final": False}, b"\x00\xff"),
    ("chunk of nothing", {"data": None, "is_final": False}, None),
    ("chunk with metadata", {"a": 1, "is_final": False, "_metadata": {"tokens": 3}}, {"a": 1}),
    (
        "chunk with both metadata",
        {"a": 1, "is_final": False, "_metadata": {"mine": 1, "tokens": 3}},
        {"a": 1, "_metadata": {"mine": 1, "tokens": 1}},
    ),
    ("duck", {"a": 1, "is_final": False, "_metadata": {"tokens": 3}}, {"a": 1}),
]


@pytest.mark.parametrize("tool", ["payload", "payload_async"])
@pytest.mark.parametrize(("name", "chunk", "value"), PAYLOADS, ids=[row[0] for row in PAYLOADS])
def test_a_payload_and_its_chunk(streams: Face, tool: str, name: str, chunk: dict[str, Any], value: Any) -> None:
    """The payload merged with `is_final` and metadata if there is any; `values()` gives exactly what was yielded."""
    first, final = streams.stream(tool, {"name": name})
    assert first == chunk
    assert final.keys() == {"is_final", "_metadata"}
    values = streams.values(tool, {"name": name})
    assert values == [value]
    assert type(values[0]) is type(value)


def test_bytes_as_base64(streams: Face) -> None:
    """A chunk of bytes knows `raw_data_base64` when it is asked, and does not carry it about."""
    chunk = streams.stream("payload", {"name": "bytes"})[0]
    assert chunk["raw_data_base64"] == chunk.get("raw_data_base64") == "AP8="
    assert "raw_data_base64" in chunk
    assert set(chunk) == {"raw_data", "is_final"}
    assert json.dumps({"raw_data_base64": chunk["raw_data_base64"]}) == '{"raw_data_base64": "AP8="}'
    with pytest.raises(KeyError, match="raw_data_base65"):
        chunk["raw_data_base65"]


def test_an_error_chunk_is_data(streams: Face) -> None:
    """A chunk with an `error` key is a chunk like any other: the stream goes on and ends well."""
    *chunks, final = streams.stream("errors_as_data", {"n": 6})
    assert [chunk["i"] for chunk in chunks] == list(range(6))
    assert [chunk.get("error") for chunk in chunks] == [None, "row 1", None, "row 3", None, "row 5"]
    assert final["is_final"]


# The final chunk -----------------------------------------------------------------------------------------------------

RESULTS: list[tuple[str, dict[str, Any], Any]] = [
    ("nothing", {}, None),
    ("dict", {"loss": 3}, {"loss": 3}),
    ("dict that is not final", {"loss": 3}, {"loss": 3, "is_final": False}),
    ("dict with metadata", {"loss": 3}, {"loss": 3, "_metadata": {"mine": 1}}),
    ("int", {"data": 5}, 5),
    ("text", {"data": "done"}, "done"),
    ("list", {"data": [1, 2]}, [1, 2]),
    ("bytes", {"raw_data": b"\x00\xff"}, b"\x00\xff"),
    ("false", {"data": False}, False),
    ("empty", {}, {}),
]


@pytest.mark.parametrize(("name", "payload", "result"), RESULTS, ids=[row[0] for row in RESULTS])
def test_the_runtime_adds_a_final_chunk(streams: Face, name: str, payload: dict[str, Any], result: Any) -> None:
    """A stream whose tool marked none ends with one that holds the return value; `result` is that value, untouched."""
    first, final = streams.stream("returning", {"name": name})
    assert first == {"i": 0, "is_final": False}
    metadata = final.pop("_metadata")
    assert final == {**payload, "is_final": True}
    assert (metadata["synthetic_final"], metadata["worker_id"], metadata["chunks"]) == (True, "worker-1", 2)
    assert 0 < metadata["execution_time_ms"] < 30_000
    assert streams.values("returning", {"name": name}) == [{"i": 0}]
    assert streams.result_of("returning", {"name": name}) == result


def test_the_metadata_of_a_return_value_stays(streams: Face) -> None:
    """What a returned dict says in `_metadata` is kept beside the runtime's own."""
    final = streams.stream("returning", {"name": "dict with metadata"})[-1]
    assert final["_metadata"]["mine"] == 1
    assert final["_metadata"]["synthetic_final"] is True


FINALS: list[tuple[str, dict[str, Any], Any, dict[str, Any]]] = [
    ("dict", {"a": 1}, {"a": 1, "is_final": True}, {}),
    ("truthy", {"a": 1}, {"a": 1, "is_final": 1}, {}),
    ("only", {}, {"is_final": True}, {}),
    ("with metadata", {"a": 1}, {"a": 1, "is_final": True, "_metadata": {"mine": True}}, {"mine": True}),
    ("chunk", {"a": 1}, {"a": 1}, {}),
    ("chunk of text", {"data": "bye"}, "bye", {}),
    ("chunk of bytes", {"raw_data": b"\x00\xff"}, b"\x00\xff", {}),
    ("chunk of nothing", {"data": None}, None, {}),
    ("chunk with metadata", {"a": 1}, {"a": 1}, {"tokens": 3}),
    ("chunk that says it inside", {"a": 1}, {"a": 1, "is_final": True}, {}),
    ("chunk that denies it inside", {"a": 1}, {"a": 1, "is_final": False}, {}),
    ("duck", {"a": 1}, {"a": 1}, {}),
    ("dataclass", {"step": 3}, {"step": 3, "is_final": True}, {}),
]


@pytest.mark.parametrize("tool", ["final", "final_async"])
@pytest.mark.parametrize(("name", "payload", "value", "told"), FINALS, ids=[row[0] for row in FINALS])
def test_the_tools_own_final_chunk(streams: Face, tool: str, name: str, payload: dict[str, Any], value: Any, told: dict[str, Any]) -> None:
    """A chunk the tool marks final is the one final chunk: none is added, and the runtime's facts go into its metadata."""
    before, final = streams.stream(tool, {"name": name})
    assert before == {"before": 1, "is_final": False}
    metadata = final.pop("_metadata")
    assert final == {**payload, "is_final": True}
    assert final["is_final"] is True
    assert metadata.pop("execution_time_ms") > 0
    assert metadata == {**told, "worker_id": "worker-1", "chunks": 2}
    assert streams.values(tool, {"name": name}) == [{"before": 1}, value]


def test_the_generator_runs_to_its_end_after_its_final_chunk(streams: Face) -> None:
    """What follows the final chunk, such as writing a checkpoint, still runs; its return value is the result."""
    streams.execute("take_events")
    streams.stream("final", {"name": "dict"})
    streams.stream("final_async", {"name": "dict"})
    assert streams.execute("take_events") == ["resumed", "resumed"]
    (only,) = streams.stream("final_and_return")
    assert (only["i"], only["is_final"]) == (0, True)
    assert streams.result_of("final_and_return") == {"loss": 3}


@pytest.mark.parametrize("tool", ["goes_on", "goes_on_async"])
def test_what_follows_the_final_chunk_is_not_delivered(streams: Face, tool: str, caplog: pytest.LogCaptureFixture) -> None:
    """The generator is closed at the next thing it yields, and a warning names the tool."""
    streams.execute("take_events")
    with caplog.at_level(logging.WARNING, logger="snakepit.pool"):
        chunks = streams.stream(tool, {"n": 1000})
        values = streams.values(tool, {"n": 1000})
    assert [chunk["i"] for chunk in chunks] == [0, 1]
    assert [chunk["is_final"] for chunk in chunks] == [False, True]
    assert [value["i"] for value in values] == [0, 1]
    assert streams.execute("take_events") == [2, "closed"] * 2
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    expected = f"worker-1: tool '{tool}' went on yielding after a chunk with is_final: True; that was not delivered"
    assert warnings == [expected, expected]
    assert streams.execute("ok") == "ok"


@pytest.mark.parametrize("tool", ["nothing", "nothing_async"])
def test_a_stream_without_chunks(streams: Face, tool: str) -> None:
    """A generator that yields nothing gives one final chunk, and no values."""
    (final,) = streams.stream(tool)
    assert (final["is_final"], final["_metadata"]["chunks"], final["_metadata"]["synthetic_final"]) == (True, 1, True)
    assert streams.values(tool) == []


@pytest.mark.parametrize("n", [1, 1023, 1024, 1025, 10_000])
def test_every_chunk_once_in_order_and_counted(streams: Face, n: int) -> None:
    """Whatever the window: all chunks in order, exactly one final, and `chunks` counts them all."""
    chunks = streams.stream("count", {"n": n})
    assert [chunk.get("i") for chunk in chunks] == [*range(n), None]
    assert [chunk["is_final"] for chunk in chunks] == [False] * n + [True]
    assert chunks[-1]["_metadata"]["chunks"] == n + 1
    assert not any("_metadata" in chunk for chunk in chunks[:-1])


def test_a_dict_that_is_changed_after_it_was_yielded(streams: Face) -> None:
    """A chunk is what it was when it was yielded, though the tool yields the same dict again."""
    values = streams.values("same_dict", {"n": 3000})
    assert [value["i"] for value in values] == list(range(3000))
    assert "after" not in values[0]


def test_chunks_of_all_sizes(streams: Face) -> None:
    """Empty, small, larger than one piece, larger than the whole window: intact and in order."""
    sizes = [0, 1, 300_000, 5, 9_000_000, 0, 262_144, 4_194_304, 7]
    assert [len(value["blob"]) for value in streams.values("sizes", {"sizes": sizes})] == sizes


# Reports -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["report_and_yield", "report_and_yield_async"])
def test_reports_are_chunks_of_their_stream(streams: Face, tool: str) -> None:
    """`self.progress` in a stream gives a chunk in its place among the others; `values()` leaves it out."""
    *chunks, final = streams.stream(tool, {"n": 3})
    report = {"total": 3, "note": "working", "is_final": False}
    expected = [[{"progress": i + 1, "percent": pytest.approx(100 * (i + 1) / 3), **report}, {"i": i, "is_final": False}] for i in range(3)]
    assert chunks == [chunk for pair in expected for chunk in pair]
    assert final["_metadata"]["chunks"] == 7
    assert streams.values(tool, {"n": 3}) == [{"i": 0}, {"i": 1}, {"i": 2}]


def test_values_leaves_reports_out_of_large_streams_too(streams: Face) -> None:
    """Thousands of reports among thousands of chunks, in whatever batches they come: no value lost, no report among them."""
    assert streams.values("report_and_yield", {"n": 5000}) == [{"i": i} for i in range(5000)]


@pytest.mark.parametrize("info", [{"is_final": True}, {"progress": "mine", "total": "mine"}, {"_metadata": {"a": 1}}, {"error": "x"}])
def test_a_report_is_never_the_final_chunk(streams: Face, info: dict[str, Any]) -> None:
    """Whatever a report says of itself, the stream has one final chunk, and that is the last."""
    info.pop("total", None)
    chunks = streams.stream("report_in_stream", {"info": info})
    assert [chunk["is_final"] for chunk in chunks] == [False, False, True]
    assert streams.values("report_in_stream", {"info": info}) == [{"i": 0}]


@pytest.mark.parametrize("tool", ["report_flood", "report_flood_async"])
def test_reports_of_a_unary_tool(streams: Face, tool: str) -> None:
    """However many reports there are: `on_progress` gets some of them, in order, the last one surely, before the result."""
    heard: list[dict[str, Any]] = []
    assert streams.execute(tool, {"n": 20_000}, on_progress=heard.append) == "done"
    done = [report["progress"] for report in heard]
    assert done == sorted(set(done))
    assert heard[-1] == {"progress": 20_000, "total": 20_000, "percent": 100.0}


@pytest.mark.parametrize(
    ("done", "total", "info", "heard"),
    [
        (1, None, {}, {"progress": 1}),
        (0, 0, {}, {"progress": 0, "total": 0, "percent": 100.0}),
        (0.5, 2, {"message": "é"}, {"progress": 0.5, "total": 2, "percent": 25.0, "message": "é"}),
        (5, 4, {}, {"progress": 5, "total": 4, "percent": 125.0}),
        (1, 4, {"nested": {"a": [1, b"x"]}}, {"progress": 1, "total": 4, "percent": 25.0, "nested": {"a": [1, b"x"]}}),
    ],
)
def test_what_a_report_says(streams: Face, done: float, total: float | None, info: dict[str, Any], heard: dict[str, Any]) -> None:
    """Done, total and percent when there is a total, and whatever else the tool gives."""
    reports: list[dict[str, Any]] = []
    assert streams.execute("report", {"done": done, "total": total, "info": info}, on_progress=reports.append) == "done"
    assert reports == [heard]


def test_reports_that_nobody_wants(streams: Face) -> None:
    """Without `on_progress` a unary tool reports into the void, and through `stream()` its reports are chunks."""
    assert streams.execute("report_flood", {"n": 1000}) == "done"
    *reports, final = streams.stream("report", {"done": 1, "total": 2, "info": {}})
    assert reports == [{"progress": 1, "total": 2, "percent": 50.0, "is_final": False}]
    assert (final["data"], final["is_final"]) == ("done", True)


def test_a_report_arrives_while_the_tool_works(streams: Face) -> None:
    """`on_progress` is called before the tool ends: here the tool ends only after that; what it raises comes out unchanged."""

    class Enough(Exception):
        pass

    def heard(report: dict[str, Any]) -> None:
        raise Enough(report["progress"])

    with pytest.raises(Enough, match="7"):
        streams.execute("report_and_wait", {"done": 7}, on_progress=heard, timeout=20)
    assert streams.execute("ok") == "ok"


@pytest.mark.parametrize(("tool", "chunks"), [("report_what_cannot_travel", 0), ("report_in_stream_what_cannot_travel", 1)])
def test_a_report_that_cannot_travel(streams: Face, tool: str, chunks: int) -> None:
    """It is the tool's TypeError, at the line that reported, and says where in the report the fault is."""
    got: list[Any] = []
    with pytest.raises(
        snakepit.ToolError, match=r"a progress report cannot travel: the value\['thing'\]\['deep'\]\[0\] key .* is a object"
    ) as caught:
        got = streams.execute(tool) if chunks == 0 else streams.stream(tool, take=got.extend)
    assert caught.value.type == "TypeError"
    assert "self.progress(1, 2, thing=" in caught.value.traceback
    assert len(got) == chunks


def test_reports_on_a_call_that_is_over(streams: Face) -> None:
    """A thread that goes on reporting after its call has ended disturbs nobody."""
    streams.execute("take_events")
    heard: list[dict[str, Any]] = []
    assert streams.execute("report_after_the_end", on_progress=heard.append) == "done"
    streams.execute("let_go", on_progress=heard.append)
    assert streams.execute("take_events") == ["late"]
    assert heard == []
    assert streams.execute("ok") == "ok"


@pytest.mark.parametrize("tool", ["report_only", "report_only_async"])
def test_reports_never_block_and_the_newest_wins(tool: str, tmp_path: pathlib.Path) -> None:
    """With a window of three chunks and nobody reading, 5,000 reports are made at once; the reader then gets the newest."""
    with snakepit.Pool(STREAMS, size=1, window_chunks=3) as pool:
        stream = pool.stream(tool, {"n": 5000, "mark": str(tmp_path / "reported")}, timeout=30)
        wait_until((tmp_path / "reported").exists, "the tool's end, without a reader")
        *reports, final = stream
        done = [report["progress"] for report in reports]
        assert done[:3] == [1, 2, 3]
        assert done[-1] == 5000
        assert len(done) < 5000
        assert done == sorted(set(done))
        assert (final["is_final"], final["_metadata"]["chunks"]) == (True, len(done) + 1)


def test_chunks_wait_for_a_slow_reader_and_reports_do_not() -> None:
    """A tool that reports and yields under a window of two: every value comes, in order, and never a report after a newer one."""
    with face_of("sync", STREAMS, window_chunks=2) as face:
        chunks = face.stream("report_and_yield", {"n": 200})
        assert [chunk["i"] for chunk in chunks if "i" in chunk] == list(range(200))
        done = [chunk["progress"] for chunk in chunks if "progress" in chunk]
        assert done == sorted(set(done))
        assert done[-1] == 200
