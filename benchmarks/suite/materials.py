"""What has to lie there before a scenario is played, and goes away after it."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MB = 1_000_000
_BLOCK = 10_000


@contextlib.contextmanager
def material(name: str, *, quick: bool) -> Iterator[dict[str, Any]]:
    """The options that say where it is; none for a scenario that needs nothing.

    Raises:
        OSError: there is no room for it.
    """
    if name != "csv":
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "rows.csv"
        yield {"path": str(path), "rows": write_csv(path, (100 if quick else 1000) * _MB)}


def write_csv(path: Path, size: int) -> int:
    """A file of so many bytes, about: its number of rows."""
    dice = random.Random(7)
    rows = [
        f"{dice.randrange(10**9):09d},{dice.choice(('red', 'green', 'blue')):>8},{'some text':<60},{dice.random():.16f}\n"
        for _ in range(_BLOCK)
    ]
    block = "".join(rows).encode()
    times = max(1, size // len(block))
    with path.open("wb") as file:
        file.write(b"id,colour,text,value\n")
        for _ in range(times):
            file.write(block)
    return times * _BLOCK
