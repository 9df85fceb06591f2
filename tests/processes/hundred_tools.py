"""Tools for a pool of many workers: they say where they run, at once or after a while."""

from __future__ import annotations

import os
import time

from snakepit_bridge import tool


@tool
def where() -> int:
    return os.getpid()


@tool
def hold(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()
