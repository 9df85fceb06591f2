"""How `snakepit doctor` judges limits, leftovers and settings: what it says, and what mends it."""

from __future__ import annotations

import math
import pathlib

import pytest

from snakepit._workers import descriptors
from snakepit.cli.limits import memory, open_files, processes, shared_memory
from snakepit.cli.surroundings import default_settings, leftovers, permissions, settings, stubs

MIB = 2**20


@pytest.mark.parametrize(
    ("limit", "text"), [(math.inf, "no limit"), (1024, "1024: enough for 80 workers"), (88, "88: enough for 2 workers")]
)
def test_enough_files(limit: float, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that is high enough, or none, needs no cure."""
    monkeypatch.setattr(descriptors, "EACH", 12)
    assert open_files(limit, 2).text == text
    assert open_files(limit, 2).cure == ""


def test_too_few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cure is a command with a number."""
    monkeypatch.setattr(descriptors, "EACH", 12)
    check = open_files(256, 64)
    assert check.text == "256 may be open, and a host of 64 workers has about 832"
    assert check.cure.startswith("ulimit -n 1664, ")


def test_processes() -> None:
    """The limit is the cgroup's or the user's, and so is the cure."""
    assert processes(math.inf, 0, "", 2).text == "no limit"
    assert processes(100, 50, "its cgroup", 2).cure == ""
    check = processes(100, 60, "its cgroup", 2)
    assert check.text == "100 of its cgroup, 60 are there, and 2 workers need about 48 more, threads counted"
    assert "--pids-limit" in check.cure
    assert "ulimit -u" in processes(100, 60, "this user", 2).cure


def test_memory() -> None:
    """What is free is compared with what workers take before they load anything."""
    assert memory(96 * MIB, math.inf, 2).text == "96 MiB free; no limit of a container"
    assert memory(96 * MIB, 512 * MIB, 2).cure == ""
    check = memory(95 * MIB, 512 * MIB, 2)
    assert check.text == "95 MiB free, and 2 workers take 96 MiB before they load anything; the container's limit is 512 MiB"
    assert "docker run --memory" in check.cure
    assert memory(0, math.inf, 2).text.startswith("nothing free")
    assert memory(0, math.inf, 2).cure == "fewer workers: size="
    assert memory(math.nan, math.inf, 2).text == "not known"


def test_shared_memory() -> None:
    """Little of it, next to none free, and none that can be written to: each has its cure."""
    assert shared_memory(1024 * MIB, 512 * MIB, writable=True).cure == ""
    assert "--shm-size" in shared_memory(64 * MIB, 64 * MIB, writable=True).cure
    assert "nearly full" in shared_memory(1024 * MIB, 10 * MIB, writable=True).text
    assert "cannot be written to" in shared_memory(1024 * MIB, 512 * MIB, writable=False).text


@pytest.mark.parametrize(
    ("failure", "cure"),
    [
        ("import of ctypes: ImportError: no", "libffi"),
        ("reading /proc/self/stat: FileNotFoundError: no", "mount /proc"),
        ("prctl(PR_SET_CHILD_SUBREAPER): PermissionError: no", "seccomp"),
    ],
)
def test_permissions(failure: str, cure: str) -> None:
    """What the guardian cannot do keeps a pool from starting."""
    check = permissions([failure])
    assert (check.text, check.serious) == (failure, True)
    assert cure in check.cure
    assert not permissions([]).serious


def test_leftovers() -> None:
    """Processes and directories of dead runs are named, up to a number of them, with what removes them."""
    assert leftovers([], []).cure == ""
    assert leftovers([7], []).text == "1 process of dead runs: 7"
    check = leftovers(list(range(100, 125)), [pathlib.Path("/tmp/snakepit-a")])
    assert check.text.startswith("25 processes of dead runs: 100 101 ")
    assert check.text.endswith(" 119 and 5 more; 1 run directory of dead runs: /tmp/snakepit-a")
    assert check.cure.startswith("kill -9 100 101 ")
    assert "snakepit status" in check.cure


def test_settings_of_the_environment() -> None:
    """Those that are read are told; a wrong value would keep a pool from starting; a name that nothing reads is pointed out."""
    assert settings({"PATH": "/bin", "SNAKEPIT_HEARTBEAT_CONFIG": "{}"}).text == "no variable changes them"
    assert settings({"SNAKEPIT_LOG_LEVEL": "debug"}).text == "SNAKEPIT_LOG_LEVEL=debug"
    assert settings({"SNAKEPIT_TOLIST_MAX_ELEMENTS": "5"}).text == "SNAKEPIT_TOLIST_MAX_ELEMENTS=5"
    wrong = settings({"SNAKEPIT_TRACE_FRAMES": "seven"})
    assert (wrong.serious, wrong.cure) == (True, "unset SNAKEPIT_TRACE_FRAMES")
    assert "allowed is '*'" in wrong.text
    near = settings({"SNAKEPIT_LOGLEVEL": "a-secret"})
    assert (near.text, near.cure) == ("SNAKEPIT_LOGLEVEL, which nothing reads", "rename it SNAKEPIT_LOG_LEVEL")
    assert settings({"SNAKEPIT_QUEUE_SIZE": "2"}).cure == "give it to the pool: Pool(queue_size=...)"
    assert settings({"SNAKEPIT_COLOUR": "red"}).cure == "unset SNAKEPIT_COLOUR"


def test_each_setting_has_its_source() -> None:
    """By default, or from the variable that says otherwise; a token is not among them."""
    found = {item["name"]: item for item in default_settings({"SNAKEPIT_LOG_LEVEL": "DEBUG"})}
    assert found["log_level"] == {"name": "log_level", "value": "DEBUG", "source": "SNAKEPIT_LOG_LEVEL"}
    assert found["queue_size"] == {"name": "queue_size", "value": 10_000, "source": "default"}
    assert found["heartbeat"]["value"]["interval"] == 2.0
    assert "instance_token" not in found


def test_stubs() -> None:
    """Where they are missing, the command that makes them is named."""
    assert stubs(True).cure == ""
    assert stubs(False).cure.startswith("make proto-python")
    assert not stubs(False).serious
