"""What the workers of all peers are asked to do. Nothing that is heavy is imported before it is used."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from typing import Any

#: So long a call hangs that nobody ends: seconds.
HANGS_FOR = 30


def echo(value: dict[str, int]) -> dict[str, int]:
    return value


def chunks(count: int) -> Iterator[dict[str, int]]:
    for i in range(count):
        yield {"x": i}


def total(value: Any) -> float:
    return float(value.sum())


@functools.lru_cache(maxsize=1)
def numbers(count: int) -> Any:
    import numpy

    return numpy.random.default_rng(1).random(count)


def prepare(count: int, seconds: float) -> int:
    """Have the array at hand, and take so long that another worker is asked meanwhile; with 0, only the latter."""
    began = time.monotonic()
    if count:
        numbers(count)
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    return os.getpid()


def loaded(seconds: float) -> bool:
    """Whether an array is at hand; takes so long that another worker is asked meanwhile."""
    time.sleep(seconds)
    return numbers.cache_info().currsize > 0


def die() -> None:
    os._exit(3)


def hang(kind: str, path: str) -> None:
    """Say to the pipe at `path` who hangs, and keep it open for as long as this lasts."""
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib would be loaded in each worker
        file.write(f"{os.getpid()}\n")
        file.flush()
        _HANGS[kind]()


def _sleep() -> None:
    time.sleep(HANGS_FOR)


def _loop() -> None:
    until = time.monotonic() + HANGS_FOR
    while time.monotonic() < until:
        pass


def _read() -> None:
    import threading

    here, there = os.pipe()
    timer = threading.Timer(HANGS_FOR, os.write, (there, b"."))  # Nothing else would ever end it.
    timer.daemon = True
    timer.start()
    try:
        os.read(here, 1)
    finally:
        timer.cancel()
        os.close(here)
        os.close(there)


_HANGS = {"sleep": _sleep, "loop": _loop, "read": _read}
