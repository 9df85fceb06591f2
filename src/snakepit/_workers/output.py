"""What workers print: to the user's screen or log under the worker's id, and the last lines kept as evidence."""

from __future__ import annotations

import collections
import contextlib
import logging
import sys
from collections.abc import Callable
from typing import Literal, TypeAlias

#: `auto`: to the log if logging is set up and takes INFO, else to stderr. Or a function `(worker_id, stream, line)`.
OutputSetting: TypeAlias = Literal["auto", "stderr", "log", "discard"] | Callable[[str, str, str], None]

#: Lines of stderr that an error shows.
KEPT_LINES = 60

_log = logging.getLogger("snakepit.worker")


class WorkerOutput:
    """One worker's output: passes lines on, keeps the last of stderr."""

    def __init__(self, worker_id: str, setting: OutputSetting) -> None:
        self._worker_id = worker_id
        self._setting = setting
        self._last: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines of its stderr."""
        return tuple(self._last)

    def line(self, stream: str, text: str) -> None:
        """One line has come."""
        if stream == "stderr":
            self._last.append(text[:2000])
        setting = self._setting
        if setting == "auto":
            # A log that would drop it (Python's default level is WARNING) must not swallow what tools print.
            setting = "log" if _log.hasHandlers() and _log.isEnabledFor(logging.INFO) else "stderr"
        if setting == "log":
            _log.info("[%s] %s", self._worker_id, text, extra={"worker_id": self._worker_id, "stream": stream})
        elif setting == "stderr":
            with contextlib.suppress(OSError, ValueError, AttributeError):  # the host's stderr may be closed, or None
                sys.stderr.write(f"[{self._worker_id}] {text}\n")
                sys.stderr.flush()
        elif callable(setting):
            try:
                setting(self._worker_id, stream, text)
            except (Exception, SystemExit):  # an exit here would end the loop that all pools live on
                _log.exception("worker_output raised; its line is lost")
