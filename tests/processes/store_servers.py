"""A Redis server for the tests: their own, on a unix socket in a private folder, without persistence."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest

_INSTALL = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "install-redis.sh"


class RedisServer:
    """A server that can be ended and started again at the same place, empty then.

    Attributes:
        url: where it is.
    """

    def __init__(self, binary: str, folder: str) -> None:
        self._socket = f"{folder}/socket"
        self._command = [binary, "--port", "0", "--unixsocket", self._socket, "--save", "", "--appendonly", "no", "--dir", folder]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        """Start it; returns when it listens."""
        server = self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not os.path.exists(self._socket):  # noqa: PTH110 - a socket
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
def redis() -> Iterator[RedisServer]:
    """A server that ends with the block; skips by name where none can be installed, but fails in CI."""
    done = subprocess.run(["sh", str(_INSTALL)], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        if os.environ.get("CI"):
            pytest.fail(done.stderr)
        pytest.skip(done.stderr.strip())
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(done.stdout.split()[-1], folder)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """The url of such a server."""
    with redis() as server:
        yield server.url
