"""The command `snakepit` as it is used: real processes, real pipes, a real terminal, real signals."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
import time

import pytest

import snakepit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

COMMAND = (sys.executable, "-m", "snakepit")
TOOLS = """
import os, pathlib, sys, time
from snakepit_bridge.base_adapter import progress, tool

def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.005)

@tool(description="Give back what came")
def typed(a: int, b: "float | None" = None, c: bool = False, d: list = (), f: str = "x"):
    return {"a": a, "b": b, "c": c, "d": d, "f": f}

@tool
def blob() -> bytes:
    return bytes(range(256))

@tool
def endless(gate: str, done: str):
    try:
        yield {"message": "started"}
        wait_for(gate)
        yield {"message": "went on"}
    finally:
        pathlib.Path(done).touch()

@tool
def work(n: int):
    for i in range(n):
        progress(i + 1, n, message="working hard")
    print("a word of the tool")
    return "all done"

@tool
def mixed(n: int):
    for i in range(n):
        yield {"item": i, "error": "unreadable"} if i == 1 else {"progress": i + 1, "total": n, "message": "step"}
    print("chunks are made")
    return {"final_stats": {"rows": n}}

@tool
def fails(n: int):
    for i in range(n):
        yield {"i": i}
    raise KeyError("no such thing")

@tool
def too_many():
    yield {"is_final": True, "rows": 1}
    yield {"more": 1}

@tool
def hidden():
    return (i for i in range(3))
"""


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A working directory with `tools.py` in it."""
    (tmp_path / "tools.py").write_text(TOOLS)
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    """The environment of a command: this package importable, nothing that would colour its output."""
    env = {key: value for key, value in os.environ.items() if key not in {"FORCE_COLOR", "NO_COLOR", "COLUMNS", "GITHUB_ACTIONS"}}
    paths = [str(pathlib.Path(snakepit.__file__).parents[1]), env.get("PYTHONPATH", "")]
    return {**env, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "TERM": "xterm", **more}


