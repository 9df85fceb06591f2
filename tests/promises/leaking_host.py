"""A host that does one kind of work over and over, and says what there was of everything before and after.

Run as a program by `test_leaks.py`, in a process of its own: a test runner's memory moves for reasons of its own. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil

import snakepit

#: Calls that are submitted before the first of their results is read.
_AT_ONCE = 200


def consume_slowly(pool: snakepit.Pool, chunks: int) -> None:
    """One stream of so many chunks, whose reader falls behind again and again."""
    seen = 0
    for chunk in pool.stream("count", {"n": chunks}, timeout=None).values():
        assert chunk["n"] == seen
        seen += 1
        if seen % 1000 == 0:
            time.sleep(0.001)
    assert seen == chunks


def leave_streams(pool: snakepit.Pool, streams: int) -> None:
    """So many endless streams, each left after a few chunks."""
    for number in range(streams):
        for chunk in pool.stream("count", {"n": 10**12}):
            if chunk["n"] == number % 7:
                break


def make_calls(pool: snakepit.Pool, calls: int) -> None:
    """So many calls, many of them at once."""
    for first in range(0, calls, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, calls))
        futures = [pool.submit("square", {"number": number}) for number in numbers]
        assert [future.result(30) for future in futures] == [number**2 for number in numbers]


WORK: dict[str, Callable[[snakepit.Pool, int], None]] = {"chunks": consume_slowly, "streams": leave_streams, "calls": make_calls}

_MOST_EVENT_ENGINES = 16
#: How much of it comes first: caches are filled by then, and the allocator holds what it will hold.
WARM_UP = {"chunks": 100_000, "streams": 500, "calls": 10_000}


def main() -> None:
    tools, what, times, protocol = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    with snakepit.Pool(tools, size=2, protocol=protocol) as pool:
        while pool.stats().workers_ready < 2:
            time.sleep(0.01)
        WORK[what](pool, WARM_UP[what])
        before = picture(pool)
        WORK[what](pool, times)
        print(json.dumps({"before": before, "after": picture(pool)}), flush=True)


def picture(pool: snakepit.Pool) -> dict[str, Any]:
    """What there is now on either side, once nothing is on its way any more."""
    while pool.stats().running or pool.stats().queued:
        time.sleep(0.001)
    for handle in pool.workers():  # a round trip each: what was left behind by a cancel has ended
        assert handle.info().running == 0
    assert pool.execute("square", {"number": 2}) == 4
    time.sleep(0.2)  # ends that are told late: a thread's last line, a callback of the loop
    gc.collect()
    me = psutil.Process()
    family = [me, *me.children(recursive=True)]
    found: dict[str, Any] = {
        "processes": [process.name() for process in family],
        "pss": {f"{process.name()}-{number}": process.memory_full_info().pss for number, process in enumerate(family)},
        "threads": [_threads(process.pid) for process in family],
        "descriptors": [process.num_fds() for process in family],
        "tasks": sum(1 for item in gc.get_objects() if issubclass(type(item), asyncio.Task) and not item.done()),
        "files": sorted(str(path) for path in pathlib.Path(os.environ["TMPDIR"]).rglob("*")),
        "shared memory": sorted(path.name for path in pathlib.Path("/dev/shm").iterdir()),
    }
    return found


def _threads(pid: int) -> list[str]:
    """The names of a process's threads, but for one kind: how many event engines gRPC has, up to a limit, it decides by its load."""
    names = [path.read_text().strip() for path in pathlib.Path(f"/proc/{pid}/task").glob("*/comm")]
    assert names.count("event_engine") <= _MOST_EVENT_ENGINES
    return sorted(name for name in names if name != "event_engine")


if __name__ == "__main__":
    main()
