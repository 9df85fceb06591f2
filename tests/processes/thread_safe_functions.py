"""Functions and a class, in a module that says that it is thread-safe; and a class that says that it is not."""

import sys
import sysconfig

from snakepit_bridge.base_adapter import BaseAdapter, tool

thread_safe = True


@tool
def triple(value: int) -> int:
    return 3 * value


class Quiet(BaseAdapter):
    """As its module says."""

    @tool
    def work(self) -> None: ...


class Unsafe(BaseAdapter):
    """Knows better than its module."""

    thread_safe = False

    @tool
    def work(self) -> None: ...


class OnFreeThreaded(BaseAdapter):
    """Makes its interpreter look like a free-threaded build; `gil` says whether a library has switched the lock on."""

    gil = False

    def __init__(self) -> None:
        real = sysconfig.get_config_var
        sysconfig.get_config_var = lambda name: 1 if name == "Py_GIL_DISABLED" else real(name)
        sys._is_gil_enabled = lambda: self.gil

    @tool
    def spin(self) -> None:
        while True:
            pass


class WithLock(OnFreeThreaded):
    """The same after an import that needs the lock."""

    gil = True
