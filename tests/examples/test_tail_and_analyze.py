"""The log tool, driven directly on a scripted clock: each pause of the tool runs the next act of the log's writer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def tools(example: Callable[..., ModuleType]) -> ModuleType:
    """The module under test."""
    return example("tail_and_analyze_tools")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the log lies; not made yet."""
    return tmp_path / "app.log"


class Writer:
    """Stands in for the module `time`: each sleep runs the next act; the clock passes the end when all have run."""

    def __init__(self, acts: list[Callable[[], object]]) -> None:
        self.acts = acts
        self.now = 0.0

    def monotonic(self) -> float:
        """The scripted time in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """One act per pause, and two empty pauses at the end, so that the tool sees what the last act did."""
        assert 0 < seconds <= 0.05
        if self.acts:
            self.acts.pop(0)()
        else:
            self.now += 0.5


@pytest.fixture
def follow(tools: ModuleType, log: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Follows the log while the acts run, one per pause, and gives the matches; all acts must have run."""

    def run(*acts: Callable[[], object], **arguments: Any) -> list[dict[str, Any]]:
        writer = Writer(list(acts))
        monkeypatch.setattr(tools, "time", writer)
        arguments = {"patterns": ["ERROR"], "max_seconds": 1.0, **arguments}
        *chunks, final = tools.LogAdapter().tail_and_analyze(str(log), **arguments)
        assert not writer.acts
        assert final["is_final"] is True
        assert final["matches"] == len(chunks)
        return chunks

    return run


def add(path: Path, text: str | bytes) -> Callable[[], object]:
    """An act that appends to a file."""

    def act() -> None:
        with path.open("ab") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    return act


def lines_of(chunks: list[dict[str, Any]]) -> list[str]:
    """The matched lines."""
    return [chunk["log_line"] for chunk in chunks]


def test_a_finished_log_is_read_to_its_end(tools: ModuleType, log: Path) -> None:
    """With follow off the tool reports every match with the guide's keys and ends with a message."""
    log.write_text("2025-01-20T15:30:44 INFO up\n2025-01-20T15:30:45 ERROR Database connection failed\nlast ERROR", encoding="utf-8")
    first, second, final = tools.LogAdapter().tail_and_analyze(str(log), ["ERROR"], follow=False)
    assert first == {
        "line_number": 2,
        "log_line": "2025-01-20T15:30:45 ERROR Database connection failed",
        "pattern_matched": "ERROR",
        "severity": "ERROR",
        "timestamp": "2025-01-20T15:30:45",
        "context": ["2025-01-20T15:30:44 INFO up"],
        "is_final": False,
    }
    assert (second["log_line"], second["line_number"], second["timestamp"]) == ("last ERROR", 3, None)
    assert final == {"is_final": True, "message": "Log analysis complete", "lines_read": 3, "matches": 2}


def test_new_lines_are_reported_when_they_are_whole(follow: Callable[..., list[dict[str, Any]]], log: Path) -> None:
    """A line written in parts is one line, reported once its end has come."""
    log.write_text("ERROR one\n", encoding="utf-8")
    chunks = follow(add(log, "ERR"), add(log, "OR tw"), add(log, "o\nERROR thr"), add(log, "ee\r\nERROR no end"))
    assert lines_of(chunks) == ["ERROR one", "ERROR two", "ERROR three"]
    assert [chunk["line_number"] for chunk in chunks] == [1, 2, 3]


def test_from_start_off_reports_only_what_is_added(follow: Callable[..., list[dict[str, Any]]], log: Path) -> None:
    """What was in the file already is not reported, but counts for line numbers and context."""
    log.write_text("ERROR old\ncalm\n", encoding="utf-8")
    (chunk,) = follow(add(log, "ERROR new\n"), from_start=False)
    assert (chunk["log_line"], chunk["line_number"], chunk["context"]) == ("ERROR new", 3, ["ERROR old", "calm"])


