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


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """The url of a server that ends with the block; skips by name where none can be installed, but fails in CI."""
    done = subprocess.run(["sh", str(_INSTALL)], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        if os.environ.get("CI"):
            pytest.fail(done.stderr)
        pytest.skip(done.stderr.strip())
    binary = done.stdout.split()[-1]
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        socket = f"{folder}/socket"
        command = [binary, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            try:
                deadline = time.monotonic() + 10
                while not os.path.exists(socket):  # noqa: PTH110 - a socket
                    assert server.poll() is None, "the server ended"
                    assert time.monotonic() < deadline, "the server did not come up"
                    time.sleep(0.01)
                yield f"unix://{socket}"
            finally:
                server.terminate()
                server.wait(10)
