"""A Redis server for the tests: their own, on a unix socket in a private folder; without persistence, unless that is what is tested."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest

_INSTALL = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "install-redis.sh"


def _answers(address: str) -> bool:
    """Does the server answer? One that reads its file first lets in, and refuses what it is asked."""
    with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
        connection.settimeout(1.0)
        connection.connect(address)
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False


class RedisServer:
    """A server that can be ended and started again at the same place: empty then, unless it keeps what it was told.

    Args:
        kept_in: a folder where it writes down each step before it answers. Another server may go on from there.

    Attributes:
        url: where it is.
    """

    def __init__(self, binary: str, folder: str, kept_in: pathlib.Path | None = None) -> None:
        self._socket = f"{folder}/socket"
        lasting = ["--appendonly", "yes", "--appendfsync", "always"] if kept_in else ["--appendonly", "no"]
        self._command = [binary, "--port", "0", "--unixsocket", self._socket, "--save", "", *lasting, "--dir", str(kept_in or folder)]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        """Start it; returns when it answers."""
        server = self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not _answers(self._socket):
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it without a word, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
            pathlib.Path(self._socket).unlink(missing_ok=True)


@contextlib.contextmanager
def redis(kept_in: pathlib.Path | None = None) -> Iterator[RedisServer]:
    """A server that is killed at the end of the block; skips by name where none can be installed, but fails in CI."""
    done = subprocess.run(["sh", str(_INSTALL)], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        if os.environ.get("CI"):
            pytest.fail(done.stderr)
        pytest.skip(done.stderr.strip())
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(done.stdout.split()[-1], folder, kept_in)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextlib.contextmanager
def redis_server(kept_in: pathlib.Path | None = None) -> Iterator[str]:
    """The url of such a server."""
    with redis(kept_in) as server:
        yield server.url
