"""The profile counts what a path costs per call, at the host and at its workers apart, and leaves nothing behind."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import benchmarks.profile.__main__ as program
import pytest
from benchmarks.profile import frames, parts, paths, syscalls, table
from benchmarks.profile.frames import Function
from benchmarks.profile.instructions import _add
from benchmarks.profile.subject import SIDES, Usage, between


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.profile", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", timeout=55, check=False)


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
def test_python_is_counted_exactly() -> None:
    """Of each call, its function at the host and its tool at the worker run once, within what is counted of those around them."""
    found = frames.count("async-msgpack", "asyncio", 20, 40)
    by_name = {side: {row.name.rpartition(" ")[2]: row for row in found[side].functions} for side in SIDES}
    for side, name in (("host", "AsyncPool.execute"), ("host", "Connection.call"), ("worker", "echo"), ("worker", "CallRunner.run")):
        row = by_name[side][name]
        assert (1 if name != "AsyncPool.execute" else 2) * 0.99 <= row.calls <= 2, row  # a coroutine goes on once
        assert 0 < row.opcodes <= row.within < found[side].opcodes
    assert by_name["worker"]["CallRunner.run"].within > 10 * by_name["worker"]["echo"].within
    assert dict(found["worker"].c_calls)["posix.write"] == pytest.approx(1, abs=0.2)


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
def test_costs_of_a_path_are_printed(root: Path) -> None:
    """A path and a floor, with few calls: the time, the CPU and the Python of both sides, and nothing on stderr."""
    done = run(root, "execute-msgpack", "hop", "--calls", "20", "--top", "3", "--only", "cost", "--only", "frames")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"## execute-msgpack, asyncio\n\n[\d.]+ us per call on the clock\nhost: [\d.]+ us of CPU", done.stdout)
    assert len(re.findall(r"^(?:host|worker): \d+ bytecode instructions", done.stdout, re.MULTILINE)) == 4
    assert "who runs it" in done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.skipif(not syscalls.available(), reason="strace is not installed")
def test_system_calls_are_counted() -> None:
    """A blocking pipe's worker reads a message in two system calls, writes one, and asks for nothing else."""
    assert {name: round(times) for name, times in syscalls.count("pipe", "asyncio", 20, 100)["worker"].items() if times > 0.1} == {
        "read": 2,
        "write": 1,
    }


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.skipif(shutil.which("valgrind") is None or shutil.which("strace") is None, reason="valgrind or strace is not installed")
def test_table_of_a_floor(root: Path) -> None:
    """The table has a row for each side that does something, with exact figures in it."""
    done = run(root, "--table", "--calls", "20", "unix-echo")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| unix-echo")]
    assert [row[2] for row in rows] == ["host", "worker"]
    assert all(int(row[6].replace(",", "")) > 1000 for row in rows)


def test_unknown_path_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A path that there is none of is a usage error, which lists those that there are."""
    with pytest.raises(SystemExit) as refused:
        program.main(["nothing"])
    assert refused.value.code == 2
    said = capsys.readouterr().err
    assert all(name in said for name in (*paths.PATHS, *paths.FLOORS))


def test_cost_is_the_difference_per_call() -> None:
    """CPU time is divided by the calls and split as the ticks fell; a difference of no tick is user time."""
    before = Usage(1.0, 50, 50, 10, 0)
    assert between(before, Usage(1.5, 80, 60, 30, 5), 10) == pytest.approx((37_500, 12_500, 2.0, 0.5))
    assert between(before, Usage(1.000_01, 50, 50, 10, 0), 10) == pytest.approx((1.0, 0.0, 0.0, 0.0))


def test_callgrind_file_is_read(tmp_path: Path) -> None:
    """A function's own instructions count for it and its library; what it called counts where that is told."""
    file = tmp_path / "1"
    file.write_text(
        "events: Ir\n\nob=(1) /lib/libpython3.11.so.1.0\nfl=(1) ceval.c\nfn=(1) eval\n10 100\ncob=(2) /lib/libc.so.6\ncfn=(2) memcpy\n"
        "calls=3 0\n11 5000\n+1 20\n\nob=(2)\nfn=(2)\n5 5000\n\nob=(1)\nfn=(1)\n* 1\n\ntotals: 5121\n"
    )
    own: frames.collections.Counter[tuple[str, str]] = frames.collections.Counter()
    _add(file, own)
    assert own == {("/lib/libpython3.11.so.1.0", "eval"): 121, ("/lib/libc.so.6", "memcpy"): 5000}


def test_every_part_of_the_library_has_its_row() -> None:
    """What is ours is named by what it does; only what is not ours is the rest."""
    names = ("snakepit/_pool/scheduler.py:1 a", "snakepit/_pool/ledger.py:1 b", "snakepit_bridge/_runtime/calls.py:1 c", "queue.py:1 d")
    shares = dict(parts.shares(Function(name, 1.0, 2.0, 3.0) for name in names))
    assert len(shares) == 4
    assert shares["the rest of the standard library"] == 2.0


def test_chunks_are_counted_by_more() -> None:
    """A chunk costs so little that fifty are counted for each call of the others."""
    assert table.Counts.of("stream-grpc", 10) == (5000, 10_000, 500)
    assert table.Counts.of("pipe", 10) == (100, 200, 10)
