"""SIGTERM for adapters that want it before they are killed: their `on_soft_end` runs on the main thread, then the process ends.

An adapter declares it by having the method. The host sends SIGTERM when a cancelled call has not ended in time, and at the end
of a pool; SIGKILL follows. Nothing else of the adapter runs meanwhile, and no `Cancelled` is raised in it.
"""

import inspect
import os
import signal
import sys
import traceback
from types import FrameType
from typing import Any, Callable, Iterable, List, Optional

from .cancel import uninterrupted
from .load_errors import AdapterLoadError

HOOK = "on_soft_end"


class SoftEnd:
    """The hooks of one worker's adapter.

    Args:
        objects: the adapter's objects.

    Raises:
        AdapterLoadError: a hook is async; there is no loop that could run it at that moment.
    """

    def __init__(self, objects: Iterable[Any]) -> None:
        self._hooks: List[Callable[[], Any]] = []
        self._pid = os.getpid()
        for item in objects:
            hook = getattr(item, HOOK, None)
            if inspect.iscoroutinefunction(hook):
                message = "%s of %s is async; it runs from a signal handler, where nothing can be awaited" % (HOOK, type(item).__name__)
                raise AdapterLoadError(message, "write it as a plain def that takes little time")
            if callable(hook):
                self._hooks.append(hook)

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def install(self) -> None:
        """On the main thread."""
        if self._hooks:
            signal.signal(signal.SIGTERM, self._asked)

    @uninterrupted
    def _asked(self, _signum: int, _frame: Optional[FrameType]) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends it at once
        if os.getpid() == self._pid:  # not in children that a tool has forked
            for hook in self._hooks:
                self._run(hook)
            for out in (sys.stdout, sys.stderr):
                try:
                    out.flush()
                except (OSError, ValueError):
                    pass  # closed or broken: it is ending anyway
        os.kill(os.getpid(), signal.SIGTERM)

    @staticmethod
    def _run(hook: Callable[[], Any]) -> None:
        try:
            hook()
        except BaseException:  # whatever it is, this process ends
            traceback.print_exc()
