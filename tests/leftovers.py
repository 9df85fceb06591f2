"""What a test leaves behind: processes, threads, descriptors, asyncio tasks, files in the temporary directory.

`Leftovers` takes a picture of this process when it is made; `found` says what is there that was not. The fixture
`leaves_nothing` in `conftest.py` puts it around a test. Processes are found through their parents and, since an orphan has
none here, through a mark in the environment that all descendants inherit.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import tempfile
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from snakepit._api import open_pools
from snakepit._workers.worker import Worker

_MARK = "SNAKEPIT_TEST_MARK"
#: Linux only; elsewhere descriptors are not looked at.
_DESCRIPTORS = Path("/proc/self/fd")


class Leftovers:
    """A picture of this process, to compare with later."""

    def __init__(self, directory: Path, mark: str) -> None:
        self._directory = directory
        self._mark = f"{_MARK}={mark}".encode()
        _wait_for_agreements()
        self._before = {kind: set(seen()) for kind, seen in self._kinds().items()}

    def found(self) -> list[str]:
        """What is here that was not here before, one line each."""
        return [f"{kind}: {text}" for kind, seen in self._kinds().items() for key, text in seen().items() if key not in self._before[kind]]

    def wait_none(self, timeout: float) -> list[str]:
        """What is still here after `timeout` seconds; returns at once when nothing is.

        Ends are reported late by nature: a process has to be reaped, a thread to leave its last line.
        """
        deadline = time.monotonic() + timeout
        while True:
            gc.collect()
            found = self.found()
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.01)

    def end_processes(self) -> None:
        """Kill what the test left running, so that it does not disturb the next one."""
        for process in self._processes().keys() - self._before["process"]:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _kinds(self) -> dict[str, Callable[[], dict[object, str]]]:
        return {
            "process": self._processes,
            "thread": lambda: {thread: repr(thread) for thread in threading.enumerate()},
            "descriptor": _descriptors,
            "task": _tasks,
            "file": lambda: {path: str(path) for path in self._directory.rglob("*")},
        }

    def _processes(self) -> dict[object, str]:
        marked = [process for process in psutil.process_iter() if self._is_marked(process)]
        return {process: _describe(process) for process in {*psutil.Process().children(recursive=True), *marked}}

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return process.pid != os.getpid() and self._mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        except OSError:  # gone, somebody else's, or not Linux
            return False


@contextlib.contextmanager
def watched(timeout: float = 5.0) -> Iterator[Leftovers]:
    """Run a block in a temporary directory and environment of its own, and raise if it leaves anything behind.

    Raises:
        AssertionError: with one line for each thing left.
    """
    mark = uuid.uuid4().hex
    # Short: unix sockets below it must fit 107 bytes.
    with tempfile.TemporaryDirectory(prefix="sp-") as folder:
        previous = {name: os.environ.get(name) for name in ("TMPDIR", _MARK)}, tempfile.tempdir
        os.environ.update({"TMPDIR": folder, _MARK: mark})
        tempfile.tempdir = folder
        leftovers = Leftovers(Path(folder), mark)
        try:
            yield leftovers
        finally:
            variables, tempfile.tempdir = previous
            for name, value in variables.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        found = leftovers.wait_none(timeout)
        leftovers.end_processes()
        assert not found, "left behind:\n" + "\n".join(found)


def _describe(process: psutil.Process) -> str:
    words = [str(process.pid)]
    with contextlib.suppress(psutil.Error):  # gone meanwhile; and a zombie has no command line any more
        words.append(process.status())
        words += process.cmdline()
    return " ".join(words)[:300]


def _wait_for_agreements(timeout: float = 5.0) -> None:
    """Pools that are open already agree with their workers on shared memory a moment after they are ready: what that opens is theirs."""
    end = time.monotonic() + timeout
    for pool in open_pools.open_pools():
        while not all(map(_agrees, pool._engine.workers() if pool._engine is not None else ())) and time.monotonic() < end:
            time.sleep(0.002)


def _agrees(worker: Worker) -> bool:
    connection = worker._connection
    store = connection.shared if connection is not None else None
    return connection is None or store is None or bool(store.reason) or connection._mux._outbox.lends


def _descriptors() -> dict[object, str]:
    found: dict[object, str] = {}
    for link in _DESCRIPTORS.iterdir() if _DESCRIPTORS.is_dir() else ():
        with contextlib.suppress(OSError):  # the one that lists them
            target = str(link.readlink())
            found[link.name, target] = f"{link.name} -> {target}"
    return found


def _tasks() -> dict[object, str]:
    # By type(), not isinstance(): proxies answer the latter with code of their own. Weakly: to look must not keep them.
    tasks = [item for item in gc.get_objects() if issubclass(type(item), asyncio.Task) and not item.done()]
    return {weakref.ref(task): repr(task) for task in tasks}
