"""What an executor's functions need before they run in a worker: where their modules are, the program's main module, the initializer."""

from __future__ import annotations

import pathlib
import pickle
import sys
import sysconfig
from collections.abc import Callable
from typing import Any

from snakepit._pool.pickling import dumped
from snakepit.errors import InvalidParameter

#: What ends with these is of one interpreter alone. The last is its library as a file, which is named whether it is there or not.
_INSTALLED = ("site-packages", "dist-packages", "lib-dynload", f"python{sys.version_info.major}{sys.version_info.minor}.zip")


def start_of(initializer: Callable[..., Any] | None, initargs: tuple[Any, ...]) -> list[Any]:
    """For `snakepit_bridge.functions`: a pickle, and buffers of the initializer's own within it.

    Raises:
        InvalidParameter: the initializer is no function, or it or its arguments cannot be pickled.
    """
    if initializer is not None and not callable(initializer):
        raise InvalidParameter(f"initializer is {initializer!r}; allowed is a function, or None", field="initializer")
    data, buffers = None, list[memoryview]()
    if initializer is not None:
        try:
            data, buffers = dumped((initializer, initargs))
        except Exception as error:  # whatever the objects' own code raises
            message = f"the initializer or its arguments cannot be pickled: {type(error).__name__}: {error}"
            raise InvalidParameter(message, hint="give what they are made from, or a path to it", field="initializer") from error
    sys.modules.setdefault("__mp_main__", sys.modules["__main__"])  # what comes back is of that name
    before, after = _paths()
    start = {"path": before, "path_after": after, "main": _main(), "argv": sys.argv, "initializer": data}
    return [pickle.dumps(start, protocol=5), *map(bytes, buffers)]


def _main() -> tuple[str, str] | None:
    """Where the program's main module is, by `multiprocessing`'s rules; None: nowhere."""
    main = sys.modules["__main__"]
    name = getattr(getattr(main, "__spec__", None), "name", None)
    if name is not None:
        return None if name == "__main__" or name.endswith(".__main__") else ("name", name)  # these run whatever they are called
    path = getattr(main, "__file__", None)
    if path is None or pathlib.Path(path).stem == "ipython":
        return None
    return "path", str(pathlib.Path(path).absolute())


def _paths() -> tuple[list[str], list[str]]:
    """Where modules are looked for before the standard library and after it. Workers have that, and what is installed, of their own."""
    library = sysconfig.get_paths()
    own = {library["stdlib"], library["platstdlib"]}
    before: list[str] = []
    after: list[str] = []
    found = before
    for item in sys.path:
        if item in own:
            found = after
        elif pathlib.PurePath(item).name not in _INSTALLED:
            found.append(str(pathlib.Path(item).absolute()))
    return before, after
