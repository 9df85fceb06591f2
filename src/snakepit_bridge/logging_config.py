"""Loggers by the names and the level that Snakepit's adapters expect: `get_logger(__name__)`."""

import logging
import os
import sys

_OFF = logging.CRITICAL + 1


def get_logger(name: str) -> logging.Logger:
    """A logger below `snakepit`: `snakepit_bridge.x` is `snakepit.bridge.x`, any other name stands below it as it is."""
    head, _, rest = name.partition(".")
    if head == "snakepit_bridge":
        return logging.getLogger("snakepit.bridge." + rest if rest else "snakepit.bridge")
    return logging.getLogger(name if head == "snakepit" else "snakepit." + name)


def configure_logging(force: bool = False) -> None:
    """Send log lines to stderr, from the level of `SNAKEPIT_LOG_LEVEL` on: debug, info, warning, error (the default) or none.

    Args:
        force: also where logging has been set up already.
    """
    chosen = os.environ.get("SNAKEPIT_LOG_LEVEL", "error").strip().upper()
    level = _OFF if chosen == "NONE" else logging.getLevelName(chosen)
    logging.basicConfig(
        level=level if isinstance(level, int) else logging.ERROR,
        format="%(asctime)s %(levelname)s %(name)s [%(threadName)s] %(message)s",
        stream=sys.stderr,
        force=force,
    )
