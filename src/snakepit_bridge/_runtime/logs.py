"""The worker's own log lines: one handler on the logger `snakepit_bridge`, at the level that the host hands over.

They go to stderr, from where the host takes them; secrets are masked here already. `logging` is imported where the host has said a
level, or by the adapter, and not before: without it nobody listens, and a worker starts sooner.
"""

import os
import sys
import time
from typing import Any, List, Optional

from ..call_context import _current
from .own_secrets import OWN
from .running import RunningCall

#: Set by the host; see `snakepit.telemetry.logs`.
LEVEL_VARIABLE = "SNAKEPIT_LOG_LEVEL"

_FORMAT = "%(levelname)s %(name)s [%(correlation_id)s] %(message)s"
_NAME = "snakepit_bridge"
_DEBUG = 10  # as `logging` has it

_log: Optional[Any] = None


def _logger() -> Optional[Any]:
    """The logger; None: nobody has imported `logging` yet."""
    global _log
    if _log is None:
        make = getattr(sys.modules.get("logging"), "getLogger", None)  # another thread may be in the middle of its import
        _log = make(_NAME) if make is not None else None
    return _log


def set_up_logging() -> None:
    """Called once in a worker process, never by who merely imports the library. Without a level, nothing is set up."""
    chosen = os.environ.get(LEVEL_VARIABLE, "").strip().upper()
    if not chosen:
        return
    import logging

    level = int(chosen) if chosen.isdigit() else logging.getLevelName(chosen)
    if not isinstance(level, int):
        return  # one that the host would have refused

    class Lines(logging.Formatter):
        """Adds the correlation id of the running call, and masks."""

        def format(self, record: logging.LogRecord) -> str:
            if not hasattr(record, "correlation_id"):
                record.correlation_id = getattr(_current.get(None), "correlation_id", "")
            return OWN.redactor.mask(super().format(record))

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(_FORMAT))
    log = logging.getLogger(_NAME)
    log.addHandler(handler)
    log.setLevel(level)
    log.propagate = False  # what the adapter sets up for the root logger would tell each line twice


def call_received(call: RunningCall) -> None:
    """A call has come."""
    log = _logger()
    if log is not None and log.isEnabledFor(_DEBUG):
        log.debug("call %d received: %s %s", call.call_id, call.tool, OWN.redactor.describe(call.args, call.secrets), extra=_ids(call))


def call_ended(call: RunningCall, kind: str, value: Any = None) -> None:
    """A call has ended. `kind`: `result`, or the error's code; `value`: what is described beside it."""
    log = _logger()
    if log is not None and log.isEnabledFor(_DEBUG):
        elapsed = (time.perf_counter() - call.began) * 1e3
        words = (call.call_id, call.tool, kind, OWN.redactor.describe(value, call.secrets), elapsed)
        log.debug("call %d ended: %s %s %s in %.1f ms", *words, extra=_ids(call))


def locks_held_here() -> List[str]:
    """The locks of `logging` that this thread holds; between calls it has no reason to."""
    logging = sys.modules.get("logging")
    handlers = [reference() for reference in list(getattr(logging, "_handlerList", ()))]
    named = [("logging", getattr(logging, "_lock", None))]
    named += [("the lock of %r" % handler, handler.lock) for handler in handlers if handler is not None]
    return [name for name, lock in named if getattr(lock, "_is_owned", bool)()]


def _ids(call: RunningCall) -> Any:
    return {"correlation_id": getattr(call.context, "correlation_id", "")}
