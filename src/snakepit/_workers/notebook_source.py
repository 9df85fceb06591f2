"""A class or function that was typed into a notebook, as a module that workers can import.

The statement that defined it travels as text, with the imports, helpers and plain constants it uses. Objects do not
travel: a model in a global is named in the error. Called by `adapter_reference`.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from snakepit._workers.cells import Cells, code_of
from snakepit._workers.source_names import Names, names_in
from snakepit._workers.source_text import import_line_for, is_constant, literal_of, resolve_in, type_name, written_as
from snakepit.errors import ConfigurationError

_LATE_ANNOTATIONS = 0x1000000  # __future__.annotations.compiler_flag
_MAX_CONSTANT = 256 * 1024  # Characters or items.
_SIZED = (str, bytes, list, tuple, set, frozenset, dict)

#: Objects of these types are made anew in the worker, by the statement that made them here. So are all of `typing`.
_REMADE = frozenset(
    {
        "re.Pattern",
        "types.GenericAlias",
        "types.UnionType",
        "logging.Logger",
        "logging.RootLogger",
        "_contextvars.ContextVar",
        "_thread.lock",
        "_thread.RLock",
        "_thread._local",
        "threading.Condition",
        "threading.Event",
        "threading.Semaphore",
        "threading.BoundedSemaphore",
    }
)

#: What every module has of its own.
_OWN = frozenset({"__name__", "__file__", "__doc__", "__spec__", "__builtins__", "__package__", "__loader__"})


class CannotTravel(Exception):
    """A global of the notebook has no form as source. `by` names who uses it, outermost first."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name)
        self.name = name
        self.reason = reason
        self.by: list[str] = []


@dataclass
class _Piece:
    """Part of the module: its text, the names it must come after, and those it had better come after."""

    source: str
    after: set[str]
    uses: set[str]


