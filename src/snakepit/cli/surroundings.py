"""What surrounds a pool: what the kernel permits, what dead runs have left, what the environment says. For `doctor_command`."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from snakepit._api.loops import LOOP_VARIABLE, check_loop
from snakepit._pool.setup import TRACE_VARIABLE
from snakepit._setting_checks import check_trace
from snakepit._workers import guardian_proc
from snakepit._workers.run_directory import bases, is_living
from snakepit.config import PoolSettings, check_log_level, pool_config
from snakepit.errors import ConfigurationError
from snakepit.telemetry.logs import LEVEL_VARIABLE
from snakepit_bridge.redaction import DEFAULT

from .findings import Check
from .lines import jsonable

#: Variables that a user sets, each with its check.
_VARIABLES = {LEVEL_VARIABLE: check_log_level, TRACE_VARIABLE: check_trace, LOOP_VARIABLE: check_loop}
#: Variables of markers, see `docs/reference/tools.md`: what makes no sense in them counts as not said.
_OF_MARKERS = ("SNAKEPIT_UNSERIALIZABLE_DETAIL", "SNAKEPIT_UNSERIALIZABLE_REPR_MAXLEN", "SNAKEPIT_TOLIST_MAX_ELEMENTS")
#: Set by the library, for its workers.
_INSIDE = (
    "SNAKEPIT_GUARDIAN",
    "SNAKEPIT_HEARTBEAT_CONFIG",
    "SNAKEPIT_CHANNEL_SECRET",
    "SNAKEPIT_HOST_PATH",
    "SNAKEPIT_REDACTION",
    "SNAKEPIT_GATEWAY_TOKEN",
)
_PREFIX = "SNAKEPIT_"
#: Of leftovers, so many are named.
_MOST = 20

#: What the guardian and workers do at their start, tried in a process of its own. Each line of its output is a failure.
_PROBE = """
import os, signal, socket, sys
def attempt(name, action):
    try:
        action()
    except BaseException as error:
        print("%s: %s: %s" % (name, type(error).__name__, error))
def prctl(option, value):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def child():
    pid = os.fork()
    if pid == 0:
        os.setsid()
        signal.pause()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
