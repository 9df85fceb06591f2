"""For peers that are a protocol and no pool: each worker is a server, started as a program that is given the path of its socket."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from . import player

_READY = b"ready\n"


class Player(player.Player):
    """Nobody starts a server again, or ends what it does."""

    def call_again(self, pool: Any) -> Any:
        raise player.Cannot("a server is started again by hand only")


@contextlib.contextmanager
def running(module: str, workers: int) -> Iterator[list[str]]:
    """The sockets of so many servers, `python -m MODULE PATH` each, which have said that they are ready."""
    with tempfile.TemporaryDirectory(prefix="peer-") as folder:
        paths = [f"{folder}/{number}" for number in range(workers)]
        with started(module, paths):
            yield paths


@contextlib.contextmanager
def started(module: str, paths: list[str]) -> Iterator[None]:
    """A server for each path."""
    with contextlib.ExitStack() as stack:
        programs = [stack.enter_context(_program([sys.executable, "-m", module, path])) for path in paths]
        for process in programs:
            assert process.stdout is not None
            if process.stdout.readline() != _READY:
                raise RuntimeError("a server did not start; its last words are above")
        yield


def say_ready() -> None:
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()


@contextlib.contextmanager
def _program(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
