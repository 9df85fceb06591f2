"""Tools that are short, unless they are told otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pathlib
import time
from collections.abc import Iterator

from snakepit_bridge import BaseAdapter, Cancelled, tool


def wait_for(path: str) -> bool:
    """A plain function, for executors: says that it has begun; is the file there, within half a minute?"""
    pathlib.Path(f"{path}-waits").touch()
    end = time.monotonic() + 30
    while not pathlib.Path(path).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return pathlib.Path(path).exists()


class PipeliningTools(BaseAdapter):
    """See the module."""

    @tool
    def mark(self, folder: str, number: int, wait_for: str = "", hold: bool = False, die: bool = False, size: int = 0, stubborn: str = "") -> str:  # fmt: skip
        """Put down that it runs; wait for a file, or with the interpreter to itself, or end the process. Gives a text of that size.

        `stubborn`: wait for a file, whatever the caller wants.
        """
        with (pathlib.Path(folder) / "marks").open("a") as marks:
            marks.write(f"{number}\n")
        if wait_for:
            (pathlib.Path(folder) / f"{wait_for}-waits").touch()
            end = time.monotonic() + 30
            while not (pathlib.Path(folder) / wait_for).exists() and time.monotonic() < end:
                time.sleep(0.005)
        if stubborn:
            (pathlib.Path(folder) / f"{stubborn}-waits").touch()
            while not (pathlib.Path(folder) / stubborn).exists():
                with contextlib.suppress(Cancelled):
                    time.sleep(0.005)
        if hold:
            (pathlib.Path(folder) / "held").touch()
            sum(itertools.repeat(1, 200_000_000))
        if die:
            os._exit(3)
        return "x" * size

    @tool(idempotent=True)
    def second_time(self, folder: str, number: int, seconds: float = 0.0, die: bool = False) -> int:
        """Fails the first time that it runs for a number; the second run takes so long, or ends the process. Gives how often it has run."""
        runs = pathlib.Path(folder) / f"runs-{number}"
        with runs.open("a") as marks:
            marks.write(".")
        count = runs.stat().st_size
        if count == 1:
            raise ValueError("the first time")
        time.sleep(seconds)
        if die:
            os._exit(3)
        return count

    @tool
    def nap(self, seconds: float) -> int:
        """Sleeps; gives the process's number."""
        time.sleep(seconds)
        return os.getpid()

    @tool
    def ask(self, number: int) -> int:
        """What the host tool `double` makes of it."""
        return int(self.host_tools["double"](number))

    @tool
    def report(self, number: int) -> int:
        """Says which it is, and gives it."""
        self.progress(0, number=number)
        return number

    @tool
    def items(self, folder: str) -> Iterator[int]:
        """Goes on until the file `over` is there."""
        yield 1
        end = time.monotonic() + 30
        while not (pathlib.Path(folder) / "over").exists() and time.monotonic() < end:
            time.sleep(0.005)


class AsyncTools(BaseAdapter):
    """One tool that waits, as a task."""

    @tool
    async def number(self, value: int) -> int:
        """The same."""
        return value


class AsyncHooks(BaseAdapter):
    """Made anew for each call, by hooks that wait."""

    lifecycle = "request"
    at_once = 0
    most = 0

    async def initialize(self) -> None:
        cls = type(self)
        cls.at_once += 1
        cls.most = max(cls.most, cls.at_once)
        await asyncio.sleep(0)

    async def cleanup(self) -> None:
        await asyncio.sleep(0)
        type(self).at_once -= 1

    @tool
    def most_at_once(self) -> int:
        """How many calls were under way here at the same time, at most."""
        return type(self).most
