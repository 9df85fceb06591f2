"""What comes before an executor's functions in a worker: its paths, the program's main module, its initializer. For `functions` alone.

Code of tools, as `functions` is: what runs above it may be interrupted.
"""

import pickle
import runpy
import sys
import threading
import traceback
import types
from typing import Any, Dict, List, Optional, Sequence, Tuple

import snakepit_bridge

from ._runtime.unpickling import RefusedPickle
from .call_context import Cancelled, current_call

#: How a thread that waits for another one's beginning looks whether its call has been cancelled (seconds).
_LOOK = 0.05
_GUARD = 'what is not to run in workers belongs under: if __name__ == "__main__":'
_NO_FILE = "the program has no file that a worker could import, as at a prompt or in a notebook: move functions and classes into a module"
_NOT_THERE = "what functions and arguments are made of must be found in the worker, under the same name; not under: if __name__ == ..."


class _Beginning:
    """How far one executor's beginning is in this process. `failed`: what its initializer raised, as text."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # an interrupted thread may still have it, and comes again
        self.is_over = False
        self.failed: Optional[str] = None


class _Main:
    """The host's main module, under the names that `multiprocessing` gives it: `__mp_main__`, and `__main__` for it too."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # as above
        self.found: Optional[Tuple[str, str]] = None
        self.argv: List[str] = []
        self.is_there = False
        self.failed = ""


_beginnings: "Dict[str, _Beginning]" = {}
_main = _Main()


def begun(executor: str) -> Optional[str]:
    """See that an executor's beginning is over, by asking the host for it if need be. Others that come meanwhile wait.

    Returns:
        what its initializer raised, as text, or None.
    """
    beginning = _beginnings.get(executor) or _beginnings.setdefault(executor, _Beginning())
    if not beginning.is_over:
        _take(beginning.lock)
        try:
            if not beginning.is_over:
                _begin(beginning, executor)
        finally:
            beginning.lock.release()
    return beginning.failed


def _begin(beginning: _Beginning, executor: str) -> None:
    """Whatever ends this early, a cancel or the host's silence, leaves it to the next."""
    data, *buffers = current_call().host_tools[executor]()
    start = pickle.loads(data)  # noqa: S301 - of a host that sends functions
    sys.path[:0] = [item for item in start["path"] if item not in sys.path]
    sys.path += [item for item in start["path_after"] if item not in sys.path]
    _main.found, _main.argv = start["main"], start["argv"]
    if start["initializer"] is not None:
        try:
            initializer, initargs = loaded(start["initializer"], [bytearray(part) for part in buffers])
            initializer(*initargs)
        except BaseException as error:  # SystemExit too: the worker is not ready for anything
            if isinstance(error, Cancelled) and current_call().cancelled:
                raise
            beginning.failed = traceback.format_exc()
    beginning.is_over = True


def loaded(data: Any, buffers: Sequence[Any]) -> Any:
    """Read a pickle. One that names the host's main module has that imported first.

    Raises:
        RefusedPickle: it cannot be read here.
    """
    whole: Any = data.obj if isinstance(data, memoryview) else data  # a view would look for what follows item by item
    if b"__main__" in whole:
        _import_main()
    try:
        return pickle.loads(data, buffers=buffers)  # noqa: S301 - it lay in another one, of which both sides have said so
    except Exception as error:  # whatever reading it runs raises
        hint = _NO_FILE if "__main__" in str(error) and not _main.is_there else _NOT_THERE
        raise _refused("%s: %s" % (type(error).__name__, error), hint) from error


def _import_main() -> None:
    if _main.is_there or _main.found is None:
        return
    here = sys.modules["__main__"]
    if _main.found[1] in (getattr(here, "__file__", None), getattr(getattr(here, "__spec__", None), "name", None)):
        _main.is_there = True  # the worker is in the program's own process, or a fork of that
        return
    _take(_main.lock)
    try:
        if not _main.is_there and not _main.failed:
            _run_main(*_main.found)
    finally:
        _main.lock.release()
    if _main.failed:
        raise _refused("its main module cannot be imported:\n%s" % _main.failed, _GUARD)


def _run_main(kind: str, where: str) -> None:
    """As `multiprocessing.spawn` does it. What it starts a pool with is refused: see `is_importing_adapter`."""
    module, before = types.ModuleType("__mp_main__"), sys.argv
    sys.argv = list(_main.argv)
    snakepit_bridge._set_importing_adapter(True)
    try:
        if kind == "name":
            names = runpy.run_module(where, run_name="__mp_main__", alter_sys=True)
        else:
            names = runpy.run_path(where, run_name="__mp_main__")
    except BaseException as error:
        sys.argv = before
        if isinstance(error, Cancelled) and current_call().cancelled:
            raise
        _main.failed = traceback.format_exc()
        return
    finally:
        snakepit_bridge._set_importing_adapter(False)
    module.__dict__.update(names)
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    _main.is_there = True


def _take(lock: Any) -> None:
    while not lock.acquire(timeout=_LOOK):
        current_call().check()


def _refused(reason: str, hint: str) -> RefusedPickle:
    return RefusedPickle("call_function", "work", "which cannot be read here: %s" % reason, hint)
