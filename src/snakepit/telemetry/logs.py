"""The library's own loggers: their level, the ids in their records, and a handler where the program has set up none.

Only `snakepit` and the loggers below it are touched, never the root logger.
"""

from __future__ import annotations

import logging
import os
import sys

from snakepit.config import check_log_level

#: Chooses the level where no setting does; handed to the workers too.
LEVEL_VARIABLE = "SNAKEPIT_LOG_LEVEL"

_FORMAT = "%(asctime)s %(levelname)s %(name)s [%(correlation_id)s] %(message)s"

_logger = logging.getLogger("snakepit")


class _Ids(logging.Filter):
    """Gives each record the ids that a format may name; empty where there is none."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name in ("correlation_id", "worker_id"):
            if not hasattr(record, name):
                setattr(record, name, "")
        return True


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what `sys.stderr` is at that moment, as logging's own last resort does."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter(_FORMAT))
        self.addFilter(_ids)

    @property
    def stream(self) -> object:
        return sys.stderr


_ids = _Ids()


def library_logger(name: str) -> logging.Logger:
    """A logger of the library, whose records have a `correlation_id` and a `worker_id`."""
    logger = logging.getLogger(name)
    if _ids not in logger.filters:
        logger.addFilter(_ids)  # of each logger: a logger's filters do not see what its children log
    return logger


def frame_logger() -> logging.Logger:
    """The logger of traced frames: who has asked for them sees them, whatever the library's level is."""
    logger = library_logger("snakepit.frames")
    logger.setLevel(logging.DEBUG)
    if not _is_seen(logger):
        logger.addHandler(_Handler())
    return logger


def _is_seen(logger: logging.Logger) -> bool:
    """Are its records shown to somebody? A handler that only keeps them has an attribute `shows` that is False."""
    above: logging.Logger | None = logger
    while above is not None:
        if any(getattr(handler, "shows", True) for handler in above.handlers):
            return True
        above = above.parent if above.propagate else None
    return False


def apply_log_level(level: str | int | None = None) -> int | None:
    """Set the library's level: as given, else as `SNAKEPIT_LOG_LEVEL` says, else leave it as logging is set up.

    Where a level was chosen and nobody would see the records, a handler that writes to stderr is attached to the library's logger.

    Returns:
        The level that was chosen, for the workers; None if none was.

    Raises:
        ConfigurationError: there is no such level.
    """
    chosen = check_log_level("log_level", level)
    if chosen is None:
        chosen = check_log_level(LEVEL_VARIABLE, os.environ.get(LEVEL_VARIABLE))
    if chosen is None:
        return None
    _logger.setLevel(chosen)
    if not _is_seen(_logger):
        _logger.addHandler(_Handler())
    return chosen
