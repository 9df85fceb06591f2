"""How many descriptors a host has for its workers, beside how many it may have: what is short is told before it fails."""

from __future__ import annotations

import math
import sys

from snakepit.telemetry.logs import library_logger

_log = library_logger("snakepit.pool")

#: Whatever a host runs, and for each worker: channel, lifeline, two outputs, stack reports, two of the tickets, memory that is shared
#: either way, written results; and one to spare. Before Python 3.13 mappings have descriptors of their own.
OTHERS = 64
EACH = 9 if sys.version_info >= (3, 13) else 12


def needed(workers: int) -> int:
    """About how many a host of so many workers has."""
    return OTHERS + EACH * workers


def allowed() -> float:
    """How many this process may have; `math.inf`: no limit, or it is not known."""
    try:
        import resource  # not on Windows
    except ImportError:
        return math.inf
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return math.inf if soft == resource.RLIM_INFINITY else soft


def cure(workers: int) -> str:
    """How to be allowed as many as so many workers need."""
    return f"ulimit -n {max(1024, 2 * needed(workers))}, in the shell that starts the program; or LimitNOFILE= of its systemd unit"


def warn_if_few(workers: int) -> None:
    """Say so, if there are not enough: whichever comes last would fail, a worker or a file that the program itself opens."""
    limit = allowed()
    if limit < needed(workers):
        text = "%d workers need about %d descriptors in this process, and %d are allowed, for all that it opens: %s"
        _log.warning(text, workers, needed(workers), limit, cure(workers))
