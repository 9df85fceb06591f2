"""What tools print: to the host under the worker's id, by the way that `worker_output` says, never into the channel."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import all_ready, wait_until
from snakepit._workers.launchers.lines import MAX_LINE, Lines
from worker_faces import ADAPTERS, SyncFace, adapter, face_of, nothing_left

pytestmark = pytest.mark.slow

PRINTING = adapter("printing", "Printing")
SOURCES = pathlib.Path(snakepit.__file__).parent.parent


class Heard:
    """A function for `worker_output` that remembers."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def __call__(self, worker_id: str, stream: str, line: str) -> None:
        self.told.append((worker_id, stream, line))

    def lines(self, stream: str = "stdout") -> list[str]:
        """What came by one of the two streams."""
        return [line for _, name, line in self.told if name == stream]

    def wait(self, line: str, stream: str = "stdout") -> None:
        """Wait until a line has come; it may come after its call's result."""
        wait_until(lambda: line in self.lines(stream), f"{line[:80]!r} on {stream}")


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Looked at once for the whole module: its pools serve many tests."""
    with nothing_left(tmp_path_factory):
        yield


@pytest.fixture(scope="module")
def printing() -> Iterator[tuple[SyncFace, Heard]]:
    """A pool whose output is heard by a function."""
    heard = Heard()
    with face_of("sync", PRINTING, worker_output=heard) as face:
        heard.wait("printed by initialize")
        yield face, heard


@pytest.fixture
def face(printing: tuple[SyncFace, Heard]) -> SyncFace:
    """The pool."""
    return printing[0]


@pytest.fixture
def heard(printing: tuple[SyncFace, Heard]) -> Heard:
    """What has been heard since the test began."""
    printing[1].told.clear()
    return printing[1]


# What comes ----------------------------------------------------------------------------------------------------------


def test_lines_come_with_the_workers_id_and_the_streams_name(face: SyncFace, heard: Heard) -> None:
    """stdout and stderr, a line each, from the worker that printed it."""
    assert face.execute("say", {"text": "to stdout"}) == 9
    face.execute("say", {"text": "to stderr", "err": True})
    heard.wait("to stdout")
    heard.wait("to stderr", "stderr")
    assert sorted(heard.told) == [("worker-1", "stderr", "to stderr"), ("worker-1", "stdout", "to stdout")]


def test_each_worker_has_its_id() -> None:
    """With two workers, each line says whose it is; what is printed at import, by initialize and by cleanup comes too."""
    heard = Heard()
    with face_of("sync", PRINTING, worker_output=heard, size=2) as face:
        all_ready(face.pool)
    for worker in ("worker-1", "worker-2"):
        lines = [line for worker_id, _, line in heard.told if worker_id == worker]
        assert lines == ["printed at import", "printed by initialize", "printed by cleanup"]


def test_a_partial_line_waits_for_its_end(face: SyncFace, heard: Heard) -> None:
    """What is flushed without a newline is joined with what follows at once; after a moment it is told as it is."""
    face.execute("say_in_parts", {"parts": ["one ", "two ", "three\n"]})
    heard.wait("one two three")
    assert heard.lines() == ["one two three"]
    face.execute("say", {"text": "Continue? ", "end": ""})
    heard.wait("Continue? ")


def test_a_moment_begins_anew_with_each_line() -> None:
    """Text that has just come is not torn because other unfinished text, whose line has ended, came a moment ago."""

    class Timers(asyncio.SelectorEventLoop):
        set: list[asyncio.TimerHandle] = []

        def call_later(self, *args: Any, **options: Any) -> asyncio.TimerHandle:
            self.set.append(super().call_later(*args, **options))
            return self.set[-1]

    with contextlib.closing(Timers()) as loop:
        heard = Heard()
        lines = Lines(loop, "stdout", lambda stream, line, _state: heard("worker-1", stream, line))
        lines.data_received(b"line 1\nli")
        lines.data_received(b"ne 2\nline")
        first, second = loop.set
        assert first.cancelled()
        assert not second.cancelled()
        lines.data_received(b" 3\n")
        assert second.cancelled()
        assert heard.lines() == ["line 1", "line 2", "line 3"]


def test_the_last_partial_line_comes_at_the_end() -> None:
    """A worker that ends in the middle of a line, flushed or not, has that part told."""
    heard = Heard()
    with face_of("sync", "printing:Printing", worker_output=heard) as face:
        face.execute("say", {"text": "flushed ", "end": ""})
        face.execute("unflushed", {"text": "and not"})
    assert "flushed and notprinted by cleanup" in heard.lines()


def test_carriage_returns_and_empty_lines(face: SyncFace, heard: Heard) -> None:
    """Of a bar drawn with carriage returns the last state is shown; CRLF ends a line; empty lines come."""
    face.execute("raw", {"data": b"10%\r20%\r100%\nnext\r\n\nend\n"})
    heard.wait("end")
    assert heard.lines() == ["100%", "next", "", "end"]


@pytest.mark.parametrize("tool", ["raw", "buffer"])
def test_binary(face: SyncFace, heard: Heard, tool: str) -> None:
    """Bytes that are no UTF-8 come as escapes, and the channel never sees them: the same worker goes on."""
    pid = face.pool.workers()[0].info().pid
    every_byte = bytes(range(256)) * 40
    face.execute(tool, {"data": every_byte + b"\n"})
    face.execute(tool, {"data": b"\x00\xff\xfe end\n"})
    heard.wait("\x00\\xff\\xfe end")
    assert "\\x80\\x81" in "".join(heard.lines())
    assert face.execute("say", {"text": "still here"}) == 10
    assert face.pool.workers()[0].info().pid == pid


def test_text_that_no_encoding_holds(face: SyncFace, heard: Heard) -> None:
    """Printing a lone surrogate, as in the name of a broken file, does not fail the tool."""
    face.execute("surrogates")
    heard.wait("a file name: \\udcff")


@pytest.mark.parametrize("newline", [b"\n", b""], ids=["one line", "no newline"])
def test_a_very_long_line_comes_in_parts(face: SyncFace, heard: Heard, newline: bytes) -> None:
    """A line beyond the limit is handed on in parts of at most that size, cut between characters, with nothing lost."""
    text = "a" + "é" * 150_000 + "€" * 50_000 + "😀" * 10_000
    face.execute("raw", {"data": text.encode() + newline})
    face.execute("say", {"text": "" if newline else "\n", "end": "end\n"})
    heard.wait("end")
    *parts, _end = heard.lines()
    assert "".join(parts) == text
    assert len(parts) > 5
    assert max(len(part.encode()) for part in parts) <= MAX_LINE


def test_a_flood_beside_a_stream(face: SyncFace, heard: Heard) -> None:
    """20,000 lines and 20,000 chunks of one tool: all lines in order, all chunks in order."""
    n = 20_000
    assert [chunk.get("i") for chunk in face.stream("many", {"n": n})] == [*range(n), None]
    heard.wait(f"line {n - 1}")
    assert heard.lines() == [f"line {i}" for i in range(n)]


def test_children_threads_and_logging(face: SyncFace, heard: Heard) -> None:
    """What the tool's children, threads and libraries write comes the same way."""
    assert face.execute("by_a_child") == 0
    face.execute("by_a_thread")
    face.execute("by_logging")
    for line in ("from a child", "from a thread"):
        heard.wait(line)
    for line in ("to its stderr", "a library warns"):
        heard.wait(line, "stderr")


