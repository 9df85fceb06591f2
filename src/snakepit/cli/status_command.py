"""`snakepit status`: what the pools of this user are doing, once or again and again.

On a terminal it is drawn by rich; elsewhere it is plain lines. Called by `app`.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from snakepit.errors import ConfigurationError

from . import status_view
from .command import Command
from .endings import DONE, FAILED
from .hosts import Seen, look
from .interrupts import Interrupted
from .lines import json_line
from .output import say

if TYPE_CHECKING:
    from rich.console import Group


class StatusCommand(Command):
    """One look, or many.

    Args:
        pid: the process whose pools are shown; None: all. name: their `instance_name`; None: all.
        watch: look again every `interval` seconds, until interrupted.
    """

    def __init__(self, pid: int | None, name: str | None, *, watch: bool, interval: float, as_json: bool) -> None:
        super().__init__(None, 1, as_json)
        self._pid = pid
        self._name = name
        self._watch = watch
        self._interval = interval
        self._well = True

    def work(self) -> None:
        """Look, and print."""
        if not 0.05 <= self._interval < math.inf:
            raise ConfigurationError(f"--interval: got {self._interval:g}, allowed is a number of seconds from 0.05 on")
        if not self._watch:
            self._show(look(self._pid, self._name))
            return
        try:
            self._draw_again() if self.output.is_terminal and not self.as_json else self._print_again()
        except Interrupted as interruption:
            interruption.told = True  # whoever watches ends it this way
            raise

    def _attempt(self) -> tuple[str, int]:
        told, code = super()._attempt()
        return told, FAILED if code == DONE and not self._well else code

    def _show(self, seen: Seen) -> None:
        self._well = status_view.is_well(seen)
        if self.as_json:
            self.output.line(json_line(status_view.document(seen)))
        elif not seen.pools and not seen.silent:
            say(f"snakepit: {self._nothing()}")
        elif self.output.is_terminal:
            from rich.console import Console

            Console(file=self.output.stream, highlight=False).print(self._drawn(seen))
        else:
            for line in status_view.lines(seen):
                self.output.line(line)

    def _print_again(self) -> None:
        while True:
            self._show(look(self._pid, self._name))
            if not self.as_json:
                self.output.line("")
            time.sleep(self._interval)

    def _draw_again(self) -> None:
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(file=self.output.stream, highlight=False), screen=True, auto_refresh=False) as live:
            while True:
                live.update(self._drawn(look(self._pid, self._name), again=True), refresh=True)
                time.sleep(self._interval)

    def _nothing(self) -> str:
        narrowed = [f"of pid {self._pid}"] if self._pid is not None else []
        narrowed += [f"named {self._name!r}"] if self._name is not None else []
        return " ".join(["no pool", *narrowed, "of this user runs here"])

    def _drawn(self, seen: Seen, *, again: bool = False) -> Group:
        from . import status_screen

        ending = f"every {self._interval:g} s; Ctrl-C ends it" if again else ""
        return status_screen.drawn(seen, self._nothing(), ending)
