"""`snakepit doctor` on this machine, with real interpreters, real workers and real faults."""

from __future__ import annotations

import importlib.metadata
import json
import pathlib
import platform
import re
import subprocess
import sys

import pytest

import snakepit
from snakepit._cpus import usable_cpus
from snakepit.cli import doctor_command
from snakepit.cli.doctor_command import DoctorCommand
from snakepit_bridge.wire.installed import install_command, is_installed
from test_cli import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("leaves_nothing"),
    pytest.mark.skipif(sys.platform != "linux", reason="the lines are Linux's"),
]

_VERSIONS = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("grpcio", "msgspec", "msgpack"))
_WORKERS = "1 worker" if usable_cpus() == 1 else f"{usable_cpus()} workers"


#: What is said of limits and surroundings, which are this machine's own; `test_cli_doctor_machine` looks at them.
_MACHINE = ("permissions", "leftovers", "settings", "stubs", "open files", "processes", "memory", "shared memory")


def told(text: str) -> list[str]:
    """The lines of an examination, but for those of `_MACHINE` and their cures."""
    lines: list[str] = []
    ours = False
    for line in text.splitlines():
        ours = line.startswith(_MACHINE) or (ours and line.startswith("  cure"))
        lines += [] if ours else [line]
    return lines


def head(directory: pathlib.Path) -> list[str]:
    """The lines about the machine."""
    return [
        f"platform       Linux {platform.release()} on {platform.machine()}: all that is promised holds",
        f"cpus           {usable_cpus()} usable: {_WORKERS} by default",
        f"run directory  {directory}: unix sockets fit",
        f"host           {sys.executable}: CPython {platform.python_version()}, {_VERSIONS}",
    ]


def bare_lines(python: str, protocol: str = "") -> list[str]:
    """The lines about an interpreter that has nothing."""
    return [
        f"workers        {python}: CPython {platform.python_version()}, no grpcio, no MessagePack library",
        *([f"  protocol     {protocol}"] if protocol else []),
        f"  not grpc     protocol 'grpc' needs grpcio, which {python} does not have",
        f"    cure       {python} -m ensurepip && {python} -m pip install grpcio",
    ]


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A directory for sockets."""
    return tmp_path_factory.mktemp("d")


@pytest.fixture
def bare(tmp_path: pathlib.Path) -> str:
    """The interpreter of an environment with nothing in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    return str(tmp_path / "bare" / "bin" / "python")


def test_a_sound_machine(short: pathlib.Path) -> None:
    """Without options: this Python on both sides, and nothing is left of the look at it."""
    done = run("doctor", TMPDIR=str(short))
    assert told(done.stdout) == [*head(short), "workers        the same Python", "  protocol     grpc", "a pool would start"]
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(short.iterdir())


def test_an_interpreter_with_nothing_is_good_enough(bare: str, short: pathlib.Path) -> None:
    """The steps down from gRPC are told with their cures; one named by its environment is the same; a pool starts."""
    done = run("doctor", "--python", str(pathlib.Path(bare).parents[1]), TMPDIR=str(short))
    assert told(done.stdout) == [
        *head(short),
        *bare_lines(bare, "json"),
        f"  not msgpack  protocol 'msgpack' needs msgspec or msgpack, which {bare} does not have",
        f"    cure       {bare} -m ensurepip && {bare} -m pip install msgspec",
        "a pool would start",
    ]
    assert (done.returncode, done.stderr) == (0, "")


def test_directories_are_no_libraries(tmp_path: pathlib.Path, short: pathlib.Path) -> None:
    """What lies where the doctor is asked, and is called like a library, changes nothing; a path with a space is quoted in the cures."""
    folder = tmp_path / "with space"
    for name in ("grpc", "msgpack", "msgspec"):
        (folder / name).mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "bare"], check=True)
    python = f"{folder}/bare/bin/python"
    done = run("doctor", "--python", python, cwd=folder, TMPDIR=str(short))
    assert told(done.stdout)[4:] == [
        f"workers        {python}: CPython {platform.python_version()}, no grpcio, no MessagePack library",
        "  protocol     json",
        f"  not grpc     protocol 'grpc' needs grpcio, which {python} does not have",
        f"    cure       '{python}' -m ensurepip && '{python}' -m pip install grpcio",
        f"  not msgpack  protocol 'msgpack' needs msgspec or msgpack, which {python} does not have",
        f"    cure       '{python}' -m ensurepip && '{python}' -m pip install msgspec",
        "a pool would start",
    ]
    with snakepit.Pool(size=1, python=python, cwd=folder) as pool:
        assert pool.stats().protocol == "json"
        assert pool.execute("compute", {"operation": "add", "a": 2, "b": 3}) == 5


@pytest.mark.parametrize(
    "protocol", [("--protocol", "grpc"), ("--protocol", "grpc,msgpack"), ("--protocol", "grpc", "--protocol", "msgpack")]
)
def test_a_forced_protocol_that_is_not_there(bare: str, protocol: tuple[str, ...], short: pathlib.Path) -> None:
    """Exit code 1, and each protocol of the chain has its reason."""
    done = run("doctor", "--python", bare, *protocol, TMPDIR=str(short))
    lines = told(done.stdout)
    assert lines[4:7] == bare_lines(bare)
    assert [line for line in lines if line.startswith("  not")][1:] == (
        [f"  not msgpack  protocol 'msgpack' needs msgspec or msgpack, which {bare} does not have"] if len("".join(protocol)) > 16 else []
    )
    assert lines[-3:] == [
        "  problem      no protocol that is allowed can be used",
        "    cure       allow another one: protocol='auto' always finds one",
        "a pool would not start",
    ]
    assert (done.returncode, done.stderr) == (1, "")


