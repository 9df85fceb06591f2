"""Where all threads of this process are, as text: what `faulthandler` would write, told by a thread that has the interpreter.

`faulthandler`'s own handler needs no interpreter, and therefore reads what other threads are changing: now and then that ends the
process. It is for workers that are about to be killed; those that are to live on are asked for this.
"""

import sys
import threading
from types import FrameType
from typing import List, Optional

_MOST_FRAMES = 100


def thread_stacks() -> str:
    """Each thread with its frames, innermost first; the main thread is the last."""
    main = threading.main_thread().ident
    threads = sorted(sys._current_frames().items(), key=lambda item: item[0] == main)
    return "\n\n".join("\n".join(["Thread 0x%016x (most recent call first):" % ident, *_lines(frame)]) for ident, frame in threads) + "\n"


def _lines(frame: Optional[FrameType]) -> List[str]:
    lines: List[str] = []
    while frame is not None and len(lines) < _MOST_FRAMES:
        lines.append('  File "%s", line %s in %s' % (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return [*lines, "  ..."] if frame is not None else lines
