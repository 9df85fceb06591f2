"""What this machine, or this container, allows: open files, processes, memory, shared memory. For `doctor_command`.

Each is read by a small function and judged by a pure one, for as many workers as a pool has by default.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

from snakepit._workers import descriptors

from .findings import Check
from .status_view import size as amount

#: Threads and processes: the host's, guardian's and keeper's; a worker's with gRPC and the usual libraries, and what tools start.
_TASKS, _TASKS_EACH = 16, 16
#: What a worker holds with gRPC and nothing loaded (bytes).
_MEMORY_EACH = 48 * 1024 * 1024
#: Below this, tools that pass arrays through shared memory soon find it full: 64 MiB is what containers have by default (bytes).
_LITTLE_SHARED = 128 * 1024 * 1024
_SHARED = Path("/dev/shm")  # noqa: S108 - it is asked about, not written to
#: A cgroup of version 1 without a limit says a number near 2**63.
_NO_LIMIT = 2**60


def examine_limits(workers: int) -> Iterator[Check]:
    """All of them, for a pool of so many workers."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        yield open_files(descriptors.allowed(), workers)
        yield processes(*_tasks(resource.getrlimit(resource.RLIMIT_NPROC)[0], resource.RLIM_INFINITY), workers)
    yield memory(*_memory(), workers)
    yield _shared_memory()


def open_files(limit: float, workers: int) -> Check:
    """How many descriptors a host may have open; `math.inf`: there is no limit."""
    if math.isinf(limit):
        return Check("open files", "no limit")
    needed = descriptors.needed(workers)
    if limit >= needed:
        enough = (limit - descriptors.OTHERS) // descriptors.EACH
        return Check("open files", f"{limit:.0f}: enough for {enough:.0f} workers")
    return Check("open files", f"{limit:.0f} may be open, and a host of {workers} workers has about {needed}", descriptors.cure(workers))


def processes(limit: float, used: int, what: str, workers: int) -> Check:
    """How many processes and threads there may be.

    Args:
        limit: `math.inf`: there is none. what: whose limit it is.
    """
    needed = _TASKS + _TASKS_EACH * workers
    if math.isinf(limit):
        return Check("processes", "no limit")
    if limit - used >= needed:
        return Check("processes", f"{limit:g} of {what}, {used} are there")
    ours = what == "its cgroup"
    cure = "raise the container's pids_limit (docker run --pids-limit)" if ours else "raise `ulimit -u`, or use fewer workers: size="
    text = f"{limit:g} of {what}, {used} are there, and {workers} workers need about {needed} more, threads counted"
    return Check("processes", text, cure)


def memory(free: float, limit: float, workers: int) -> Check:
    """How much memory workers may take (bytes).

    Args:
        free: what is left of the machine's, or of the limit. limit: the cgroup's; `math.inf`: there is none.
    """
    needed = _MEMORY_EACH * workers
    bound = "no limit of a container" if math.isinf(limit) else f"the container's limit is {amount(int(limit))}"
    if math.isnan(free):
        return Check("memory", "not known")
    if free >= needed:
        return Check("memory", f"{amount(int(free))} free; {bound}")
    cure = "fewer workers: size=" + ("" if math.isinf(limit) else ", or a higher limit (docker run --memory)")
    left = amount(int(free)) if free >= 1 else "nothing"
    text = f"{left} free, and {workers} workers take {amount(needed)} before they load anything; {bound}"
    return Check("memory", text, cure)


def shared_memory(total: int, free: int, *, writable: bool) -> Check:
    """What tools that share arrays can use (bytes): multiprocessing's shared memory, PyTorch's data loaders."""
    name = "shared memory"
    if not writable:
        return Check(name, f"{_SHARED} cannot be written to: tools that share memory will fail", f"mount -o remount,rw,mode=1777 {_SHARED}")
    if total < _LITTLE_SHARED:
        text = f"{_SHARED} holds {amount(total)}: little for tools that share arrays"
        return Check(name, text, "docker run --shm-size=1g; in Kubernetes, an emptyDir volume with medium: Memory there")
    if free < total // 20:
        return Check(name, f"{_SHARED} is nearly full: {amount(free)} of {amount(total)} free", f"ls -l {_SHARED} shows what fills it")
    return Check(name, f"{_SHARED}, {amount(free)} of {amount(total)} free")


def _tasks(limit: int, infinity: int) -> tuple[float, int, str]:
    """(the tighter limit, how many there are, whose limit that is): of the user, or of the cgroup."""
    group, count = _numbers("pids", "pids.max", "pids.current")
    if not math.isinf(group):
        return group, int(count), "its cgroup"
    if limit == infinity or os.geteuid() == 0:  # root is not bound
        return math.inf, 0, ""
    return float(limit), sum(_threads_of_this_user()), "this user"


def _threads_of_this_user() -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if path.stat().st_uid == os.getuid():
                yield int((path / "stat").read_bytes().rpartition(b")")[2].split()[17])


def _memory() -> tuple[float, float]:
    """(what is free, the cgroup's limit)."""
    free = math.nan
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next((int(line.split()[1]) * 1024.0 for line in lines if line.startswith("MemAvailable:")), math.nan)
    limit, used = _numbers("memory", "memory.max", "memory.current")
    if math.isinf(limit):
        limit, used = _numbers("memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
    if limit >= _NO_LIMIT:
        return free, math.inf
    return min(free, max(0.0, limit - used)) if not math.isnan(free) else limit - used, limit


def _shared_memory() -> Check:
    try:
        facts = os.statvfs(_SHARED)
    except OSError as error:
        text = f"there is no {_SHARED} ({error.strerror}): tools that share memory will fail"
        return Check("shared memory", text, f"mkdir -p {_SHARED} && mount -t tmpfs -o mode=1777 shm {_SHARED}")
    return shared_memory(facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize, writable=os.access(_SHARED, os.W_OK | os.X_OK))


def _numbers(controller: str, limit: str, used: str) -> tuple[float, float]:
    """(a cgroup's tightest limit, how much of it is used), of this process's cgroup and those above; (inf, 0): there is none."""
    found = (math.inf, 0.0)
    for folder in _folders(controller):
        with contextlib.suppress(OSError, ValueError):
            most = float((folder / limit).read_text(encoding="ascii").strip().replace("max", "inf"))
            count = float((folder / used).read_text(encoding="ascii"))
            if most - count < found[0] - found[1] or math.isinf(found[0]):
                found = (most, count)
    return found


def _folders(controller: str) -> Iterator[Path]:
    """Where the cgroups of this process are, of either version, the innermost first."""
    root = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") or not controllers:
            top = root / controller if controllers else root
            folder = top / path.lstrip("/")
            yield from (place for place in (folder, *folder.parents) if place.is_relative_to(top) and place.is_dir())