def test_there_is_no_terminal(face: SyncFace) -> None:
    """stdin is empty, nothing is a terminal, and text is UTF-8."""
    assert face.execute("on_a_terminal") == ["", False, False, "utf-8"]


# Where it goes -------------------------------------------------------------------------------------------------------


def host(setting: str, *lines: str, before: str = "", redirect: str = "") -> subprocess.CompletedProcess[str]:
    """A program that runs a tool which prints, in an interpreter of its own."""
    program = (
        f"import logging, sys, snakepit\n{before}\n"
        f"with snakepit.Pool({PRINTING!r}, size=1, cwd={str(ADAPTERS)!r}{setting}) as pool:\n"
        f"    print(pool.execute('say', {{'text': 'hello'}}))\n" + "".join(f"    {line}\n" for line in lines)
    )
    env = {**os.environ, "PYTHONPATH": str(SOURCES)}
    # By a shell: a function of this process would run in a fork of it, which gRPC does not survive.
    command = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=50, check=False)


ALL = ["[worker-1] printed at import", "[worker-1] printed by initialize", "[worker-1] hello", "[worker-1] printed by cleanup"]


@pytest.mark.parametrize(
    ("setting", "before"),
    [
        ("", ""),
        (", worker_output='auto'", ""),
        (", worker_output='stderr'", "logging.basicConfig(level=logging.INFO, filename='/dev/null')"),
    ],
    ids=["by default", "auto", "stderr, though there is a log"],
)
def test_to_stderr(setting: str, before: str) -> None:
    """To the host's stderr as `[worker-1] ...`; its stdout has only what the program prints itself."""
    done = host(setting, before=before)
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert done.stderr.splitlines() == ALL


