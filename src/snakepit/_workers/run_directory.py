"""The private directory of one pool: sockets and notebook sources live here; it goes with the pool.

0700, and short enough that a socket's path fits the kernel's 107 bytes whatever TMPDIR says.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import tempfile

#: gRPC reads an address as a URI, in which other characters have meanings of their own.
_PLAIN = re.compile(r"[A-Za-z0-9/._~+@=,-]+")
#: sun_path holds 108 bytes with its end mark; the longest name made here is `worker-99999.sock`.
_MAX_DIRECTORY = 107 - len("/worker-99999.sock")


class RunDirectory:
    """Made on first use, removed by `remove`."""

    def __init__(self) -> None:
        self._path: pathlib.Path | None = None

    @property
    def path(self) -> pathlib.Path:
        """The directory.

        Raises:
            OSError: no place for it can be written to.
        """
        if self._path is None or not self._path.is_dir():  # programs that tidy up /tmp may have removed it
            self._path = _make()
        return self._path

    @property
    def made(self) -> str:
        """Its path if it has been made, else an empty string."""
        return str(self._path) if self._path is not None else ""

    def socket(self, worker_id: str) -> str:
        """The address of a worker's unix socket."""
        return f"unix:{self.path / (worker_id + '.sock')}"

    def remove(self) -> None:
        """Remove it with all it holds."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None


def _make() -> pathlib.Path:
    problem: OSError | None = None
    for base in (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/var/tmp"):  # noqa: S108
        path = str(pathlib.Path(base).absolute() / "snakepit-12345678")
        if base and len(path) <= _MAX_DIRECTORY and _PLAIN.fullmatch(path):
            try:
                return pathlib.Path(tempfile.mkdtemp(prefix="snakepit-", dir=base))  # mkdtemp gives it 0700
            except OSError as error:
                problem = error
    raise problem or OSError("no directory is short and plain enough for a unix socket; set TMPDIR to a short path of letters and digits")
