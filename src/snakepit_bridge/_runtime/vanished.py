"""Notices that a `Cancelled` has vanished: raised in a callback, such as a weak reference's, that C code has called.

Such code cannot pass an exception on. Python tells of it by `sys.unraisablehook` and goes on as if nothing had been raised.
"""

import sys
from types import FrameType
from typing import Any, Callable, Optional

from ..call_context import Cancelled


def watch(vanished: Callable[[Optional[Cancelled], FrameType], None]) -> Callable[[], None]:
    """From now on have `vanished` told, on the thread where it was: what has vanished, and the frame beneath the callback.

    Everything else is told to the hook that there was before. Gives what puts that back.
    """
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, Cancelled):
            vanished(unraisable.exc_value, sys._getframe(1))
        else:
            before(unraisable)

    def put_back() -> None:
        if sys.unraisablehook is hook:
            sys.unraisablehook = before

    sys.unraisablehook = hook
    return put_back
