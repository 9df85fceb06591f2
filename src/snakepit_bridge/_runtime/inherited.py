"""Reaps what this worker has inherited: on Linux it adopts what its tools' commands leave behind (`sh -c "job &"`, daemons).

When such a process ends, nobody waits for it, and it stays as a zombie for as long as the worker lives. Nothing tells an adopted process
from one that a tool has started itself and will wait for: so only what is too many is reaped, the oldest first, once it has been dead for
a while, and never what a `Popen` or a `multiprocessing.Process` stands for.
"""

import gc
import os
import sys
import time
from typing import Any, Dict, List, Set

#: So many zombies are left alone; of the others, those that have been dead for so long (seconds) are reaped.
MOST, GRACE_SECONDS = 64, 5.0
#: Between two looks at all processes (seconds); and between two questions whether any is dead, each a system call and an exception.
_LOOK_SECONDS, _ASK_SECONDS = 2.5, 0.1


class Inherited:
    """The zombies of this process. Called where a call has ended; costs next to nothing while there are none.

    Args:
        most, grace: see `MOST` and `GRACE_SECONDS`.
    """

    def __init__(self, most: int = MOST, grace: float = GRACE_SECONDS) -> None:
        self._most = most
        self._grace = grace
        self._seen: Dict[int, float] = {}  # since when each is known to be dead
        self._next = 0.0 if sys.platform == "linux" else float("inf")

    def reap(self) -> int:
        """Reap what is too many; how many those were."""
        now = time.monotonic()
        if now < self._next:
            return 0
        if not _any_dead():
            self._next = now + _ASK_SECONDS
            return 0
        self._next = now + min(_LOOK_SECONDS, self._grace)
        self._seen = {pid: self._seen.get(pid, now) for pid in _dead_children()}
        old = sorted((since, pid) for pid, since in self._seen.items() if now - since >= self._grace)
        doomed = [pid for _, pid in old[: max(0, len(self._seen) - self._most)]]
        if not doomed:
            return 0
        waited_for = _waited_for()
        reaped = 0
        for pid in doomed:
            if pid not in waited_for:
                reaped += _reaped(pid)
                self._seen.pop(pid, None)
        return reaped


def _any_dead() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # no children at all
        return False


def _dead_children() -> List[int]:
    found, me = [], str(os.getpid()).encode()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as file:
                    state, parent = file.read().rpartition(b")")[2].split()[:2]
            except (OSError, ValueError):  # it has just gone
                continue
            if state == b"Z" and parent == me:
                found.append(int(name))
    return found


def _waited_for() -> Set[int]:
    """The children that some object of this process stands for. Slow: looks at every object there is."""
    kinds: List[Any] = []
    if "subprocess" in sys.modules:
        kinds.append(sys.modules["subprocess"].Popen)
    if "multiprocessing.popen_fork" in sys.modules:
        kinds.append(sys.modules["multiprocessing.popen_fork"].Popen)
    wanted = tuple(kinds)
    return {
        item.pid for item in gc.get_objects() if wanted and issubclass(type(item), wanted) and isinstance(getattr(item, "pid", None), int)
    }


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # somebody was faster
        return False
