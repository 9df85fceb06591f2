"""Which global names a piece of source needs: those it needs to be defined, and those it needs when it runs.

Called by `notebook_source` alone.
"""

from __future__ import annotations

import ast
import symtable
from dataclasses import dataclass, field

_COMPREHENSIONS = frozenset({"genexpr", "listcomp", "setcomp", "dictcomp"})


@dataclass
class Names:
    """Global names that a statement uses.

    Attributes:
        at_once: needed while the statement itself runs: decorators, bases, defaults, class bodies.
        later: needed inside function bodies.
        annotations: named in annotations, also in quoted ones.
        dotted: attribute chains, such as `os.path.join`; they tell which submodules are used.
    """

    at_once: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    annotations: set[str] = field(default_factory=set)
    dotted: set[str] = field(default_factory=set)


def names_in(source: str, *, late_annotations: bool) -> Names:
    """The global names in a statement's source.

    Args:
        source: complete statements.
        late_annotations: was it compiled under `from __future__ import annotations`?
    """
    names = Names()
    head = "from __future__ import annotations\n" if late_annotations else ""
    _walk_scopes(symtable.symtable(head + source, "<cell>", "exec"), names, at_once=True)
    _walk_tree(ast.parse(source), names)
    return names


def _walk_scopes(table: symtable.SymbolTable, names: Names, *, at_once: bool) -> None:
    found = names.at_once if at_once else names.later
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global()):
            found.add(symbol.get_name())
    for child in table.get_children():
        is_body = child.get_type() == "function" and child.get_name() not in _COMPREHENSIONS
        _walk_scopes(child, names, at_once=at_once and not is_body)


def _walk_tree(tree: ast.AST, names: Names) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            chain = _dotted(node)
            if chain:
                names.dotted.add(chain)
        annotations = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        for annotation in annotations:
            if isinstance(annotation, ast.expr):
                names.annotations |= _names_of(annotation)


def _names_of(annotation: ast.expr) -> set[str]:
    found = set()
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                found |= _names_of(ast.parse(node.value, mode="eval").body)
            except (SyntaxError, ValueError):  # Literal["some text"]
                continue
    return found


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
