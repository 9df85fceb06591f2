"""What the user gave a Pool as its adapter, as the references that workers understand.

Classes and functions become `package.module:Name` or `/abs/file.py:Name`; what was typed into a notebook is written to a
file first. `Pool` calls `resolve` when it starts, and `ensure_not_importing` before.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import pathlib
import re
import sys
from collections.abc import Callable, Sequence
from types import MethodType, ModuleType
from typing import Any

import snakepit_bridge
from snakepit._workers.cells import code_of
from snakepit._workers.notebook_source import NotebookSource
from snakepit.errors import ConfigurationError

#: Names of the program that runs, as opposed to a module it imported. The second is multiprocessing's.
_MAIN = frozenset({"__main__", "__mp_main__"})
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_GUARD = 'if __name__ == "__main__":\n    main()'
_ALLOWED = 'a class, a module, "package.module:Class", a file, or a list of functions'


def ensure_not_importing() -> None:
    """Stop a script that starts a Pool while a worker imports it; else each worker would start workers of its own.

    Raises:
        ConfigurationError: this is a worker that imports its adapter.
    """
    if snakepit_bridge.is_importing_adapter():
        raise ConfigurationError(
            "this script starts a Pool when it is imported, and workers import it to find their adapter",
            hint=f"put the part that uses the Pool into a function, and end the script with:\n\n{_GUARD}",
        )


def resolve(adapter: Any, directory: Callable[[], pathlib.Path]) -> tuple[str, ...]:
    """The references for a worker's command line.

    Args:
        adapter: what the user gave: None, text, a path, a module, a class, a function, or a list of these.
        directory: gives the run's private directory, asked for only when a notebook's source must be written.

    Raises:
        ConfigurationError: workers could not find it; says why and what to do.
    """
    if adapter is None:
        return ()
    if isinstance(adapter, (list, tuple)):
        if not adapter:
            raise ConfigurationError(f"adapter: got an empty {type(adapter).__name__}", hint=f"allowed are {_ALLOWED}")
        items = list(adapter)
    else:
        items = [adapter]
    found = [_reference(item) for item in items]
    typed = [item for item in found if isinstance(item, _Typed)]
    path = _write_source(typed, directory) if typed else None
    return tuple(item if isinstance(item, str) else f"{path}:{item.qualname}" for item in found)


class _Typed:
    """A class or function that was typed into a notebook or prompt."""

    def __init__(self, module: ModuleType, qualname: str) -> None:
        self.module = module
        self.qualname = qualname


def _reference(item: Any) -> str | _Typed:
    if isinstance(item, str):
        return _text_reference(item)
    if isinstance(item, os.PathLike):
        return _existing_file(os.fsdecode(item), "")
    if isinstance(item, ModuleType):
        return _module_reference(item)
    if isinstance(item, MethodType) and not isinstance(item.__self__, type):
        raise ConfigurationError(
            f"adapter: {item.__qualname__} is a method of an object, and objects do not travel to workers",
            hint=f"pass the class: {type(item.__self__).__name__}",
        )
    if callable(item) and isinstance(getattr(item, "__qualname__", None), str):
        return _object_reference(item)
    kind = type(item).__name__
    if isinstance(item, snakepit_bridge.BaseAdapter):
        raise ConfigurationError(f"adapter: got an object of class {kind}; workers make their own", hint=f"pass the class: {kind}")
    raise ConfigurationError(f"adapter: got {kind}, allowed are {_ALLOWED}", hint=_hint_for(item))


def _hint_for(item: Any) -> str:
    return "write a def: a partial or callable object has no name to find it by in a worker" if callable(item) else ""


def _text_reference(text: str) -> str:
    path, colon, name = text.rpartition(":")
    if not colon or not _DOTTED.fullmatch(name) or _is_file(text):
        path, name = text, ""
    if path.endswith((".py", ".pyw")) or os.sep in path or path.startswith("~"):
        return _existing_file(path, name)
    if not all(_DOTTED.fullmatch(part) for part in text.split(":", 1)):
        raise ConfigurationError(
            f"adapter: {text!r} is not the name of an adapter",
            hint="write package.module:Class, package.module, package.module:function, file.py or file.py:Name",
        )
    return text


def _existing_file(path: str, name: str) -> str:
    full = pathlib.Path(path).expanduser().absolute()
    if not full.is_file():
        try:
            near = difflib.get_close_matches(full.name, [entry.name for entry in full.parent.iterdir()], n=3)
        except OSError:
            raise ConfigurationError(f"adapter: there is no file {full}, nor a folder {full.parent}") from None
        if full.is_dir():
            raise ConfigurationError(f"adapter: {full} is a folder", hint="name a file in it, or the package as package.module:Class")
        raise ConfigurationError(f"adapter: there is no file {full}", hint=f"did you mean {' or '.join(near)}?" if near else "")
    return f"{full}:{name}" if name else str(full)


def _module_reference(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    name = str(module.__name__)
    if name in _MAIN:
        started_as = _started_as(module)
        if started_as is not None:
            return started_as
        if not file:
            raise ConfigurationError("adapter: a notebook cannot be passed as a module", hint="pass the class, or a list of functions")
    elif _is_importable(module):
        return name
    if not _is_file(file):
        raise ConfigurationError(f"adapter: module {name} cannot be imported by workers: it has no file of its own")
    return str(pathlib.Path(str(file)).absolute())


def _object_reference(item: Any) -> str | _Typed:
    home, qualname = getattr(item, "__module__", None) or "builtins", getattr(item, "__qualname__", "")
    _check_name(item, home, qualname)
    module, code = sys.modules.get(home), code_of(item)
    file = code.co_filename if code is not None else getattr(module, "__file__", None)
    if home not in _MAIN and module is not None:
        _check_found(item, module, qualname)
        return f"{_module_reference(module)}:{qualname}"
    if module is not None and file is not None and _same_file(file, getattr(module, "__file__", None)):
        _check_found(item, module, qualname)
        started_as = _started_as(module)
        return f"{started_as or pathlib.Path(file).absolute()}:{qualname}"
    if file is not None and _is_file(file):  # Run by a debugger, a profiler or %run: the program is another one.
        return f"{pathlib.Path(file).absolute()}:{qualname}"
    if module is None:
        raise ConfigurationError(f"adapter: {qualname} says it is of module {home!r}, which is not there", hint="put it in a file")
    _check_found(item, module, qualname)
    return _Typed(module, qualname)


def _check_name(item: Any, home: str, qualname: str) -> None:
    what = "class" if isinstance(item, type) else "function"
    if qualname.endswith("<lambda>"):
        raise ConfigurationError("adapter: a lambda has no name to find it by in a worker", hint="write it as a def")
    if "<locals>" in qualname:
        outer = qualname.partition(".<locals>")[0]
        raise ConfigurationError(
            f"adapter: {what} {qualname.rpartition('.')[2]} was made inside the function {outer}(), where no worker can find it",
            hint=f"move it to the top level of {home if home not in _MAIN else 'the file'}",
        )
    if not qualname:
        raise ConfigurationError(f"adapter: an object of type {type(item).__name__} has no name to find it by", hint="write it as a def")


def _check_found(item: Any, module: ModuleType, qualname: str) -> None:
    found: Any = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if found is not item and found != item:
        there = "is something else" if found is not None else "is not there"
        raise ConfigurationError(
            f"adapter: workers would look for {qualname} in {module.__name__}, but what has that name there {there}",
            hint="was it decorated, replaced or deleted after it was defined? Give it a name of its own at the top level",
        )


def _started_as(main: ModuleType) -> str | None:
    """The module's real name, for a program that was started with `python -m`."""
    name = getattr(getattr(main, "__spec__", None), "name", None)
    return name if isinstance(name, str) and name not in _MAIN else None


