"""What the workers of all peers are asked to do. Nothing that is heavy is imported before it is used."""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Iterator
from typing import Any

#: So long a call hangs that nobody ends: seconds.
HANGS_FOR = 30
#: After so many rows of a file it is said how far it is.
_ROWS = 50_000
_COUNTERS: dict[str, int] = {}


def echo(value: dict[str, int]) -> dict[str, int]:
    return value


def chunks(count: int, size: int = 0) -> Iterator[dict[str, Any]]:
    """With `size`, each has so many characters too."""
    if size:
        for i in range(count):
            yield {"x": i, "data": chr(97 + i % 26) * size}
    else:
        for i in range(count):
            yield {"x": i}


def count_up(key: str) -> int:
    """How often it was asked for this key here: state that a worker keeps."""
    _COUNTERS[key] = _COUNTERS.get(key, 0) + 1
    return _COUNTERS[key]


def total(value: Any) -> float:
    return float(value.sum())


def numbers(count: int) -> Any:
    """An array that is made once: a cache itself would make it anew for `numbers(count=...)` after `numbers(...)`."""
    return _made(count)


@functools.lru_cache(maxsize=1)
def _made(count: int) -> Any:
    import numpy

    return numpy.random.default_rng(1).random(count)


def forget() -> None:
    """Let go of the array."""
    _made.cache_clear()


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
    return _made.cache_info().currsize > 0


def read_csv(path: str) -> Iterator[dict[str, Any]]:
    """Add up the last column of a file, and say after each so many rows how far it is."""
    rows, total = 0, 0.0
    with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib would be loaded in each worker
        next(file)
        while lines := list(itertools.islice(file, _ROWS)):
            for line in lines:
                total += float(line[line.rindex(",") + 1 :])
            rows += len(lines)
            yield {"rows": rows, "total": total}


def read_csv_at_once(path: str) -> list[dict[str, Any]]:
    return list(read_csv(path))


def label_images(count: int) -> Iterator[dict[str, Any]]:
    """What a model does with images: for each a label, and the image with something drawn on it."""
    import numpy

    base = numpy.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=numpy.uint8)
    for i in range(count):
        image = base + numpy.uint8(i % 251)
        small = image.reshape(64, 4, 64, 4, 3).mean((1, 3))
        image[:8] = 255
        yield {"i": i, "label": int(small.argmax()), "image": image}


def label_images_at_once(count: int) -> list[dict[str, Any]]:
    return list(label_images(count))


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

#: What gives all at once, for those who cannot give what they have by and by.
AT_ONCE: dict[Any, Any] = {read_csv: read_csv_at_once, label_images: label_images_at_once}