def run(*words: str, cwd: pathlib.Path | None = None, text: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """One command from start to end, its output in pipes."""
    return subprocess.run(
        [*COMMAND, *words], cwd=cwd, input=text, env=environment(**more), capture_output=True, text=True, timeout=50, check=False
    )


def start(*words: str, cwd: pathlib.Path) -> subprocess.Popen[str]:
    """One command in the background."""
    return subprocess.Popen([*COMMAND, *words], cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def on_terminal(*words: str, cwd: pathlib.Path) -> tuple[int, str]:
    """One command on a terminal of its own: exit code, and everything that was written to it."""
    ours, its = pty.openpty()
    process = subprocess.Popen([*COMMAND, *words], cwd=cwd, env=environment(COLUMNS="100"), stdin=its, stdout=its, stderr=its)
    os.close(its)
    seen = bytearray()
    try:
        while piece := os.read(ours, 65536):
            seen += piece
    except OSError:  # The terminal's other end is closed.
        pass
    os.close(ours)
    return process.wait(50), seen.decode()


def endless(folder: pathlib.Path) -> list[str]:
    """The words that run a stream which waits after its first chunk until the file `gate` is there."""
    return ["run", "endless", "-a", "./tools.py", f"gate={folder / 'gate'}", f"done={folder / 'done'}"]


def wait_until_exists(path: pathlib.Path) -> bool:
    """Has the tool reached its end? Asked for at most 20 seconds."""
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    return path.exists()


def test_a_unary_result_is_indented_json(folder: pathlib.Path) -> None:
    """Arguments are converted by the signature of a tool in ./tools.py; `--args -` gives what the words do not."""
    done = run(
        "run", "typed", "b=null", "c=yes", "d:=[1]", "f=5", "--adapter", "./tools.py", "--args", "-", cwd=folder, text='{"a": 7, "f": "y"}'
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == '{\n  "a": 7,\n  "b": null,\n  "c": true,\n  "d": [\n    1\n  ],\n  "f": "5"\n}\n'


def test_text_results_are_plain_and_prints_go_to_stderr(folder: pathlib.Path) -> None:
    """Standard output holds the result alone; a module in the current directory is an adapter too."""
    done = run("run", "work", "n=3", "-a", "tools", cwd=folder, FORCE_COLOR="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "all done\n", "[worker-1] a word of the tool\n")


def test_bytes_are_written_as_they_are(folder: pathlib.Path) -> None:
    """A result that is a file by nature can be sent into a file."""
    done = subprocess.run(
        [*COMMAND, "run", "blob", "-a", "tools.py"], cwd=folder, env=environment(), capture_output=True, timeout=50, check=True
    )
    assert done.stdout == bytes(range(256))


def test_a_piped_stream_is_one_plain_line_per_chunk(tmp_path: pathlib.Path) -> None:
    """The showcase needs no adapter; no escape code is written even when colour is forced."""
    done = run("run", "stream_progress", "steps=2", "delay_ms=0", cwd=tmp_path, FORCE_COLOR="1")
    assert done.stdout == "Step 1 of 2  progress=50.0 step=1 total=2\nStep 2 of 2  progress=100.0 step=2 total=2\n"
    assert (done.returncode, done.stderr) == (0, "")


def test_json_is_one_document_per_chunk(tmp_path: pathlib.Path) -> None:
    """Each line is a chunk with its envelope; the last one is final and carries the metadata."""
    done = run("run", "ping_stream", "count=3", "--json", cwd=tmp_path)
    chunks = [json.loads(line) for line in done.stdout.splitlines()]
    assert [chunk["is_final"] for chunk in chunks] == [False, False, True]
    assert chunks[-1]["_metadata"]["worker_id"] == "worker-1"
    assert done.returncode == 0


def test_each_chunk_is_written_while_the_tool_works(folder: pathlib.Path) -> None:
    """The first line can be read before the tool may make its second chunk."""
    with start(*endless(folder), cwd=folder) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        (folder / "gate").touch()
        assert process.stdout.read() == "went on\n"
    assert process.returncode == 0


def test_a_terminal_shows_a_bar_and_then_the_final_payload(folder: pathlib.Path) -> None:
    """The bar ends full; what is no progress and what the worker prints are lines of their own."""
    code, seen = on_terminal("run", "mixed", "n=4", "-a", "tools.py", cwd=folder)
    assert code == 0
    assert "\x1b[" in seen
    assert "━" in seen
    assert "4/4" in seen
    assert "item=1 error=unreadable" in seen
    assert "[worker-1] chunks are made" in seen
    assert seen.rstrip().endswith('final_stats={"rows": 4}')


def test_reports_of_a_unary_tool_drive_the_bar(folder: pathlib.Path) -> None:
    """`progress(...)` in a tool without stream is shown the same way, and the result comes after it."""
    code, seen = on_terminal("run", "work", "n=3", "-a", "tools.py", cwd=folder)
    assert code == 0
    assert "working hard" in seen
    assert "3/3" in seen
    assert seen.rstrip().endswith("all done")


def test_a_tools_error_ends_with_its_own_traceback(folder: pathlib.Path) -> None:
    """What came before stays delivered, the last lines are the user's code, and with --json the last line is the error."""
    done = run("run", "fails", "n=2", "-a", "tools.py", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "i=0\ni=1\n")
    assert done.stderr.splitlines()[-2:] == ['    raise KeyError("no such thing")', "KeyError: 'no such thing'"]
    error = json.loads(run("run", "fails", "n=2", "-a", "tools.py", "--json", cwd=folder).stdout.splitlines()[-1])["error"]
    assert (error["code"], error["type"], error["chunk"], error["tool"]) == ("tool_error", "KeyError", 2, "fails")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["typd"], "did you mean 'typed'?"),
        (["typed", "aa=1"], "did you mean 'a'?"),
        (["typed"], "'a' (int) must be given"),
        (["typed", "a=x"], "a: got 'x', allowed is an integer"),
        (["typed", "a:=2.5"], "'a' must be int"),
        (["hidden"], "put @tool(supports_streaming=True) above it"),
        (["ping", "-a", "nothing_like_it"], "no module named 'nothing_like_it'"),
    ],
)
def test_a_wrong_call_exits_with_2_and_says_how_to_mend_it(words: list[str], sentence: str, folder: pathlib.Path) -> None:
    """Unknown tools, parameters and adapters, and values that do not fit; a program reads the same as a document."""
    done = run("run", "-a", "tools.py", "--json", *words, cwd=folder)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert json.loads(done.stdout)["error"]["code"] in {"unknown_tool", "invalid_parameter", "tool_streams", "adapter_error"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "ping", "nonsense"], "key=value, key:=JSON and key=@file"),
        (["run", "ping", "a=@missing"], "a: cannot read the file 'missing'"),
        (["run", "ping", "--timeout", "0"], "--timeout: got 0, allowed is a number of seconds above 0"),
        (["run", "ping", "--size", "0"], "size is 0"),
        (["run", "ping", "--adapter", "./tols.py"], "did you mean tools.py"),
        (["run", "ping", "--sise", "2"], "--size"),
        (["ruin", "ping"], "No such command 'ruin'"),
    ],
)
def test_a_malformed_command_exits_with_2(words: list[str], sentence: str, folder: pathlib.Path) -> None:
    """What needs no worker to be seen is told before one starts."""
    done = run(*words, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_a_deadline_exits_with_124(tmp_path: pathlib.Path) -> None:
    """`--timeout` cancels the call and says so."""
    done = run("run", "progress_stream", "delay=60", "--timeout", "0.3", cwd=tmp_path)
    assert done.returncode == 124
    assert "did not end within 0.3 s" in done.stderr


@pytest.mark.parametrize(("number", "name", "code"), [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)])
def test_ctrl_c_cancels_the_call_and_says_so_in_one_line(number: int, name: str, code: int, folder: pathlib.Path) -> None:
    """The tool's own `finally` has run when the command ends."""
    with start(*endless(folder), cwd=folder) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        _, words = process.communicate(timeout=50)
    assert (process.returncode, words) == (code, f"snakepit: {name}: cancelled endless after 1 chunk\n")
    assert wait_until_exists(folder / "done")