@pytest.mark.parametrize("setting", ["", ", worker_output='log'"], ids=["auto", "log"])
def test_to_the_log(setting: str) -> None:
    """Where logging is set up, lines go to the logger `snakepit.worker` at INFO, and not to stderr as well."""
    formatter = "logging.Formatter('%(name)s %(levelname)s %(message)s %(stream)s', defaults={'stream': 'none'})"
    before = f"shown = logging.StreamHandler(); shown.setFormatter({formatter}); logging.basicConfig(level=logging.INFO, handlers=[shown])"
    done = host(setting, before=before)
    assert (done.returncode, done.stdout) == (0, "5\n")
    others, own = ([line for line in done.stderr.splitlines() if line.startswith("snakepit.worker ") is own] for own in (False, True))
    assert own == [f"snakepit.worker INFO {line} stdout" for line in ALL]
    assert others == ["snakepit.pool INFO the pool's channels use grpc none"]


def test_a_log_that_would_drop_it_swallows_nothing() -> None:
    """A program that logs warnings only, Python's default, still sees on its stderr what workers print."""
    done = host("", before="logging.basicConfig(level=logging.WARNING)")
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert "[worker-1] " in done.stderr


def test_to_nobody() -> None:
    """`worker_output="discard"`: nothing is shown."""
    done = host(", worker_output='discard'")
    assert (done.returncode, done.stdout, done.stderr) == (0, "5\n", "")


def test_a_host_whose_stderr_is_closed() -> None:
    """What a worker prints must not matter to a program without stderr."""
    done = host("", "print(pool.execute('say', {'text': 'x' * 100}))", redirect="2>&-")
    assert (done.returncode, done.stdout) == (0, "5\n100\n")


def test_a_function_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """Its exception is logged, and neither the pool nor the following lines suffer."""
    calls = itertools.count()

    def fail(*_line: str) -> None:
        if next(calls) == 0:
            raise ValueError("cannot show that")
        heard(*_line)

    heard = Heard()
    with face_of("sync", PRINTING, worker_output=fail) as face:
        assert face.execute("say", {"text": "hello"}) == 5
        heard.wait("hello")
    (record,) = [record for record in caplog.records if "worker_output raised" in record.message]
    assert record.levelno == logging.ERROR
    assert isinstance(record.exc_info, tuple)
    assert "cannot show that" in str(record.exc_info[1])


def test_a_function_that_exits() -> None:
    """Even `sys.exit()` in it does not end the loop that all pools share."""

    def leave(*_line: str) -> None:
        sys.exit("no more output")

    with face_of("sync", PRINTING, worker_output=leave) as face:
        assert face.execute("say", {"text": "hello"}, timeout=10) == 5
        assert face.execute("say", {"text": "again"}, timeout=10) == 5


def test_a_function_that_calls_the_pool(caplog: pytest.LogCaptureFixture) -> None:
    """It runs on the pool's own loop: a blocking call there is refused, instead of hanging for ever."""
    asked: list[snakepit.Pool] = []

    def ask(*_line: str) -> None:
        for pool in asked:
            pool.execute("say", {"text": "more"})

    with face_of("sync", PRINTING, worker_output=ask) as face:
        asked.append(face.pool)
        assert face.execute("say", {"text": "hello"}, timeout=10) == 5
        wait_until(lambda: caplog.records)
    error = caplog.records[0].exc_info[1]
    assert isinstance(error, snakepit.PoolError)
    assert error.code == "would_deadlock"
    caplog.clear()  # its tracebacks hold the pool, and that what gRPC keeps for it


def test_codes_of_a_terminal() -> None:
    """Those of nested progress bars come as they are; neither a worker that dies with one open, nor an error with one, harms the pool."""
    heard = Heard()
    with face_of("sync", PRINTING, worker_output=heard) as face:
        face.execute("say", {"text": "\x1b[Aup \x1b[?25l\x1b[2K"})
        heard.wait("\x1b[Aup \x1b[?25l\x1b[2K")
        with pytest.raises(snakepit.UnknownTool):
            face.execute("\x1b[2K")
