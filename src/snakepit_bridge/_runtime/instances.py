"""The adapter's objects for the worker's life: made once, initialized once, cleaned up once."""

import sys
from typing import Any

from . import failures
from .loading import LoadedAdapter
from .main_loop import AsyncioLoop, QueueLoop


class Instances:
    """The adapter's objects, for adapters that live as long as their worker."""

    def __init__(self, adapter: LoadedAdapter, main: "QueueLoop | AsyncioLoop") -> None:
        self._adapter = adapter
        self._main = main
        self.lifelong = adapter.lifecycle != "request"
        self.objects: Any = None

    def set_up(self) -> None:
        """Make and initialize them; nothing for an adapter that wants a fresh one per call."""
        if self.lifelong:
            self.objects = self._adapter.instantiate()
            for instance in self.objects:
                self._main.complete(call_hook(instance, "initialize"))

    def clean_up(self) -> None:
        """Let them clean up; what they raise is printed, not raised."""
        for instance in self.objects or ():
            try:
                self._main.complete(call_hook(instance, "cleanup"))
            except (Exception, SystemExit) as error:
                print(failures.traceback_of(error), file=sys.stderr)


def call_hook(instance: Any, name: str) -> Any:
    """Call an optional method of an adapter; None where it has none."""
    hook = getattr(instance, name, None)
    return hook() if callable(hook) else None
