"""What the log tells of calls at DEBUG: that one was given to a worker, and how it ended. Descriptions only, never values.

Names of keys are shown, and may be secrets too: those of the call's own arguments are masked in them.
"""

from __future__ import annotations

import logging
import time

from snakepit.telemetry.logs import library_logger
from snakepit_bridge.redaction import Redactor

from .call import Call, Ended, Failed

_log = library_logger("snakepit.pool")


def is_on() -> bool:
    """Does it tell of each call?"""
    return _log.isEnabledFor(logging.DEBUG)


def given(call: Call, redactor: Redactor) -> None:
    """A worker gets the call; `worker_id` and `began` are set."""
    if is_on():
        shown = f"{call.count} calls together" if call.bundle is not None else redactor.describe(call.args, redactor.glance(call.args))
        to = f"{call.worker_id or call.ahead_at}{', ahead' if call.ahead_at else ''}"
        _log.debug("%s goes to %s: %s", call.tool, to, shown, extra=_ids(call))


def ended(call: Call, item: Ended | Failed, redactor: Redactor) -> None:
    """Its caller is told how it ended."""
    if is_on():
        how = redactor.describe(item.value, redactor.glance(call.args)) if isinstance(item, Ended) else item.error.code
        where = f" on {call.worker_id} in {(time.monotonic() - call.began) * 1e3:.1f} ms" if call.worker_id else ""
        _log.debug("%s ended%s: %s", call.tool, where, how, extra=_ids(call))


def _ids(call: Call) -> dict[str, str]:
    return {"correlation_id": call.correlation_id, "worker_id": call.worker_id or call.ahead_at}
