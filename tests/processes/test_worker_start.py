"""A worker starts without what it may never need, and with a garbage collector that has nothing to look at."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys

import pytest

import snakepit

TOOLS = """
import gc, sys
from snakepit_bridge import tool

@tool
def loaded(names: list) -> list:
    return [name for name in names if name in sys.modules]

@tool
def collector() -> list:
    return [gc.isenabled(), gc.get_freeze_count()]
"""

#: Each takes a millisecond or more to import, and memory in every worker.
NOT_NEEDED = [
    "argparse",
    "asyncio",
    "concurrent.futures",
    "ctypes",
    "email",
    "gettext",
    "grpc",
    "logging",
    "lzma",
    "multiprocessing",
    "numpy",
    "pickle",
    "random",
    "shutil",
    "socket",
    "ssl",
    "subprocess",
    "sysconfig",
    "tempfile",
    "unittest",
]


@pytest.fixture
def tools(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "looking.py"
    path.write_text(TOOLS)
    return str(path)


@pytest.mark.usefixtures("leaves_nothing")
def test_imports_only_what_it_needs(tools: str) -> None:
    """What is added to this list of modules costs every start of every worker."""
    with snakepit.Pool(tools, size=1, protocol="msgpack") as pool:
        assert pool.execute("loaded", {"names": NOT_NEEDED}) == []
        assert pool.execute("loaded", {"names": ["threading"]}) == ["threading"]


@pytest.mark.parametrize("launcher", ["spawn", "template"])
def test_its_collector_is_on(tools: str, launcher: str) -> None:
    """It is off during the imports alone; what has come of them is not looked through again."""
    with snakepit.Pool(tools, size=1, launcher=launcher) as pool:
        on, frozen = pool.execute("collector")
    assert on
    assert frozen > 10_000


def test_a_collector_that_was_off_stays_off(tools: str, tmp_path: pathlib.Path) -> None:
    """The interpreter's own set-up says so, and has the last word."""
    (tmp_path / "sitecustomize.py").write_text("import gc\ngc.disable()\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    with snakepit.Pool(tools, size=1, env={"PYTHONPATH": path}) as pool:
        assert pool.execute("collector")[0] is False


HOG = """
import os, sys, threading
from snakepit_bridge import tool

def take_all():
    sys.stdin.readline()
    try:
        while True:
            os.open("/dev/null", os.O_RDONLY)
    except OSError:
        os.write(1, b"none left\\n")

threading.Thread(target=take_all, daemon=True).start()

@tool
def nothing() -> None: ...
"""


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
def test_one_without_descriptors_ends_with_its_host(tmp_path: pathlib.Path) -> None:
    """Though nothing more can be opened, or imported."""
    (tmp_path / "hog.py").write_text(HOG)
    directory = ["--run-directory", str(tmp_path / "gone")]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "snakepit_bridge",
                "--adapter",
                str(tmp_path / "hog.py"),
                "--lifeline-fd",
                str(theirs.fileno()),
                *directory,
            ],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        with worker.stdin, worker.stdout:
            try:
                assert b"ready" in ours.recv(4096)
                worker.stdin.write(b"go\n")
                worker.stdin.flush()
                assert worker.stdout.readline() == b"none left\n"
                ours.close()
                assert worker.wait(10) != 0
            finally:
                worker.kill()
                worker.wait()
