"""A short tool that puts down each of its runs, and may end its process."""

from __future__ import annotations

import os
import time

from snakepit_bridge import tool


@tool
def note(path: str, number: int, seconds: float = 0.0, die: bool = False) -> int:
    """One line for each run, written at once."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b"%d\n" % number)
    os.close(fd)
    time.sleep(seconds)
    if die:
        os._exit(3)
    return number