class NotebookSource:
    """Collects what some classes or functions of a notebook need.

    Args:
        namespace: the notebook's globals.
        own_modules: names under which the notebook itself is known, such as `__main__`.
    """

    def __init__(self, namespace: Mapping[str, Any], own_modules: frozenset[str]) -> None:
        self._namespace = namespace
        self._own = own_modules
        self._cells = Cells()
        self._imports: dict[str, None] = {}  # In order, each once.
        self._pieces: dict[str, _Piece] = {}
        self._late_annotations = False

    def add(self, name: str, target: Any) -> None:
        """Take in a global class or function, with all it needs.

        Raises:
            ConfigurationError: it uses something that cannot travel; says what, why, and what to do.
        """
        if self._cells.definition(name, target) is None:
            raise ConfigurationError(
                f"the source of {name} cannot be found: it was made by python -c, standard input, exec or a cell magic",
                hint=f"put it in a file and pass that: Pool('my_tools.py:{name}')",
            )
        try:
            self._need(name, Names())
        except CannotTravel as error:
            way = f" (by way of {', '.join(error.by[1:])})" if error.by[1:] else ""
            raise ConfigurationError(
                f"{name} cannot travel from this notebook to the workers: it uses {error.name!r}{way}, {error.reason}",
                hint=f"load it in the adapter's initialize() and keep it on self; or put {name} in a file and pass that",
            ) from None

    def text(self) -> str:
        """The module: imports, then definitions, each after what it needs."""
        future = ["from __future__ import annotations"] if self._late_annotations else []
        ordered: list[str] = []
        left = dict(self._pieces)
        while left:
            name = next(
                (name for name, piece in left.items() if not (piece.after | piece.uses) & left.keys() - {name}),
                next((name for name, piece in left.items() if not piece.after & left.keys() - {name}), next(iter(left))),
            )
            ordered.append(left.pop(name).source)
        return "\n\n".join(["\n".join([*future, *self._imports]), *ordered]).lstrip("\n") + "\n"

    def _need(self, name: str, user: Names) -> None:
        if name in self._pieces or name in _OWN or name not in self._namespace:
            return
        value = self._namespace[name]
        if getattr(builtins, name, None) is value:
            return
        if isinstance(value, ModuleType):
            self._need_module(name, value, user)
            return
        line = self._cells.import_of(name, value) or import_line_for(name, value, self._own)
        if line is not None:
            self._imports[line] = None
        elif self._is_own(value):
            self._need_definition(name, value)
        elif isinstance(value, _SIZED) and len(value) > _MAX_CONSTANT:
            raise CannotTravel(name, f"a {type_name(value)} of {len(value)} items, which is too much for source text")
        elif is_constant(value):
            self._pieces[name] = _Piece(f"{name} = {literal_of(value)}", set(), set())
        elif (expression := written_as(value)) is not None:
            self._pieces[name] = _Piece(f"{name} = {expression}", set(), set())
        elif type(value).__module__ == "typing" or type_name(value) in _REMADE:
            self._need_assignment(name, value)
        elif name == "get_ipython":
            raise CannotTravel(name, "because a line of it begins with % or !, which means something in a notebook only")
        else:
            raise CannotTravel(name, f"an object of type {type_name(value)}, and objects do not travel")

    def _is_own(self, value: Any) -> bool:
        # Instances have the `__module__` of their class, but no `__qualname__`.
        return isinstance(getattr(value, "__qualname__", None), str) and getattr(value, "__module__", None) in self._own

    def _need_definition(self, name: str, value: Any) -> None:
        if "<" in value.__qualname__:  # A lambda, or what a decorator without functools.wraps left in a function's place.
            statement = self._cells.definition(name, None) or self._cells.assignment(name)
            if statement is None:
                raise CannotTravel(name, "which was made inside a function")
            self._need_source(name, statement.source, late_annotations=False)
            return
        if value.__qualname__ != name:  # Another name for something that may be global too.
            root = value.__qualname__.partition(".")[0]
            self._need(root, Names())
            if root in self._pieces and resolve_in(self._namespace, value.__qualname__) is value:
                self._pieces[name] = _Piece(f"{name} = {value.__qualname__}", {root}, set())
                return
            raise CannotTravel(name, f"which is {value.__qualname__} of the notebook under another name")
        statement = self._cells.definition(name, value)
        if statement is None:
            self._need_assignment(name, value)  # namedtuple("Point", "x y"), Enum("Color", "RED GREEN")
            return
        code = code_of(value)
        self._need_source(name, statement.source, late_annotations=bool(code and code.co_flags & _LATE_ANNOTATIONS))

    def _need_assignment(self, name: str, value: Any) -> None:
        statement = self._cells.assignment(name)
        if statement is None:
            raise CannotTravel(name, f"an object of type {type_name(value)}, and no statement was found that makes it")
        self._need_source(name, statement.source, late_annotations=False)

    def _need_source(self, name: str, source: str, *, late_annotations: bool) -> None:
        self._late_annotations = self._late_annotations or late_annotations
        names = names_in(source, late_annotations=late_annotations)
        self._pieces[name] = _Piece(source, names.at_once - {name}, names.later | names.annotations)
        for used in sorted(names.at_once | names.later):
            try:
                self._need(used, names)
            except CannotTravel as error:
                error.by.insert(0, name)
                raise
        for used in sorted(names.annotations - names.at_once - names.later):
            kept = dict(self._pieces), dict(self._imports)
            try:
                self._need(used, names)
            except CannotTravel:  # Only a text that nobody evaluates; the parameter then takes anything.
                self._pieces, self._imports = kept

    def _need_module(self, name: str, module: ModuleType, user: Names) -> None:
        real = module.__name__
        if real in self._own or (getattr(module, "__spec__", None) is None and real not in sys.builtin_module_names):
            raise CannotTravel(name, "a module that was not imported from a file")
        # `import os.path` binds `os`: what follows the name tells which submodules must be loaded too.
        for chain in sorted(user.dotted):
            parts = chain.split(".")
            for end in range(2, len(parts) + 1):
                inner = ".".join([real, *parts[1:end]])
                if parts[0] == name and isinstance(sys.modules.get(inner), ModuleType):
                    self._imports[f"import {inner}"] = None
        self._imports[f"import {real}" if real == name else f"import {real} as {name}"] = None
