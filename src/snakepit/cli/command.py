"""What the commands share: a pool to work with, and how every way of ending becomes words and an exit code.

A command is a subclass with `work`. `run` calls that with interrupts armed, raises nothing itself, and leaves no worker.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from snakepit.errors import SnakepitError

from .endings import DONE, FAILED, error_document, error_text, exit_code, interruption_document, interruption_text
from .interrupts import Interrupted, Interrupts
from .lines import json_line
from .output import Output, OutputFailed, ReaderLeft, say

if TYPE_CHECKING:
    import snakepit

_READER_LEFT = 141


class Command:
    """One run of one command.

    Args:
        adapter: where the tools are; None: the showcase.
        size: how many workers.
        as_json: for programs?
    """

    def __init__(self, adapter: str | None, size: int, as_json: bool) -> None:
        self.adapter = adapter
        self.size = size
        self.as_json = as_json
        self.output = Output(sys.stdout)
        # What an error or interruption may say about the call; `work` keeps it true.
        self.tool = ""
        self.chunks = 0
        self.streaming = False
        self.calling = False

    def work(self) -> None:
        """Do it; called by `run`."""
        raise NotImplementedError

    def run(self) -> int:
        """Do it, and tell what went wrong if something did. Gives the exit code."""
        try:
            with Interrupts(self.output.pipe()):
                self.work()
        except Interrupted as interruption:
            return self._interrupted(interruption)
        except ReaderLeft:
            return _READER_LEFT
        except OutputFailed as failure:
            say(f"snakepit: {failure}")
            return FAILED
        except SnakepitError as error:
            say(error_text(error))
            self._last_line(error_document(error, self.tool))
            return exit_code(error)
        return DONE

    def pool(self) -> snakepit.Pool:
        """A pool of this command's adapter, not started yet."""
        import snakepit  # Late: `--help` and a malformed command need none of it.

        return snakepit.Pool(self.adapter, size=self.size)

    def _interrupted(self, interruption: Interrupted) -> int:
        if interruption.quiet:
            self.output.abandon()
        elif self.calling:
            say(interruption_text(interruption.name, self.tool, self.streaming, self.chunks))
            self._last_line(interruption_document(interruption.name, self.tool))
        else:
            say(f"snakepit: ended by {interruption.name}")
        return interruption.exit_code

    def _last_line(self, document: object) -> None:
        if not self.as_json:
            return
        try:
            self.output.line(json_line(document))
        except (ReaderLeft, OutputFailed):
            pass  # The exit code tells it too.