def _is_importable(module: ModuleType) -> bool:
    """Would an import in another process find this very module?"""
    top = module.__name__.partition(".")[0]
    if top in sys.builtin_module_names:
        return True
    root = sys.modules.get(top)
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = find(top, None) if find is not None else None
        if spec is not None:
            places: Sequence[str] = list(spec.submodule_search_locations or [])
            if places:
                return set(places) == set(getattr(root, "__path__", ()))
            file = getattr(root, "__file__", None)
            return spec.origin in ("frozen", "built-in", file) or _same_file(spec.origin, file)
    return False


def _same_file(one: str | None, other: str | None) -> bool:
    return _is_file(one) and _is_file(other) and pathlib.Path(str(one)).samefile(str(other))


def _is_file(path: str | None) -> bool:
    return bool(path) and pathlib.Path(str(path)).expanduser().is_file()


def _write_source(typed: list[_Typed], directory: Callable[[], pathlib.Path]) -> pathlib.Path:
    module = typed[0].module
    source = NotebookSource(vars(module), _MAIN | {module.__name__})
    for item in typed:
        root = item.qualname.partition(".")[0]
        source.add(root, getattr(module, root))
    text = source.text()
    path = directory() / f"notebook_{hashlib.sha256(text.encode()).hexdigest()[:12]}.py"
    if not path.exists():
        half = path.with_suffix(".part")
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        half.replace(path)  # Whole or not at all: a worker may be reading.
    return path.absolute()
