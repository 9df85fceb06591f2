"""Tools that are short, unless they are told otherwise."""

from __future__ import annotations

import itertools
import os
import pathlib
import time

from snakepit_bridge import BaseAdapter, tool


class PipeliningTools(BaseAdapter):
    """See the module."""

    @tool
    def mark(self, folder: str, number: int, wait_for: str = "", hold: bool = False, die: bool = False, size: int = 0) -> str:
        """Put down that it runs; wait for a file, or with the interpreter to itself, or end the process. Gives a text of that size."""
        with (pathlib.Path(folder) / "marks").open("a") as marks:
            marks.write(f"{number}\n")
        if wait_for:
            (pathlib.Path(folder) / f"{wait_for}-waits").touch()
            end = time.monotonic() + 30
            while not (pathlib.Path(folder) / wait_for).exists() and time.monotonic() < end:
                time.sleep(0.005)
        if hold:
            (pathlib.Path(folder) / "held").touch()
            sum(itertools.repeat(1, 200_000_000))
        if die:
            os._exit(3)
        return "x" * size
