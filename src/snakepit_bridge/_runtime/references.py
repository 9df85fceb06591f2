"""From the text that names an adapter to the object it names: a class, a module, or a function.

`load_reference` imports modules and files, and tells apart what the user must mend: the name, or the code behind it.
Called by `loading` alone.
"""

import importlib
import importlib.machinery
import importlib.util
import os
import pkgutil
import re
import sys
from types import CodeType, ModuleType
from typing import Any, Callable, List, NamedTuple, NoReturn, Sequence, Tuple, TypeVar

from snakepit_bridge import _set_importing_adapter

from .load_errors import AdapterLoadError, blame, did_you_mean, has_user_frames

T = TypeVar("T")

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class Found(NamedTuple):
    """What a reference names: the module it is in, the object, the object around it, and its own name."""

    reference: str
    module: ModuleType
    target: Any
    parent: Any
    name: str


def found_here(item: Any) -> Found:
    """What a reference would name, for a class, function or module that is in this process already."""
    home = item if isinstance(item, ModuleType) else sys.modules.get(str(getattr(item, "__module__", "")), ModuleType("__main__"))
    reference = home.__name__ if home is item else "%s:%s" % (home.__name__, item.__qualname__)
    return Found(reference, home, item, None, item.__name__)


def load_reference(reference: str) -> Found:
    """Import what a reference names.

    Raises:
        AdapterLoadError: it is not there, or importing it failed.
    """
    path, name = _split_file(reference)
    if path:
        return _walk(reference, _import_file(path, reference), name.split(".") if name else [])
    module, colon, name = reference.partition(":")
    if not _DOTTED.fullmatch(module) or (colon and not _DOTTED.fullmatch(name)):
        raise AdapterLoadError(
            "%r is not the name of an adapter" % (reference,),
            "write package.module:Class, package.module, package.module:function, file.py or file.py:Name",
        )
    _make_current_directory_importable()
    if colon:
        return _walk(reference, _import_module(module, reference), name.split("."))
    return _load_dotted(reference)


def _split_file(reference: str) -> Tuple[str, str]:
    """Path and name inside of a reference to a file; an empty path if it names a module."""
    path, name = reference, ""
    head, colon, tail = reference.rpartition(":")
    if colon and _DOTTED.fullmatch(tail) and not os.path.isfile(os.path.expanduser(reference)):
        path, name = head, tail
    if path.endswith((".py", ".pyw")) or os.sep in path or path.startswith("~"):
        return os.path.abspath(os.path.expanduser(path)), name
    return "", ""


def _load_dotted(reference: str) -> Found:
    """`pkg.mod.Class`, `pkg.mod.function` or `pkg.mod`: the longest part that is a module, then names in it."""
    parts = reference.split(".")
    for count in range(len(parts), 0, -1):
        try:
            module = _import_module(".".join(parts[:count]), reference)
        except _NotThere:
            if count == 1:
                raise
            continue
        return _walk(reference, module, parts[count:])
    raise AssertionError("a reference has at least one part")


class _NotThere(AdapterLoadError):
    """No module of this name; the import did not fail inside one."""


