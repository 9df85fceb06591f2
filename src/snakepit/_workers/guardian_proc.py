"""How the guardian finds processes and ends them: by walks over /proc, and the marker that all have which it has started.

Imported by the guardian's own program, whose interpreter has no package (`import guardian_proc`), and by the host.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import time

#: The marker of what a run has started: RUN:PID:BORN:WORLD, of its guardian. Finds what even a killed guardian has left.
MARKER = "SNAKEPIT_GUARDIAN"
#: How long the descendants of a host that is gone are hunted (seconds).
_LAST_BOUND = 20.0


def stat_of(pid: int | str) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the state on; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return None


def born(pid: int | str) -> int | None:
    """When a process began, in clock ticks since the boot: with its number, it is told from every other one. None: it is gone.

    One whose first thread has ended is shown as a zombie, although the others go on: it is gone with the last of them.
    """
    fields = stat_of(pid)
    if fields is None or fields[0] == b"X" or (fields[0] == b"Z" and int(fields[17]) <= 1):
        return None
    return int(fields[19])


def world() -> str:
    """In which boot of which machine, and in which numbering of processes, this one lives.

    A process of a container is seen from outside, and so is its marker; but the number in that is one of the container's own.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def children() -> dict[int, list[int]]:
    """Every process's children, by one walk; also those that have ended and were not reaped.

    A process ends thread by thread, and is shown as a zombie from its first thread's end on: until the last has gone it keeps
    its children, which must be found below it.
    """
    found: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_of(name)
            if fields is not None:
                found.setdefault(int(fields[1]), []).append(int(name))
    return found


def has_children() -> bool:
    """Has this process any, ended or not? The kernel's word: a walk over /proc may miss what changes its parent meanwhile."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def below(roots: list[int], tree: dict[int, list[int]]) -> list[int]:
    """All descendants of some processes, parents first."""
    found: list[int] = []
    front = roots
    while front:
        front = [child for parent in front for child in tree.get(parent, ())]
        found += front
    return found


def leftovers(run: str) -> list[int]:
    """Processes of this very world that a guardian of runs of this name has started, and that have no guardian any more."""
    found, here, head = [], world(), f"{MARKER}={run}:".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                marks = [item[len(head) :].decode() for item in file.read().split(b"\0") if item.startswith(head)]
        except (OSError, ValueError):  # gone, or somebody else's
            continue
        for mark in marks:
            pid, _, rest = mark.partition(":")
            at, _, its_world = rest.partition(":")
            if here and its_world == here and pid.isdigit() and str(born(pid)) != at:
                found.append(int(name))
    return found


def signal_all(pids: list[int], number: int) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            pass


def end(pids: list[int]) -> None:
    """Freeze and kill processes and all below them: frozen, nothing forks away from the walk."""
    doomed = [*pids, *below(pids, children())]
    signal_all(doomed, _signal.SIGSTOP)
    doomed = [*pids, *below(pids, children())]
    signal_all(doomed, _signal.SIGKILL)


def end_everything() -> None:
    """Kill and reap all that is below this process, until there is nothing; bounded."""
    until = time.monotonic() + _LAST_BOUND
    while has_children() and time.monotonic() < until:
        end(children().get(os.getpid(), []))
        time.sleep(0.002)
        while has_children() and os.waitpid(-1, os.WNOHANG)[0]:
            pass
