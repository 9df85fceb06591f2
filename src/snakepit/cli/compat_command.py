"""`snakepit compat install`: writes the scripts by which a Snakepit host starts our workers. Called by `app`."""

from __future__ import annotations

from pathlib import Path

from . import compat_scripts
from .command import Command
from .lines import json_line


class CompatCommand(Command):
    """One installation.

    Args:
        directory: where to. force: replace what is there.
    """

    def __init__(self, directory: Path, *, force: bool, as_json: bool) -> None:
        super().__init__(None, 1, as_json)
        self._directory = directory
        self._force = force

    def work(self) -> None:
        """Write, and say what was written."""
        written = compat_scripts.install(self._directory, force=self._force)
        if self.as_json:
            self.output.line(json_line({"written": [str(path) for path in written]}))
            return
        for path in written:
            self.output.line(str(path))
