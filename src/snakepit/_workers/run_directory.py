"""The private directory of one pool: sockets and notebook sources live here; it goes with the pool.

0700, and short enough that a socket's path fits the kernel's 107 bytes whatever TMPDIR says.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import stat
import tempfile

#: gRPC reads an address as a URI, in which other characters have meanings of their own.
_PLAIN = re.compile(r"[A-Za-z0-9/._~+@=,-]+")
#: sun_path holds 108 bytes with its end mark; the longest name made here is `worker-99999.sock`.
_MAX_DIRECTORY = 107 - len("/worker-99999.sock")


#: Where a pool answers who asks for its status.
STATUS_SOCKET = "status.sock"
#: Held locked by the pool for as long as it lives, however it ends: a directory whose lock is free is a leftover.
_LOCK = "lock"


class RunDirectory:
    """Made on first use, removed by `remove`. Making one removes what pools of this user that died left behind."""

    def __init__(self) -> None:
        self._path: pathlib.Path | None = None
        self._lock = -1

    @property
    def path(self) -> pathlib.Path:
        """The directory.

        Raises:
            OSError: no place for it can be written to.
        """
        if self._path is None or not self._path.is_dir():  # programs that tidy up /tmp may have removed it
            self._unlock()
            self._path = _make()
            self._lock = _locked(self._path)
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
            self._unlock()

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def bases() -> list[pathlib.Path]:
    """Where run directories are made, the best place first."""
    places = (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/var/tmp")  # noqa: S108
    return list(dict.fromkeys(pathlib.Path(place).absolute() for place in places if place))


def is_living(directory: pathlib.Path) -> bool:
    """Is this the run directory of a pool of this user that lives?"""
    import fcntl

    try:
        facts = directory.lstat()
        if facts.st_uid != os.getuid() or not stat.S_ISDIR(facts.st_mode) or facts.st_mode & 0o077:
            return False
        lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _make() -> pathlib.Path:
    problem: OSError | None = None
    for base in bases():
        path = str(base / "snakepit-12345678")
        if len(path) <= _MAX_DIRECTORY and _PLAIN.fullmatch(path):
            sweep(base)
            try:
                return pathlib.Path(tempfile.mkdtemp(prefix="snakepit-", dir=base))  # mkdtemp gives it 0700
            except OSError as error:
                problem = error
    raise problem or OSError("no directory is short and plain enough for a unix socket; set TMPDIR to a short path of letters and digits")


def _locked(directory: pathlib.Path) -> int:
    """A lock on a new directory; it shows under its name only once it is held."""
    import fcntl  # not on Windows, where this package can be imported and a pool cannot run

    lock = os.open(directory / f"{_LOCK}.new", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    (directory / f"{_LOCK}.new").rename(directory / _LOCK)
    return lock


def sweep(base: pathlib.Path) -> None:
    """Remove this user's leftovers in a place: run directories whose lock nobody holds."""
    import fcntl

    for path in base.glob(f"snakepit-*/{_LOCK}"):
        try:
            if path.stat().st_uid != os.getuid():
                continue
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # it went meanwhile, or is not ours to open
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent, ignore_errors=True)
        except BlockingIOError:
            pass  # a pool lives there
        finally:
            os.close(lock)
