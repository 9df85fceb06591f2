"""What `snakepit doctor` finds on a machine that has something wrong with it: each is brought about for real."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import pytest

import snakepit
from pool_helpers import wait_until
from snakepit._workers import guardian_proc
from test_cli import COMMAND, environment, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("leaves_nothing"),
    pytest.mark.skipif(sys.platform != "linux", reason="limits and leftovers are looked for as Linux tells them"),
]


def checks(**more: str) -> dict[str, dict[str, Any]]:
    """What the examination has found of the machine, by name."""
    done = run("doctor", "--json", **more)
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_a_sound_machine_has_each_check() -> None:
    """This one can start workers; each thing is told once, and no cure where nothing is wrong."""
    found = checks()
    assert list(found) == ["permissions", "leftovers", "settings", "stubs", "open files", "processes", "memory", "shared memory"]
    assert (found["permissions"]["cure"], found["settings"]["cure"], found["stubs"]["cure"]) == ("", "", "")
    assert not any(check["serious"] for check in found.values())


def test_few_open_files() -> None:
    """A low limit is told with the command that raises it, to people too."""
    command = ["sh", "-c", f"ulimit -n 60; exec {sys.executable} -m snakepit doctor"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("open files     60 may be open"))
    assert lines[at + 1].startswith("  cure         ulimit -n ")
    assert done.returncode == 0


def test_processes_of_a_dead_run() -> None:
    """A process that bears the mark of a guardian that is gone is named; one whose guardian lives is not."""
    mark = f"snakepit-x:{os.getpid()}:1:{guardian_proc.world()}"  # this process's number, and not its birth: the number was used again
    alive = f"snakepit-x:{os.getpid()}:{guardian_proc.born(os.getpid())}:{guardian_proc.world()}"
    left, kept = (subprocess.Popen(["sleep", "60"], env={**os.environ, guardian_proc.MARKER: text}) for text in (mark, alive))
    try:
        wait_until(lambda: all(pathlib.Path(f"/proc/{item.pid}/comm").read_text() == "sleep\n" for item in (left, kept)), "both")
        found = checks()["leftovers"]
        assert str(left.pid) in found["text"].split()
        assert str(kept.pid) not in found["text"].split()
        assert f"{left.pid}" in found["cure"]
        assert found["cure"].startswith("kill -9 ")
    finally:
        for item in (left, kept):
            item.kill()
            item.wait()


def test_the_directory_of_a_dead_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One that is not swept on the way, as it lies in another place, is named with what removes it; that of a living pool is not."""
    place = str(tmp_path_factory.mktemp("e"))
    code = "import os\nfrom snakepit._workers.run_directory import RunDirectory\nprint(RunDirectory().path, flush=True)\nos._exit(0)"
    dead = subprocess.run([sys.executable, "-c", code], env=environment(TMPDIR=place), capture_output=True, text=True, check=True).stdout
    with snakepit.Pool(size=1):
        found = checks(XDG_RUNTIME_DIR=place)["leftovers"]
        assert f"run directory of dead runs: {dead.strip()}" in found["text"]
        assert "`snakepit status` removes them" in found["cure"]
        assert run("status", "--pid", str(os.getpid()), XDG_RUNTIME_DIR=place).returncode == 0
    assert not pathlib.Path(dead.strip()).exists()


def test_a_wrong_variable_keeps_pools_from_starting() -> None:
    """The doctor says so beforehand, with exit code 1, and so it is."""
    done = run("doctor", SNAKEPIT_LOG_LEVEL="loud")
    assert "settings       SNAKEPIT_LOG_LEVEL is 'loud'; allowed is one of DEBUG, " in done.stdout
    assert "  cure         unset SNAKEPIT_LOG_LEVEL\n" in done.stdout
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "a pool would not start")
    assert run("run", "ping", SNAKEPIT_LOG_LEVEL="loud").returncode == 2


def test_missing_stubs(tmp_path: pathlib.Path) -> None:
    """Where they have not been made, the doctor names the chore that makes them; a pool starts without."""
    source = pathlib.Path(snakepit.__file__).parents[1]
    for package in ("snakepit", "snakepit_bridge"):
        shutil.copytree(source / package, tmp_path / package, ignore=shutil.ignore_patterns("snakepit_pb2*", "__pycache__"))
    done = subprocess.run(
        [*COMMAND, "doctor"], env={**environment(), "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("stubs          of the public gRPC service are missing"))
    assert lines[at + 1].startswith("  cure         make proto-python")
    assert (done.returncode, lines[-1]) == (0, "a pool would start")
