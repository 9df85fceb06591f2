"""`snakepit run --record` and `snakepit.testing.replay`: what was recorded is played again."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

import snakepit
from snakepit.testing import AsyncMemoryPool, TurnedClock, replay, replay_async

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

TOOLS = str(pathlib.Path(__file__).with_name("recorded_tools.py"))


def recorded(folder: pathlib.Path, *words: str, status: int = 0) -> pathlib.Path:
    """Record a call of a tool with real workers."""
    path = folder / f"{words[0]}.jsonl"
    command = [sys.executable, "-m", "snakepit", "run", *words, "-a", TOOLS, "--record", str(path)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == status, done.stderr
    return path


def events(path: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_stream_is_written_down_and_played(tmp_path: pathlib.Path) -> None:
    """Every chunk with its time, bytes and metadata too, and its return value; an argument that is a secret is masked wherever it is."""
    path = recorded(tmp_path, "train", "n=3", "api_key=sk_live_abcdefgh1234")
    head, *steps = events(path)
    assert head == {"snakepit_recording": 1, "tool": "train", "adapter": TOOLS, "args": {"n": 3, "api_key": "***"}, "streaming": True}
    assert "sk_live" not in path.read_text(encoding="utf-8")
    assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)
    assert steps[2]["at"] >= 0.15
    with replay(path, delays=False) as pool:
        stream = pool.stream("train", {"n": 3})
        values = list(stream.values())
        assert values == [*({"n": n, "key": "***", "raw": b"ab"} for n in range(3)), "bare", {"x": 1}]
        assert stream.result == {"done": 3}
        (chunk,) = [chunk for chunk in pool.stream("train", {"whatever": 1}) if "x" in chunk]
        assert chunk["_metadata"] == {"m": [1, 2]}


def test_recorded_times_pass_under_the_clock(tmp_path: pathlib.Path) -> None:
    """Chunks come when they came; with the turned clock that takes no time."""
    path = recorded(tmp_path, "train", "n=2")
    at = [step["at"] for step in events(path)[1:]]
    with TurnedClock() as clock, replay(path) as pool:
        pool.start()
        began = clock.now
        came = [clock.now - began for _ in pool.stream("train").values()]
        assert came == pytest.approx(at[:-1])


def test_one_result_its_reports_and_a_tools_own_last_chunk(tmp_path: pathlib.Path) -> None:
    """Several recordings make one pool; each call of a tool plays the next one, then the last again."""
    first, marked = recorded(tmp_path, "add", "a=1", "b=2"), recorded(tmp_path, "marked")
    second = tmp_path / "second.jsonl"
    second.write_text(first.read_text(encoding="utf-8").replace('"result":3', '"result":4'), encoding="utf-8")
    with replay(first, second, marked, delays=False) as pool:
        told: list[Any] = []
        results = [pool.execute("add", {}, on_progress=told.append) for _ in range(3)]
        chunks = list(pool.stream("marked"))
    assert results == [3, 4, 4]
    assert told[0] == {"progress": 1, "total": 2, "percent": 50.0, "message": "half"}
    assert [(chunk["n"], chunk["is_final"]) for chunk in chunks] == [(0, False), (1, True)]
    assert chunks[-1]["_metadata"]["own"] is True


def test_errors_deaths_and_timeouts_are_played_as_they_were(tmp_path: pathlib.Path) -> None:
    """The tool's exception by its name; the worker's death, after which another one serves; what never ended goes on until its caller ends it."""
    fail, die = recorded(tmp_path, "fail", status=1), recorded(tmp_path, "die", status=1)
    hang = recorded(tmp_path, "hang", "--timeout", "0.2", status=124)
    assert events(fail)[-1]["error"] == {"code": "tool_error", "type": "KeyError", "message": "'no such row'"}
    assert events(die)[-1]["error"]["code"] == "worker_crashed"
    with TurnedClock() as clock, replay(fail, die, hang) as pool:
        for _ in range(2):
            with pytest.raises(snakepit.ToolError, match="tool 'fail' raised KeyError at chunk 1: 'no such row'"):
                list(pool.stream("fail"))
            got = []
            with pytest.raises(snakepit.WorkerCrashed):
                got.extend(pool.stream("die"))
        began = clock.now
        with pytest.raises(snakepit.WorkerTimeout):
            pool.execute("hang", timeout=30)
        assert clock.now - began == 30


async def test_it_is_there_for_asyncio(tmp_path: pathlib.Path) -> None:
    """The same pool with await; a file may be written by hand."""
    path = tmp_path / "hand.jsonl"
    path.write_text('{"snakepit_recording": 1, "tool": "greet"}\n{"at": 0, "result": "hello"}\n', encoding="utf-8")
    async with replay_async(path) as pool:
        assert isinstance(pool, AsyncMemoryPool)
        assert await pool.execute("greet", {"name": "Ada"}) == "hello"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1 is not the head of a recording"),
        ('{"tool": "x"}\n', "line 1 is not the head of a recording"),
        ('{"snakepit_recording": 1, "tool": "x"}\nnonsense\n', "line 2 is not JSON"),
        ('{"snakepit_recording": 1, "tool": "x"}\n{"chunk": 1}\n', r"line 2 is {\"chunk\": 1}; allowed is"),
    ],
)
def test_a_file_that_is_none_is_refused_by_its_line(tmp_path: pathlib.Path, text: str, words: str) -> None:
    """And what writes one is named."""
    path = tmp_path / "none.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(snakepit.ConfigurationError, match=words) as caught:
        replay(path)
    assert "--record FILE" in caught.value.hint
    with pytest.raises(snakepit.ConfigurationError, match="cannot be read: No such file"):
        replay(tmp_path / "missing.jsonl")
    with pytest.raises(snakepit.ConfigurationError, match="has no file"):
        replay()


def test_a_file_that_cannot_be_written_is_told_before_a_worker_starts(tmp_path: pathlib.Path) -> None:
    """With exit code 2, as for every wrong command."""
    command = [sys.executable, "-m", "snakepit", "run", "ping", "--record", str(tmp_path / "no" / "such.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 2
    assert "--record: cannot write" in done.stderr
    assert "No such file or directory" in done.stderr
