"""From an annotation's text to the object it stands for, also where this interpreter is older than the annotation.

Used by `_annotations`. Names that cannot be found stand for `Any`; nothing is ever raised.
"""

import ast
import builtins
import typing
from typing import Any, Dict


def evaluate(text: str, namespace: Dict[str, Any]) -> Any:
    """The object an annotation's text stands for; unknown names in it stand for `Any`."""
    try:
        found = eval(text, dict(namespace))  # noqa: S307 - the user's own code, in their own process, as typing does it.
        return evaluate(found, namespace) if isinstance(found, str) and found != text else found
    except Exception:
        return _evaluate_readable(text, namespace)


def _evaluate_readable(text: str, namespace: Dict[str, Any]) -> Any:
    try:
        tree = _Readable(namespace).visit(ast.parse(text.strip(), mode="eval"))
        code = compile(ast.fix_missing_locations(tree), "<annotation>", "eval")
        return eval(code, {**namespace, _Readable.TYPING: typing})  # noqa: S307
    except Exception:
        return Any


_GENERICS = {"list": "List", "dict": "Dict", "tuple": "Tuple", "set": "Set", "frozenset": "FrozenSet", "type": "Type"}


class _Readable(ast.NodeTransformer):
    """Rewrites an annotation so that this interpreter can evaluate it.

    `int | None` and `list[int]` become what Python 3.8 knows; names that are not there become `Any`.
    """

    TYPING = "__snakepit_typing__"

    def __init__(self, namespace: Dict[str, Any]) -> None:
        self._namespace = namespace

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.BitOr):
            return node
        pair = ast.Tuple(elts=[node.left, node.right], ctx=ast.Load())
        index = getattr(ast, "Index")(value=pair) if not hasattr(ast, "unparse") else pair  # noqa: B009 - before Python 3.9
        return ast.Subscript(value=self._typing("Union"), slice=index, ctx=ast.Load())

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id in _GENERICS and node.value.id not in self._namespace:
            node.value = self._typing(_GENERICS[node.value.id])
        self.generic_visit(node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        root = node.value
        while isinstance(root, ast.Attribute):
            root = root.value
        return self._typing("Any") if isinstance(root, ast.Name) and not self._known(root.id) else node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return node if self._known(node.id) else self._typing("Any")

    def _known(self, name: str) -> bool:
        return name == self.TYPING or name in self._namespace or hasattr(builtins, name)

    def _typing(self, name: str) -> ast.expr:
        return ast.Attribute(value=ast.Name(id=self.TYPING, ctx=ast.Load()), attr=name, ctx=ast.Load())