def test_rotation_is_followed_without_a_gap(follow: Callable[..., list[dict[str, Any]]], log: Path) -> None:
    """Lines written to the old file after the rename, and to the new one, arrive in order and once."""
    log.write_text("ERROR 1\n", encoding="utf-8")
    old = log.with_suffix(".1")
    chunks = follow(
        lambda: log.rename(old),
        add(old, "ERROR 2\n"),
        log.touch,
        add(old, "ERROR 3\n"),  # its writer has not noticed yet
        lambda: (add(old, "ERROR 4, no end")(), add(log, "ERROR 5\n")()),
        add(log, "ERROR 6\n"),
    )
    assert lines_of(chunks) == ["ERROR 1", "ERROR 2", "ERROR 3", "ERROR 4, no end", "ERROR 5", "ERROR 6"]
    assert [chunk["line_number"] for chunk in chunks] == [1, 2, 3, 4, 1, 2]
    assert chunks[4]["context"] == ["ERROR 2", "ERROR 3", "ERROR 4, no end"]


def test_two_rotations_in_a_row(follow: Callable[..., list[dict[str, Any]]], log: Path) -> None:
    """A second rotation is followed like the first."""
    log.write_text("ERROR 1\n", encoding="utf-8")
    chunks = follow(
        lambda: (log.rename(log.with_suffix(".1")), add(log, "ERROR 2\n")()),
        lambda: (log.rename(log.with_suffix(".2")), add(log, "ERROR 3\n")()),
    )
    assert lines_of(chunks) == ["ERROR 1", "ERROR 2", "ERROR 3"]


def test_truncation_starts_the_file_anew(follow: Callable[..., list[dict[str, Any]]], log: Path) -> None:
    """After a truncation the file is read from its beginning, and half a line of before is forgotten."""
    log.write_text("ERROR one\nERROR ha", encoding="utf-8")
    chunks = follow(lambda: log.write_text("", encoding="utf-8"), add(log, "ERROR two\n"))
    assert [(chunk["log_line"], chunk["line_number"]) for chunk in chunks] == [("ERROR one", 1), ("ERROR two", 1)]


@pytest.mark.parametrize(("context_lines", "expected"), [(0, []), (1, ["c"]), (2, ["b", "c"]), (9, ["a", "b", "c"])])
def test_context_lines_are_honoured(tools: ModuleType, log: Path, context_lines: int, expected: list[str]) -> None:
    """A match carries as many lines before it as asked for, or as there are."""
    log.write_text("a\nb\nc\nERROR\n", encoding="utf-8")
    chunk = next(tools.LogAdapter().tail_and_analyze(str(log), ["ERROR"], context_lines=context_lines))
    assert chunk["context"] == expected


def test_each_pattern_that_matches_gives_a_chunk(tools: ModuleType, log: Path) -> None:
    """A line that two patterns match is reported under both."""
    log.write_text("FATAL: OutOfMemoryError: Java heap space\n", encoding="utf-8")
    *chunks, _ = tools.LogAdapter().tail_and_analyze(str(log), ["ERROR", "FATAL", r"OutOf\w+Error"], follow=False)
    assert [(chunk["pattern_matched"], chunk["severity"]) for chunk in chunks] == [("FATAL", "FATAL"), (r"OutOf\w+Error", "FATAL")]


def test_bytes_that_are_no_text_are_replaced(tools: ModuleType, log: Path) -> None:
    """Invalid UTF-8 is shown as replacement characters and stops nothing."""
    log.write_bytes(b"ERROR \xff\xfe bytes\nERROR next\n")
    *chunks, _ = tools.LogAdapter().tail_and_analyze(str(log), ["ERROR"], follow=False)
    assert lines_of(chunks) == ["ERROR \ufffd\ufffd bytes", "ERROR next"]


