"""What workers print: to the user's screen or log under the worker's id, and the last lines kept as evidence.

Secrets are masked before a line goes anywhere.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import sys
from collections.abc import Callable
from typing import Literal, TypeAlias

from snakepit.telemetry.logs import library_logger
from snakepit_bridge import redaction

from .known_secrets import KnownSecrets
from .masked_lines import MaskedLines

#: `auto`: to the log if logging is set up and takes INFO, else to stderr. Or a function `(worker_id, stream, line)`.
OutputSetting: TypeAlias = Literal["auto", "stderr", "log", "discard"] | Callable[[str, str, str], None]

#: Lines of stderr that an error shows.
KEPT_LINES = 60

_log = library_logger("snakepit.worker")


class WorkerOutput:
    """One worker's output: masks secrets, passes lines on, keeps the last of stderr.

    Args:
        secrets: literal secrets to mask now; by default those of the host's environment.
        correlation_id: of the one call that runs on the worker; empty if none or several do.
    """

    def __init__(
        self,
        worker_id: str,
        setting: OutputSetting,
        redactor: redaction.Redactor = redaction.DEFAULT,
        secrets: Callable[[], tuple[str, ...]] | None = None,
        correlation_id: Callable[[], str] = str,
    ) -> None:
        self._worker_id = worker_id
        self._setting = setting
        self._redactor = redactor
        self._secrets = secrets or KnownSecrets(redactor, [os.environ])
        self._correlation_id = correlation_id
        self._masked = {name: MaskedLines(redactor, self._secrets) for name in ("stdout", "stderr")}
        self._last: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines of its stderr; what has been learned of secrets since they came is masked in them too."""
        secrets = self._secrets()
        return tuple(self._redactor.mask(line, secrets) for line in self._last)

    def line(self, stream: str, text: str, state: str = "line") -> None:
        """Something has come.

        Args:
            state: what it is; see `Lines`.
        """
        masked = self._masked[stream]
        if state in ("part", "waited"):
            told: str | None = masked.part(text, waited=state == "waited") or None
        else:
            told = masked.line(text, redrawn=state in ("redrawn", "overwritten"), shown=state != "overwritten")
        if state == "end" and not text:
            told = told or None  # an empty line only where there was a line end
        if told is not None and state != "overwritten":
            self._tell(stream, told)

    def _tell(self, stream: str, text: str) -> None:
        if stream == "stderr":
            self._last.append(text[:2000])
        setting = self._setting
        if setting == "auto":
            # A log that would drop it (Python's default level is WARNING) must not swallow what tools print.
            setting = "log" if _log.hasHandlers() and _log.isEnabledFor(logging.INFO) else "stderr"
        if setting == "log":
            facts = {"worker_id": self._worker_id, "stream": stream, "correlation_id": self._correlation_id()}
            _log.info("[%s] %s", self._worker_id, text, extra=facts)
        elif setting == "stderr":
            with contextlib.suppress(OSError, ValueError, AttributeError):  # the host's stderr may be closed, or None
                sys.stderr.write(f"[{self._worker_id}] {text}\n")
                sys.stderr.flush()
        elif callable(setting):
            try:
                setting(self._worker_id, stream, text)
            except (Exception, SystemExit):  # an exit here would end the loop that all pools live on
                _log.exception("worker_output raised; its line is lost")