def test_a_reader_that_leaves_ends_it_quietly(folder: pathlib.Path) -> None:
    """As with `| head -1`: no words, no traceback, the call is cancelled although the tool is silent."""
    with start(*endless(folder), cwd=folder) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 141
    assert wait_until_exists(folder / "done")


def test_a_reader_that_leaves_a_flood_ends_it_quietly(tmp_path: pathlib.Path) -> None:
    """A stream that is written without pause ends the same way."""
    with start("run", "ping_stream", "count=100000000", cwd=tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_the_librarys_warnings_are_told(folder: pathlib.Path) -> None:
    """A tool that goes on after its final chunk is named."""
    done = run("run", "too_many", "-a", "tools.py", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "rows=1\n")
    assert "'too_many'" in done.stderr


def test_tools_are_listed_for_people_and_for_programs(folder: pathlib.Path) -> None:
    """Aligned columns with nothing cut, one JSON document per tool, and a table on a terminal."""
    lines = run("tools", "-a", "tools.py", cwd=folder).stdout.splitlines()
    assert lines[0].split() == ["TOOL", "PARAMETERS", "STREAMS", "DESCRIPTION"]
    assert next(line for line in lines if line.startswith("typed")).endswith("  Give back what came")
    documents = [json.loads(line) for line in run("tools", "-a", "tools.py", "--json", cwd=folder).stdout.splitlines()]
    assert [document["name"] for document in documents] == sorted(line.split()[0] for line in lines[1:])
    assert {document["name"] for document in documents if document["streaming"]} == {"endless", "fails", "mixed", "too_many"}
    code, seen = on_terminal("tools", cwd=folder)
    assert code == 0
    assert "stream_progress" in seen
    assert "delay_ms: float = 750" in seen


def test_help_and_version_need_no_worker(tmp_path: pathlib.Path) -> None:
    """The help has examples and exit codes, and keeps their lines apart."""
    words = run("run", "--help", cwd=tmp_path).stdout
    assert "  snakepit run compute operation=add a=2 b=3\n" in words
    assert "130 Ctrl-C" in words
    assert "\x1b" not in words
    assert run("--version", cwd=tmp_path).stdout == f"snakepit {snakepit.__version__}\n"


def test_closed_standard_streams_are_no_traceback(folder: pathlib.Path) -> None:
    """Without standard output the work is done all the same; without standard error the exit code tells."""
    for closed, words, code in ((1, ["work", "n=1"], 0), (2, ["work", "m=1"], 2), (0, ["work", "--args", "-"], 2)):
        shell = ["sh", "-c", f'exec "$@" {closed}>&-', "sh", *COMMAND, "run", "-a", "tools.py", *words]
        done = subprocess.run(shell, cwd=folder, env=environment(), capture_output=True, text=True, timeout=50, check=False)
        assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (code, False)


def test_without_its_libraries_the_command_says_what_to_install() -> None:
    """One sentence, exit code 2."""
    code = "import sys; sys.modules['typer'] = None; from snakepit.cli import main; sys.exit(main(['tools']))"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 2
    assert done.stderr == "snakepit: the command line needs typer: pip install 'snakepit-bridge[cli]'\n"


def test_a_log_level_is_heeded() -> None:
    """`SNAKEPIT_LOG_LEVEL=DEBUG` shows what the library does, on standard error; without it nothing is said."""
    done = run("run", "compute", "operation=add", "a=2", "b=3", SNAKEPIT_LOG_LEVEL="DEBUG")
    assert done.stdout == "5\n"
    assert "DEBUG snakepit.pool [" in done.stderr
    assert run("run", "compute", "operation=add", "a=2", "b=3").stderr == ""


def test_compat_install(tmp_path: pathlib.Path) -> None:
    """The scripts are written once and again; another program of that name is left alone unless --force says otherwise."""

    def install(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, "compat", "install", str(tmp_path), *options], capture_output=True, text=True, check=False)

    for _ in range(2):
        done = install("--json")
        assert [pathlib.Path(path).name for path in json.loads(done.stdout)["written"]] == [
            "grpc_server.py",
            "grpc_server_threaded.py",
            "snakepit_bridge",
        ]
    earlier = (tmp_path / "grpc_server.py").read_text().replace("sys.path.insert(0, SDK)", "sys.path.insert(0, OURS)")
    (tmp_path / "grpc_server.py").write_text(earlier)
    assert install().returncode == 0
    assert (tmp_path / "grpc_server.py").read_text() != earlier
    (tmp_path / "grpc_server.py").write_text("print('mine')")
    done = install()
    assert (done.returncode, "is there already, and is another program" in done.stderr) == (2, True)
    assert (tmp_path / "grpc_server.py").read_text() == "print('mine')"
    assert install("--force").returncode == 0
    (tmp_path / "grpc_server.py").unlink()
    (tmp_path / "grpc_server.py").mkdir()
    done = install()
    assert (done.returncode, "is there already, and is another program" in done.stderr) == (2, True)
    (tmp_path / "grpc_server.py").rmdir()
