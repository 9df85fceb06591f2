"""What a test has left behind: child processes and threads of snakepit's. Looks with the standard library alone."""

import gc
import os
import pathlib
import threading
import time
from typing import Dict, List, Set, Tuple

#: Ends are reported late by nature: a process has to be reaped, a thread to leave its last line (seconds).
WITHIN = 5.0

Seen = Dict[Tuple[str, object], str]


def seen() -> Seen:
    """What there is now, with a line about each."""
    found: Seen = {("process", pid): "process %d: %s" % (pid, command) for pid, command in _descendants().items()}
    found.update({("thread", thread): "thread %s" % thread.name for thread in threading.enumerate() if thread.name.startswith("snakepit")})
    return found


def wait_gone(before: Seen) -> List[str]:
    """What is here that was not, one line each; returns at once when nothing is."""
    until = time.monotonic() + WITHIN
    while True:
        gc.collect()
        left = [text for key, text in seen().items() if key not in before]
        if not left or time.monotonic() > until:
            return sorted(left)
        time.sleep(0.01)


def _descendants() -> Dict[int, str]:
    """The processes below this one with their commands; only where /proc says so."""
    parents: Dict[int, Tuple[int, str]] = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(errors="replace")
            command = (path.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # gone meanwhile
            continue
        name, _, rest = text.partition("(")[2].rpartition(")")
        parents[int(path.parent.name)] = int(rest.split()[1]), command.strip() or name
    ours: Set[int] = {os.getpid()}
    while True:
        more = {pid for pid, (parent, _) in parents.items() if parent in ours} - ours
        if not more:
            return {pid: parents[pid][1] for pid in ours if pid != os.getpid()}
        ours |= more