def test_several_interpreters(bare: str, tmp_path: pathlib.Path) -> None:
    """Each has its lines; one that cannot be used decides."""
    program = tmp_path / "no-python"
    program.write_text("#!/bin/sh\necho I am no Python >&2; exit 3\n")
    program.chmod(0o755)
    words = [word for python in (bare, "nowhere", str(program), "/bin/echo") for word in ("--python", python)]
    done = run("doctor", *words)
    assert "  protocol     json" in done.stdout
    problems = [line.partition("problem")[2].strip() for line in told(done.stdout) if "  problem" in line]
    assert problems[0] == "python is 'nowhere', which does not exist or cannot be run"
    assert problems[1] == f"python is '{program}', which is no Python that answers: I am no Python"
    assert problems[2].startswith("python is '/bin/echo', which is no Python that answers: ")
    assert done.returncode == 1


def test_a_library_that_lies_there_and_does_not_import(tmp_path: pathlib.Path) -> None:
    """The protocol is chosen for it, and a pool fails with it: so says the doctor, and so it is."""
    (tmp_path / "grpc.py").write_text("raise ImportError('no grpc for you')\n", encoding="utf-8")
    source = str(pathlib.Path(__file__).parents[2] / "src")
    done = run("doctor", PYTHONPATH=f"{tmp_path}:{source}")
    assert told(done.stdout)[5:] == [
        "  protocol     grpc",
        f"  problem      grpcio does not import in {sys.executable}: ImportError: no grpc for you",
        f"    cure       {install_command(sys.executable, '--force-reinstall grpcio', has_pip=is_installed('pip'))}; or choose another protocol",
        "a pool would not start",
    ]
    assert done.returncode == 1
    assert run("run", "ping", PYTHONPATH=f"{tmp_path}:{source}").returncode == 1


def test_a_worker_that_starts(bare: str, tmp_path: pathlib.Path) -> None:
    """With an adapter, one worker is started: its tools and its time are told, and none of them runs."""
    (tmp_path / "tools.py").write_text(
        "from snakepit_bridge import tool\n\n@tool\ndef b():\n    print('ran')\n\n@tool\ndef a():\n    pass\n"
    )
    done = run("doctor", "--adapter", "tools.py", "--python", bare, cwd=tmp_path)
    assert re.fullmatch(r"  started      ready after \d+\.\d\d s, tools: a, b", told(done.stdout)[-2])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("source", "words"),
    [("import nowhere_to_be_found\n", "No module named 'nowhere_to_be_found'"), ("raise RuntimeError('no GPU')\n", "RuntimeError: no GPU")],
)
def test_a_worker_that_does_not_start(source: str, words: str, tmp_path: pathlib.Path) -> None:
    """What fails is told once, with the worker's traceback, and the exit code says so."""
    (tmp_path / "tools.py").write_text(source)
    done = run("doctor", "-a", "tools.py", cwd=tmp_path)
    lines = told(done.stdout)
    assert lines[5] == "  protocol     grpc"
    assert lines[6].startswith("  problem ")
    assert words in done.stdout
    assert (lines[-1], done.returncode, done.stderr) == ("a pool would not start", 1, "")


def test_a_command(bare: str, tmp_path: pathlib.Path) -> None:
    """Behind a command one worker is always started, as nobody else could tell what is there."""
    source = str(pathlib.Path(__file__).parents[2] / "src")
    done = run("doctor", "--command", f"env PYTHONPATH={source} {bare} -m snakepit_bridge --stdio", "--json")
    document = json.loads(done.stdout)
    (workers,) = document["workers"]
    assert (document["works"], workers["protocol"], done.returncode) == (True, "json", 0)
    assert workers["tools"] == ["compute", "echo", "ping", "ping_stream", "progress_stream", "stream_progress"]
    assert [problem["protocol"] for problem in workers["passed_over"]] == ["grpc", "msgpack"]
    done = run("doctor", "--command", "sh -c 'echo welcome; sleep 60'")
    assert "  problem      what came first is not a worker's report: b'welcome" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("adapter", "command", "words"),
    [
        (None, "sh -c 'echo hello >&2; sleep 1000'", "worker stderr: hello; the command was started, and the report that a worker writes"),
        ("slow.py", "", "the worker was started, and the import of slow.py was waited for"),
    ],
    ids=["a command", "an adapter"],
)
def test_what_never_comes_is_not_waited_for(
    adapter: str | None,
    command: str,
    words: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The examination is bounded, and says what it has waited for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1000)\n")
    assert doctor_command._SHOWCASE_SECONDS <= 15
    monkeypatch.setattr(doctor_command, "_SHOWCASE_SECONDS", 0.6)
    monkeypatch.setattr(doctor_command, "_TOOLS_SECONDS", 0.6)
    assert DoctorCommand(adapter, [], [], command, as_json=False).run() == 1
    text = capsys.readouterr().out
    assert "worker-1 was not ready within 0.6 s" in text
    assert words in text
    assert text.splitlines()[-1] == "a pool would not start"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--protocol", "carrier-pigeon"], "protocol is 'carrier-pigeon'; allowed is one of auto, grpc, msgpack, json"),
        (["--protocol", "grpc", "--command", "ssh gpu-1"], "protocol is 'grpc', which does not go with command"),
        (["--command", "ssh 'gpu-1"], '--command: got "ssh \'gpu-1"'),
    ],
)
def test_options_that_no_pool_takes(words: list[str], text: str) -> None:
    """Exit code 2, before anything is looked at."""
    done = run("doctor", *words)
    assert text in done.stderr
    assert (done.returncode, done.stdout) == (2, "")
