"""Where the threads of a worker are, seen from outside by py-spy, if that is installed.

For a worker that cannot say it itself: it was stopped, or hangs before it could register its handler. py-spy reads the memory of
another process, which the system may refuse (`ptrace`); then nothing is known, and the log says so at DEBUG. Lives on the pool's loop.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from snakepit.telemetry.logs import library_logger

_log = library_logger("snakepit.pool")

#: How long it may take (seconds).
WITHIN_SECONDS = 0.5


def answers(pid: int) -> bool:
    """Does a process answer SIGUSR1 with its stacks? Not where that would end it, nor while it is stopped. True where it cannot be told."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    facts = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    caught = int(facts.get("SigCgt", "0").strip() or "0", 16)
    return bool(caught & 1 << (signal.SIGUSR1 - 1)) and facts.get("State", "").strip()[:1] not in ("T", "t")


def look(pid: int, then: Callable[[str], None]) -> None:
    """Look at a process; `then` is called with what is seen, or with an empty text, soon."""
    program = shutil.which("py-spy", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]))
    if program is None:
        then("")
        return
    try:
        # Not paused: that fails for one that is stopped, and whoever is to be killed need not go on meanwhile.
        process = subprocess.Popen(
            [program, "dump", "--nonblocking", "--full-filenames", "--pid", str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        _log.debug("%s cannot be started: %s", program, error)
        then("")
        return
    _Look(process, then)


class _Look:
    """One run of py-spy."""

    def __init__(self, process: subprocess.Popen[bytes], then: Callable[[str], None]) -> None:
        assert process.stdout is not None
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._pipe = process.stdout
        self._then = then
        self._text = b""
        os.set_blocking(self._pipe.fileno(), False)
        self._loop.add_reader(self._pipe.fileno(), self._read)
        self._timer = self._loop.call_later(WITHIN_SECONDS, process.kill)  # the end of its output follows

    def _read(self) -> None:
        try:
            data = os.read(self._pipe.fileno(), 65536)
        except BlockingIOError:
            return
        self._text += data
        if not data:
            self._loop.remove_reader(self._pipe.fileno())
            self._timer.cancel()
            self._pipe.close()
            self._process.kill()  # it has closed its output, and has nothing more to do
            failed = self._process.wait() not in (0, -9)
            text = self._text.decode("utf-8", "replace")
            if failed:
                _log.debug("py-spy could not look: %s", text.strip())
            self._then("" if failed else text)