attempt("import of ctypes", lambda: __import__("ctypes"))
attempt("prctl(PR_SET_CHILD_SUBREAPER)", lambda: prctl(36, 1))
attempt("prctl(PR_SET_PDEATHSIG)", lambda: prctl(1, 9))
attempt("memfd_create", lambda: os.close(os.memfd_create("snakepit")))
attempt("socketpair", lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
attempt("fork, setsid and kill", child)
attempt("reading /proc/self/stat", lambda: open("/proc/self/stat").read())
attempt("reading /proc/self/environ", lambda: open("/proc/self/environ", "rb").read())
"""
_CURES = {
    "import of ctypes": "this Python was built without libffi: install libffi-dev and build it anew, or use another Python",
    "reading": "mount /proc: mount -t proc proc /proc",
}
_SECCOMP = "the container's seccomp profile forbids it: use Docker's default profile, or --security-opt seccomp=..."


def examine_surroundings() -> Iterator[Check]:
    """All of it."""
    if sys.platform == "linux":
        yield permissions(_probed())
        yield leftovers(*_left())
    yield settings(os.environ)
    yield stubs(find_spec("snakepit_bridge.grpc.snakepit_pb2") is not None)


def stubs(there: bool) -> Check:
    """The stubs of the public gRPC service, which clients in other languages call by."""
    if there:
        return Check("stubs", "of the public gRPC service are there")
    cure = "make proto-python in a checkout; else install snakepit-bridge anew"
    return Check("stubs", "of the public gRPC service are missing: snakepit_bridge/grpc/snakepit_pb2.py; pools do without", cure)


def permissions(failures: list[str]) -> Check:
    """What workers are started, watched and ended with."""
    if not failures:
        return Check("permissions", "workers can be started, watched, adopted and ended")
    cure = next((cure for begin, cure in _CURES.items() if failures[0].startswith(begin)), _SECCOMP)
    return Check("permissions", "; ".join(failures), cure, serious=True)


def leftovers(pids: list[int], directories: list[Path]) -> Check:
    """What runs that are over have left."""
    if not pids and not directories:
        return Check("leftovers", "none of dead runs")
    words, cures = [], []
    if pids:
        words.append(f"{_count(len(pids), 'process', 'processes')} of dead runs: {_some(pids)}")
        cures.append(f"kill -9 {_some(pids)}; a new pool of the same instance_name and instance_token ends them too")
    if directories:
        words.append(f"{_count(len(directories), 'run directory', 'run directories')} of dead runs: {_some(directories)}")
        cures.append("`snakepit status` removes them, and so does the next pool")
    return Check("leftovers", "; ".join(words), "; ".join(cures))


def settings(environment: Mapping[str, str]) -> Check:
    """The variables that this library reads, and those that look as if it did."""
    said, wrong, cures = [], [], []
    for name, value in sorted(environment.items()):
        if not name.startswith(_PREFIX) or name.startswith("SNAKEPIT_TEST_"):
            continue
        if name in _VARIABLES:
            said.append(f"{name}={DEFAULT.mask(value)}")
            try:
                _VARIABLES[name](name, value)
            except ConfigurationError as error:
                wrong.append(error.message)
                cures.append(f"unset {name}")
        elif name in _OF_MARKERS:
            said.append(f"{name}={DEFAULT.mask(value)}")
        elif name not in _INSIDE:
            near = difflib.get_close_matches(name, _VARIABLES, n=1, cutoff=0.85)
            setting = name.removeprefix(_PREFIX).lower()
            said.append(f"{name}, which nothing reads")
            known = setting in PoolSettings.__annotations__
            cures.append(f"rename it {near[0]}" if near else f"give it to the pool: Pool({setting}=...)" if known else f"unset {name}")
    return Check("settings", "; ".join([*wrong, *said]) or "no variable changes them", "; ".join(cures), serious=bool(wrong))


def default_settings(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each setting of a pool that is told nothing, with where it comes from."""
    config = pool_config({})
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config) if field.repr}
    values["heartbeat"] = dataclasses.asdict(config.heartbeat)
    found = {name: {"name": name, "value": jsonable(value), "source": "default"} for name, value in values.items()}
    for name, variable in (("log_level", LEVEL_VARIABLE), ("trace_frames", TRACE_VARIABLE)):
        if environment.get(variable):
            found[name] = {"name": name, "value": DEFAULT.mask(environment[variable]), "source": variable}
    return list(found.values())


def _probed() -> list[str]:
    """What of the guardian's means is not there."""
    command = [sys.executable, "-I", "-S", "-c", _PROBE]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=15, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"starting {sys.executable}: {error}"]
    lines = done.stdout.splitlines()
    return lines if done.returncode == 0 else [*lines, f"the probe ended with {done.returncode}: {done.stderr.strip()[-300:]}"]


def _left() -> tuple[list[int], list[Path]]:
    """(processes whose guardian is gone, run directories whose pool is), of this user."""
    here, pids = guardian_proc.world(), []
    head = f"{guardian_proc.MARKER}=".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            items = (folder / "environ").read_bytes().split(b"\0")
            mark = next((item.decode() for item in items if item.startswith(head)), "")
            _, pid, born, its_world = mark.rsplit(":", 3)  # a ValueError: it is none of ours
            if here and its_world == here and str(guardian_proc.born(pid)) != born and int(folder.name) != os.getpid():
                pids.append(int(folder.name))
    places = dict.fromkeys([*bases(), Path(tempfile.gettempdir())])
    found = [lock.parent for place in places for lock in place.glob("snakepit-*/lock")]
    mine = [path for path in found if _is_mine(path)]
    return pids, [path for path in mine if not is_living(path)]


def _is_mine(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return path.lstat().st_uid == os.getuid()
    return False


def _count(number: int, one: str, many: str) -> str:
    return f"1 {one}" if number == 1 else f"{number} {many}"


def _some(items: list[Any]) -> str:
    return " ".join(map(str, items[:_MOST])) + (f" and {len(items) - _MOST} more" if len(items) > _MOST else "")