def _import_module(name: str, reference: str) -> ModuleType:
    try:
        return _guarded(lambda: importlib.import_module(name), "importing %s" % name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        _raise_not_there(missing, reference)


def _raise_not_there(missing: str, reference: str) -> NoReturn:
    parent, _, last = missing.rpartition(".")
    if parent:
        there = getattr(sys.modules.get(parent), "__path__", [])
        near = did_you_mean(last, (item.name for item in pkgutil.iter_modules(there)))
        raise _NotThere("no module named %r in %s (adapter %r)" % (last, parent, reference), near)
    near = did_you_mean(missing, [item.name for item in pkgutil.iter_modules()] + list(sys.builtin_module_names))
    looked = [entry or "." for entry in sys.path if not entry.endswith(".zip")]
    shown = ", ".join(looked[:4]) + (", and %d more" % (len(looked) - 4) if len(looked) > 4 else "")
    raise _NotThere("no module named %r (adapter %r)" % (missing, reference), " ".join(filter(None, [near, "looked in: " + shown])))


def _import_file(path: str, reference: str) -> ModuleType:
    if not os.path.isfile(path):
        folder = os.path.dirname(path)
        try:
            names = [name for name in os.listdir(folder) if name.endswith(".py")]
        except OSError:
            raise AdapterLoadError("there is no folder %s (adapter %r)" % (folder, reference)) from None
        near = did_you_mean(os.path.basename(path), names)
        raise AdapterLoadError("there is no file %s (adapter %r)" % (path, reference), near)
    _make_current_directory_importable()
    folder = os.path.dirname(path)
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    name = _module_name(path)
    if name in sys.modules:
        return sys.modules[name]
    loader = _SourceLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None:
        raise AdapterLoadError("%s cannot be imported" % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Before it runs: dataclasses and pickle look their module up there.
    try:
        _guarded(lambda: loader.exec_module(module), "importing %s" % path, _hint_for_package(path))
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _module_name(path: str) -> str:
    """The name a file is loaded under: the same in every worker, so that one worker can unpickle what another pickled."""
    stem = re.sub(r"\W", "_", os.path.splitext(os.path.basename(path))[0])
    name = "snakepit_script_" + stem
    other = getattr(sys.modules.get(name), "__file__", path)
    if other == path:
        return name
    import hashlib  # of another file with the same name, which is rare

    return "%s_%s" % (name, hashlib.sha256(os.fsencode(path)).hexdigest()[:8])


class _SourceLoader(importlib.machinery.SourceFileLoader):
    """Compiles the source as it is now. A cached version would be mistaken for it after a quick edit, and left beside it."""

    def get_code(self, _fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)  # type: ignore[no-any-return,unused-ignore]


def _hint_for_package(path: str) -> str:
    if not os.path.exists(os.path.join(os.path.dirname(path), "__init__.py")):
        return ""
    stem = os.path.splitext(os.path.basename(path))[0]
    return "the file belongs to a package: name it as a module (%s.%s)" % (os.path.basename(os.path.dirname(path)), stem)


def _make_current_directory_importable() -> None:
    try:
        here = os.getcwd()
    except OSError:  # It has been removed.
        return
    if "" not in sys.path and here not in sys.path:
        sys.path.insert(0, here)


def _guarded(run: Callable[[], T], doing: str, package_hint: str = "") -> T:
    """Run code that imports the user's; what it raises becomes an AdapterLoadError.

    Raises:
        ModuleNotFoundError: the module itself, or a package above it, is not there.
        AdapterLoadError: the user's code raised.
    """
    _set_importing_adapter(True)
    try:
        return run()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and not has_user_frames(error.__traceback__):
            raise
        hint = ""
        if isinstance(error, SystemExit):
            hint = 'what should not run in workers belongs under: if __name__ == "__main__":'
        elif isinstance(error, ImportError) and "relative import" in str(error):
            hint = package_hint
        raise blame(error, doing + " failed", hint) from error
    finally:
        _set_importing_adapter(False)


def _walk(reference: str, module: ModuleType, names: Sequence[str]) -> Found:
    target, parent = module, None  # type: Any, Any
    for name in names:
        parent = target
        try:
            target = getattr(target, name)
        except AttributeError:
            here = getattr(parent, "__qualname__", None) or getattr(parent, "__file__", None) or module.__name__
            near = did_you_mean(name, _public_names(parent))
            raise AdapterLoadError("there is no %r in %s (adapter %r)" % (name, here, reference), near) from None
        except Exception as error:  # A module's own __getattr__.
            raise blame(error, "looking up %r in adapter %r failed" % (name, reference)) from error
    if isinstance(target, ModuleType):
        module, parent = target, None
    return Found(reference, module, target, parent, names[-1] if names else module.__name__)


def _public_names(owner: Any) -> List[str]:
    names = dir(owner) + [item.name for item in pkgutil.iter_modules(getattr(owner, "__path__", []))]
    return [name for name in names if not name.startswith("_")]
