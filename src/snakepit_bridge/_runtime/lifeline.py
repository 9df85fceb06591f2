"""The worker's line to whoever started it: says `ready` or why not, and ends the worker when the other end is gone.

One inherited socket. Out: a single JSON line. In: nothing but end of file, which means that the host has died, however
it died: a worker must not outlive it. Closed in children that a tool forks, so that they cannot keep it open.
"""

import _socket  # the C half of `socket`: what that adds, enumerations above all, takes a millisecond of each start
import json
import os
import signal
import threading
from typing import Any, Dict


class Lifeline:
    """Owns the inherited descriptor and the thread that watches it.

    Args:
        run_directory: the host's private directory, which is removed when the host has died.
    """

    def __init__(self, fd: int, run_directory: str = "") -> None:
        self._run_directory = run_directory
        os.set_inheritable(fd, False)
        self._socket = _socket.socket(fileno=fd)
        os.register_at_fork(after_in_child=self._socket.close)
        threading.Thread(target=self._watch, name="snakepit-lifeline", daemon=True).start()

    def say(self, report: Dict[str, Any]) -> None:
        """Send the report: `{"ready": endpoint, ...}` or `{"failed": ...}`."""
        self._socket.sendall(json.dumps(report).encode("utf-8") + b"\n")

    def _watch(self) -> None:
        try:
            while self._socket.recv(4096):
                pass
        except OSError:
            pass  # a reset means the same as end of file
        try:
            if self._run_directory:  # the host's, and it can no longer remove it itself; the last of its workers succeeds
                import shutil  # here: it brings along what unpacks archives

                shutil.rmtree(self._run_directory, ignore_errors=True)
        finally:  # though nothing can be imported, for want of descriptors, say
            end_everything()


def end_everything() -> None:
    """End this worker at once, and what its tools started in its process group."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(70)
