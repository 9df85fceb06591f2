"""A worker at the end of a long line leaves when it has heard nothing from its host for long: the line may be dead without a word.

Only where nothing else would tell (`--stdio`): on one machine the end of the host is the end of the socket. The host asks every
worker for signs of life (`heartbeat=`), so silence of many times that is not for lack of work.
"""

import sys
import threading
import time
from typing import Callable


def leave_after(silence: float, heard: Callable[[], float], leave: Callable[[str], None], end: Callable[[], None], grace: float) -> None:
    """Watch, on a thread of its own.

    Args:
        heard: when the host was last heard, by `time.monotonic()`.
        leave: called with the reason when it has been silent for so many seconds; `end`: `grace` seconds later.
    """

    def watch() -> None:
        while True:
            left = heard() + silence - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(left, silence / 10))
        reason = "the host has said nothing for %g s" % silence
        print("snakepit: %s: this worker leaves" % reason, file=sys.stderr, flush=True)
        leave(reason)
        time.sleep(grace)
        end()

    threading.Thread(target=watch, name="snakepit-silence", daemon=True).start()
