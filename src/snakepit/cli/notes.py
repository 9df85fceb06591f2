"""What the library logs while a command runs, kept for its end: most of it is in the error that the command tells anyway.

A plain program shows the library's warnings at once and so says some things twice. Used by `command`.
"""

from __future__ import annotations

import logging
import traceback
from types import TracebackType
from typing import Self

_LOGGER = logging.getLogger("snakepit")

#: Workers that keep failing can warn for hours.
_MOST = 50


class Notes(logging.Handler):
    """Keeps the warnings of a `with` block."""

    #: Who wants to see records as they come needs another handler: `telemetry.logs` sees to that.
    shows = False

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kept: list[tuple[str, str]] = []
        self._missed = 0

    def __enter__(self) -> Self:
        _LOGGER.addHandler(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _LOGGER.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        # The last argument is the cause (a worker's end, a failed start); an error that tells the cause tells it all.
        cause = str(record.args[-1]) if isinstance(record.args, tuple) and record.args else message
        if len(self._kept) < _MOST:
            self._kept.append((message, cause))
        else:
            self._missed += 1

    def untold(self, told: str) -> list[str]:
        """The warnings whose cause the text `told` does not hold, each once."""
        lines = list(dict.fromkeys(f"warning: {message}" for message, cause in self._kept if cause not in told))
        return [*lines, f"warning: {self._missed} more"] if self._missed else lines
