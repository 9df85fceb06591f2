"""What the commands share: a pool to work with, and how every way of ending becomes words and an exit code.

A command is a subclass with `work`. `run` calls that with interrupts armed, raises nothing itself, and leaves no worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snakepit.errors import SnakepitError

from .endings import DONE, FAILED, error_document, error_text, exit_code
from .interrupts import Interrupted, Interrupts
from .lines import json_line
from .notes import Notes
from .output import Output, OutputFailed, ReaderLeft, say

if TYPE_CHECKING:
    import snakepit

_READER_LEFT = 141

#: Seconds. Long, as some tools load large models first, and whoever waits here has Ctrl-C.
_START_TIMEOUT = 300.0


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
        self.output = Output()
        #: The tool that is called, for what is said about errors.
        self.tool = ""
        #: What has been told on standard output of what went wrong.
        self.told = ""

    def work(self) -> None:
        """Do it; called by `run`."""
        raise NotImplementedError

    def run(self) -> int:
        """Do it, and tell what went wrong if something did. Gives the exit code."""
        with Notes() as notes:
            told, code = self._attempt()
        for line in notes.untold(self.told + told):
            say(f"snakepit: {line}")
        if told:
            say(told)
        return code

    def _attempt(self) -> tuple[str, int]:
        """Do it. Gives what is to be told, and the exit code."""
        try:
            with Interrupts(self.output.pipe()):
                self.work()
        except Interrupted as interruption:
            return self._interrupted(interruption), interruption.exit_code
        except ReaderLeft:
            return "", _READER_LEFT
        except OutputFailed as failure:
            return f"snakepit: {failure}", FAILED
        except SnakepitError as error:
            self.last_line(error_document(error, self.tool))
            return error_text(error), exit_code(error)
        return "", DONE

    def pool(self, **settings: Any) -> snakepit.Pool:
        """A pool of this command's adapter, not started yet."""
        import snakepit  # Late: `--help` and a malformed command need none of it.

        # "auto" would take our own logging handler for a log that the user has set up.
        settings = {"start_timeout": _START_TIMEOUT, **settings}
        return snakepit.Pool(self.adapter, size=self.size, worker_output="stderr", **settings)

    def _interrupted(self, interruption: Interrupted) -> str:
        if interruption.quiet:
            self.output.abandon()
        return "" if interruption.told else f"snakepit: ended by {interruption.name}"

    def last_line(self, document: object) -> None:
        """Tell a program how it ended badly."""
        if not self.as_json:
            return
        try:
            self.output.line(json_line(document))
        except (ReaderLeft, OutputFailed):
            pass  # The exit code tells it too.
