"""Source text that was never in a file: the cells of a notebook or an interactive prompt, as Python remembers them.

Notebooks and IPython keep each cell in `linecache`, so that tracebacks can show it. `Cells` finds there the statement
that defined, imported or assigned a name. Called by `notebook_source` alone.
"""

from __future__ import annotations

import ast
import linecache
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def code_of(target: Any) -> CodeType | None:
    """The code of a function, or of a class's first own method; below decorators that keep `__wrapped__`."""
    if not isinstance(target, type):
        return _function_code(target)
    for value in vars(target).values():
        code = _function_code(value.fget if isinstance(value, property) else value)
        # Not what a class decorator has put into it: dataclass makes functions whose code is of no class or no file.
        if code is not None and code.co_qualname.startswith(target.__qualname__ + ".") and code.co_filename != "<string>":
            return code
    return None


def _function_code(target: Any) -> CodeType | None:
    for _ in range(100):  # A loop of decorators has no end.
        if isinstance(target, FunctionType) and not hasattr(target, "__wrapped__"):
            return target.__code__
        try:
            target = target.__wrapped__ if hasattr(target, "__wrapped__") else target.__func__
        except Exception:  # Any object may stand in a class, also one that dislikes to be looked at.
            break
    return None


@dataclass(frozen=True)
class Statement:
    """One statement at the top level of a cell, as its author wrote it."""

    source: str
    node: ast.stmt


def import_line(module: str, name: str, bound: str) -> str:
    """`from module import name`, bound to another name where it must be."""
    return f"from {module} import {name}" + ("" if name == bound else f" as {bound}")


class Cells:
    """The cells this process remembers, oldest first."""

    def __init__(self) -> None:
        self._cells: dict[str, tuple[list[str], ast.Module]] = {}
        for filename, entry in list(linecache.cache.items()):
            if len(entry) != 4 or Path(filename).is_file():
                continue
            self._read(filename, entry[2])

    def definition(self, name: str, target: Any) -> Statement | None:
        """The `def` or `class` statement that made `target`; the newest of that name where the object does not tell."""
        code = code_of(target)
        if code is not None and code.co_filename not in self._cells and Path(code.co_filename).is_file():
            self._read(code.co_filename, linecache.getlines(code.co_filename))  # Run into the notebook from a file.
        for filename in reversed(self._cells) if code is None else [code.co_filename]:
            if filename not in self._cells:
                continue
            lines, tree = self._cells[filename]
            for node in reversed(list(_top_level(tree))):
                if isinstance(node, _Definition) and node.name == name and _holds(node, code):
                    return _statement(lines, node, _first_line(node))
        return None

    def _read(self, filename: str, lines: list[str]) -> None:
        try:
            self._cells[filename] = (lines, ast.parse("".join(lines)))
        except (SyntaxError, ValueError):
            return

    def import_of(self, name: str, value: Any) -> str | None:
        """The `from ... import ...` line that bound `name` to `value`."""
        for _, tree in reversed(self._cells.values()):
            for node in _top_level(tree):
                if not isinstance(node, ast.ImportFrom) or not node.module or node.level:
                    continue
                for alias in node.names:
                    if (alias.asname or alias.name) == name and getattr(sys.modules.get(node.module), alias.name, None) is value:
                        return import_line(node.module, alias.name, name)
        return None

    def assignment(self, name: str) -> Statement | None:
        """The newest `name = ...` statement."""
        for lines, tree in reversed(self._cells.values()):
            for node in reversed(list(_top_level(tree))):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
                if len(targets) == 1 and isinstance(targets[0], ast.Name) and targets[0].id == name:
                    return _statement(lines, node, node.lineno)
        return None


def _top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run when the cell runs, also those inside `if`, `try` and `with`."""
    todo: list[ast.AST] = list(reversed(tree.body))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.While, ast.ExceptHandler)):
            todo.extend(reversed(list(ast.iter_child_nodes(node))))


def _first_line(node: _Definition) -> int:
    return min([node.lineno, *(item.lineno for item in node.decorator_list)])


def _holds(node: _Definition, code: CodeType | None) -> bool:
    return code is None or _first_line(node) <= code.co_firstlineno <= (node.end_lineno or node.lineno)


def _statement(lines: list[str], node: ast.stmt, first: int) -> Statement:
    text = textwrap.dedent("".join(lines[first - 1 : node.end_lineno])).rstrip("\n")
    return Statement(text, node)
