"""A peer as this side sees it: a process in an environment of its own, which plays a scenario when it is asked to."""

from __future__ import annotations

import dataclasses
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from . import processes
from .environments import ROOT, environment
from .run import OURS

#: In which environment a peer plays, where that does not have its name.
_ENVIRONMENTS = {"executor": "stdlib", "executor_fork": "stdlib", "pipe": "stdlib", "pyro5_batch": "pyro5", "dask_actors": "dask"}


def environment_of(name: str) -> str:
    """Whose environment a peer plays in."""
    return _ENVIRONMENTS.get(name, name)


class PeerFailed(Exception):
    """It could not be started, broke down, or did not answer in time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What came of one scenario.

    Attributes:
        seconds: that it took in all.
        figures: what was measured, named as in `player`.
        cannot: why the peer has no such thing; empty: it has.
    """

    seconds: float
    figures: Mapping[str, float | bool | None]
    cannot: str = ""


class Peer:
    """Starts at once; use it as a context manager.

    Args:
        name: one of `run.PEERS`, or of `run.OURS`.
        python: its interpreter; None: that of its environment, which is made if it is missing.

    Raises:
        PeerFailed: its environment cannot be made.
    """

    def __init__(self, name: str, *, python: str | Path | None = None) -> None:
        self.name = name
        found = python or (sys.executable if name in OURS else environment(environment_of(name)))
        if found is None:
            raise PeerFailed(f"{name} cannot play: its environment cannot be made here; why is printed above")
        # Of its own, since one that is killed removes nothing; and short, since there will be sockets in it.
        self._folder = tempfile.TemporaryDirectory(prefix="p-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [str(found), "-m", "benchmarks.peers.run", name],
            cwd=ROOT,
            env=_surroundings(self._folder.name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for this side, which then ends it.
        )
        self._unread = b""
        self._orphans: list[processes.Process] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, scenario: str, *, timeout: float = 120.0, **options: Any) -> Answer:
        """Have it play one round.

        Raises:
            PeerFailed: it did not answer within `timeout` seconds, and was killed; or it failed.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"scenario": scenario, **options}).encode() + b"\n")
            answer = json.loads(self._line(timeout))
        except (BrokenPipeError, EOFError):
            raise PeerFailed(f"{self.name} ended with code {self._process.wait(10)}; its last words are above") from None
        except TimeoutError:
            self.kill()
            raise PeerFailed(f"{self.name} did not play {scenario!r} within {timeout:g} s") from None
        if (failed := answer.get("failed")) is not None:
            raise PeerFailed(f"{self.name} failed at {scenario!r}: {failed}")
        return Answer(**answer)

    def end(self, timeout: float = 20.0) -> list[str]:
        """End it, and kill what it leaves behind: the commands of these processes."""
        if self._process.stdin is None or self._process.stdin.closed:
            return []
        members = processes.family(self._process.pid) + self._orphans
        self._process.stdin.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
        deadline = time.monotonic() + timeout / 4
        while (left := [member for member in members if member.alive]) and time.monotonic() < deadline:
            time.sleep(0.01)
        commands = [member.command for member in left]
        _kill(left)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._clean(deadline=time.monotonic() + timeout / 4)
        return commands

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, Exception):
            self.kill()  # Ctrl-C does not wait for a round to end.
        for command in self.end():
            print(f"{self.name} left behind, and it was killed: {command}", file=sys.stderr)

    def _clean(self, deadline: float) -> None:
        """Those who see to what others leave behind may still be at it, and make in the folder what was just removed."""
        self._folder.cleanup()
        while Path(self._folder.name).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
            shutil.rmtree(self._folder.name, ignore_errors=True)

    def _line(self, timeout: float) -> bytes:
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout
        while b"\n" not in self._unread:
            if not select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            some = self._process.stdout.read(65536)
            if not some:
                raise EOFError
            self._unread += some
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def kill(self) -> None:
        """The process and all that descend from it, who could not be found any more once it is gone.

        Those who remove the semaphores of the others when these have ended are left to do so, and seen to at the end.
        """
        self._orphans = processes.family(self._process.pid)
        self._process.kill()
        self._process.wait()
        _kill([member for member in self._orphans if "resource_tracker" not in member.command])


def _surroundings(folder: str) -> dict[str, str]:
    """Compiled modules are kept, as they are for an installed package, whatever this process was told of it."""
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}, "TMPDIR": folder}


def _kill(members: list[processes.Process]) -> None:
    for member in members:
        if member.alive:
            os.kill(member.pid, signal.SIGKILL)
