"""A pool whose tool puts down which calls have run, and in which order."""

from __future__ import annotations

import concurrent.futures
import pathlib
from collections.abc import Iterable
from typing import Any

import snakepit
from pool_helpers import wait_until
from snakepit._pool.ahead_lines import TOGETHER_SECONDS

#: Of such calls eight are sent ahead to one worker (seconds).
_SURELY_SHORT = TOGETHER_SECONDS / 20


class Marked:
    """A pool whose tool puts down which calls have run. Its calls are known to be short."""

    def __init__(self, pool: snakepit.Pool, folder: pathlib.Path) -> None:
        self.pool = pool
        self.folder = folder
        engine: Any = pool._ready()[0]
        for _ in range(500):  # one that the machine holds up does not count as short
            self.run(-1)
            if (engine._calls._ahead.pace.short("mark") or 1.0) < _SURELY_SHORT and pool.stats().workers_ready == pool.stats().size:
                break
        self.ran.clear()
        (folder / "marks").unlink()

    def submit(self, number: int, *, timeout: float | None = 60, **args: Any) -> concurrent.futures.Future[Any]:
        """A call in the background."""
        return self.pool.submit("mark", {"folder": str(self.folder), "number": number, **args}, timeout=timeout)

    def run(self, number: int, **args: Any) -> Any:
        """A call, to its end."""
        return self.submit(number, **args).result(60)

    def items(self, numbers: Iterable[int], **special: Any) -> list[dict[str, Any]]:
        """The arguments of as many calls; `special`: further ones of some, as `n7={...}`."""
        return [{"folder": str(self.folder), "number": number, **special.get(f"n{number}", {})} for number in numbers]

    @property
    def ran(self) -> list[int]:
        """Which have run, in their order."""
        return [int(line) for line in (self.folder / "marks").read_text().split()]

    def hold(self, name: str = "go") -> concurrent.futures.Future[Any]:
        """A call that runs until `say(name)`: longer than such calls do."""
        held = self.submit(0, wait_for=name)
        wait_until((self.folder / f"{name}-waits").exists, "the call runs")
        return held

    def say(self, name: str = "go") -> None:
        """Let such calls go on."""
        (self.folder / name).touch()