def test_a_line_without_end_is_given_in_pieces(tools: ModuleType, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without line ends cannot fill the memory."""
    monkeypatch.setattr(tools, "LONGEST_LINE", 100)
    monkeypatch.setattr(tools, "READ_BYTES", 60)
    log.write_bytes(b"x" * 250)
    with tools.FollowedFile(str(log)) as file:
        assert [len(line) for _, line in file.lines(follow=False)] == [120, 120, 10]


def test_closing_the_stream_closes_the_file(tools: ModuleType, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is left midway leaves no open file."""
    opened: list[Any] = []
    monkeypatch.setattr(tools.FollowedFile, "__enter__", lambda file: opened.append(file) or file)
    log.write_text("ERROR\nERROR\n", encoding="utf-8")
    stream: Iterator[dict[str, Any]] = tools.LogAdapter().tail_and_analyze(str(log), ["ERROR"])
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert opened[0]._file.closed


def test_wrong_arguments_are_named(tools: ModuleType, log: Path) -> None:
    """A missing log, a broken pattern and a negative context say so at once."""
    with pytest.raises(FileNotFoundError):
        list(tools.LogAdapter().tail_and_analyze(str(log), ["x"]))
    log.touch()
    with pytest.raises(ValueError, match=r"patterns: '\(' is no regular expression"):
        list(tools.LogAdapter().tail_and_analyze(str(log), ["("]))
    with pytest.raises(ValueError, match="context_lines: got -1"):
        list(tools.LogAdapter().tail_and_analyze(str(log), ["x"], context_lines=-1))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2025-01-20T15:30:45 ERROR x", "2025-01-20T15:30:45"),
        ("[2025-01-20T15:30:45.5Z] x", "2025-01-20T15:30:45.500000+00:00"),
        ("2025-01-20 15:30:45,123 - root - ERROR", "2025-01-20T15:30:45.123000"),
        ("at 2025-01-20 15:30:45+0200 it", "2025-01-20T15:30:45+02:00"),
        ("2025-01-20T15:30:45.123456789Z x", "2025-01-20T15:30:45.123456+00:00"),
        ('127.0.0.1 - - [20/Jan/2025:15:30:45 +0100] "GET /" 500 2', "2025-01-20T15:30:45+01:00"),
        ("Jan 20 15:30:45 host app[1]: x", "2025-01-20T15:30:45"),
        ("<34>Jan  2 15:30:45 host x", "2025-01-02T15:30:45"),
        ("Dec 31 23:59:59 host x", "2024-12-31T23:59:59"),
        ("Feb 29 10:00:00 host x", "2024-02-29T10:00:00"),
        ("2025-02-31T15:30:45 x", None),
        ("[20/Foo/2025:15:30:45 +0100] x", None),
        ("Jan 45 15:30:45 host x", None),
        ("no time at all", None),
    ],
)
def test_timestamps_come_from_the_line(tools: ModuleType, line: str, expected: str | None) -> None:
    """ISO, common log and syslog times are read; what only looks like a time gives None."""
    assert tools.parse_timestamp(line, datetime(2025, 1, 21)) == expected


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("12:00 FATAL gone", "FATAL"),
        ("CRITICAL gone", "FATAL"),
        ("level=error msg=x", "ERROR"),
        ("WARNING: high", "WARN"),
        ("INFO: recovered from error", "INFO"),
        ("OutOfMemoryError", "INFO"),
    ],
)
def test_severity_is_the_first_level_word(tools: ModuleType, line: str, severity: str) -> None:
    """The level is the first word in the line that names one."""
    assert tools.severity_of(line) == severity


def test_the_real_clock_ends_it_too(tools: ModuleType, log: Path) -> None:
    """With the real clock, following ends by itself after max_seconds."""
    log.write_text("ERROR\n", encoding="utf-8")
    start = time.monotonic()
    chunks = list(tools.LogAdapter().tail_and_analyze(str(log), ["ERROR"], max_seconds=0.06))
    assert len(chunks) == 2
    assert 0.06 <= time.monotonic() - start < 5
