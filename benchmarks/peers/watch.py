"""Sees, from outside, when a hanging call has begun and when it has ended, however it ends: it holds a named pipe open."""

from __future__ import annotations

import os
import select
import signal
import tempfile
import time
from types import TracebackType
from typing import Self

from . import processes


class Watch:
    """For one call of `work.hang(kind, watch.path)`."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="hang-")
        self.path = f"{self._folder.name}/pipe"
        os.mkfifo(self.path)
        self._end = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self._worker: processes.Process | None = None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        """What still hangs is killed, for no pool could be closed with it."""
        if self._worker is not None and not self.wait_ended(0) and self._worker.alive:
            os.kill(self._worker.pid, signal.SIGKILL)
        os.close(self._end)
        self._folder.cleanup()

    def wait_begun(self, seconds: float) -> None:
        """Raises TimeoutError."""
        if not select.select([self._end], [], [], seconds)[0]:
            raise TimeoutError(f"the call had not begun {seconds} s after it was made")
        self._worker = processes.find(int(os.read(self._end, 100)))

    def wait_ended(self, seconds: float) -> bool:
        return bool(select.select([self._end], [], [], seconds)[0])

    def worker_lives(self) -> bool:
        """Whether it does a while later: a process may end after its call."""
        time.sleep(0.2)
        return self._worker is not None and self._worker.alive
