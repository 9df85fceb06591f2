"""From a type annotation to the part of JSON Schema that a tool's spec speaks, and to a short text for people.

Used by `tool_specs` alone. An annotation that cannot be read allows anything: a schema is a help for callers, and must
never keep a tool from being offered.
"""

import ast
import builtins
import collections
import collections.abc
import enum
import inspect
import numbers
import typing
from typing import Any, Callable, Dict, List, Sequence

Schema = Dict[str, Any]

#: Deeper annotations allow anything; recursive aliases end here.
_MAX_DEPTH = 8
_MAX_TEXT = 200

_ARRAYS = (list, tuple, collections.deque)
_ABSTRACT_ARRAYS = (collections.abc.Sequence, collections.abc.MutableSequence)
_ABSTRACT_OBJECTS = (collections.abc.Mapping, collections.abc.MutableMapping)
_NUMBERS = (numbers.Number, numbers.Complex, numbers.Real, numbers.Rational, numbers.Integral)
_UNIONS = ("typing.Union", "types.UnionType")

#: The first that a class derives from decides; bool before int.
_PLAIN = (
    (bool, {"type": "boolean"}),
    (int, {"type": "integer"}),
    (float, {"type": "number"}),
    (str, {"type": "string"}),
    ((bytes, bytearray, memoryview), {"type": "string", "format": "binary"}),
)  # type: Sequence[Any]

#: NumPy's classes by name, so that NumPy need not be imported. The first of a class's ancestors found here decides.
_NUMPY = {
    "ndarray": {"type": "array"},
    "bool": {"type": "boolean"},
    "bool_": {"type": "boolean"},
    "integer": {"type": "integer"},
    "complexfloating": {},
    "number": {"type": "number"},
}  # type: Dict[str, Schema]


def schema_of(annotation: Any) -> Schema:
    """The schema of what an annotation allows; `{}` (anything) when it is unknown or cannot be read."""
    try:
        return _schema(annotation, 0)
    except Exception:  # An annotation is any object at all, with any behaviour.
        return {}


def widened(schema: Schema) -> Schema:
    """The schema that allows None too; for parameters whose default is None."""
    options = schema.get("anyOf", [schema])
    if not schema or {"type": "null"} in options or None in schema.get("enum", ()):
        return schema
    return {"anyOf": [*options, {"type": "null"}]}


def text_of(annotation: Any) -> str:
    """An annotation as its author would write it; an empty string if there is none."""
    if annotation is inspect.Parameter.empty:
        return ""
    if isinstance(annotation, str):
        text = annotation
    elif annotation is None or annotation is type(None):
        text = "None"
    elif isinstance(annotation, type) and typing.get_origin(annotation) is None:
        text = annotation.__qualname__
    else:
        try:
            text = repr(annotation).replace("typing.", "").replace("NoneType", "None")
        except Exception:
            text = type(annotation).__name__
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."


def hints_of(function: Callable[..., Any]) -> Dict[str, Any]:
    """The annotations of a plain function, by name, as objects; names that cannot be found stand for `Any`."""
    function = inspect.unwrap(function)
    try:
        return typing.get_type_hints(function)
    except Exception:  # One name that is imported for type checkers only spoils all; look at each by itself.
        namespace = getattr(function, "__globals__", {})
        raw = getattr(function, "__annotations__", {})
        return {name: _evaluate(item, namespace) if isinstance(item, str) else item for name, item in raw.items()}


def _schema(annotation: Any, depth: int) -> Schema:
    if depth > _MAX_DEPTH or annotation is inspect.Parameter.empty or annotation is Any or annotation is object:
        return {}
    if annotation is None or annotation is type(None):
        return {"type": "null"}
    if isinstance(annotation, (str, typing.ForwardRef)):
        text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        return _schema(_evaluate(text, {}), depth + 1)
    for alias in ("__supertype__", "__value__"):  # NewType, and `type X = ...`
        if hasattr(annotation, alias) and not isinstance(annotation, type):
            return _schema(getattr(annotation, alias), depth + 1)
    if hasattr(annotation, "__metadata__"):  # Annotated[X, ...]
        return _schema(annotation.__origin__, depth + 1)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is None:
        return _class_schema(annotation) if isinstance(annotation, type) else {}
    if _is_union(origin):
        return _any_of([_schema(item, depth + 1) for item in arguments])
    if origin is typing.Literal:
        return _enumeration(arguments)
    return _container_schema(_class_schema(origin), origin, arguments, depth)


def _is_union(origin: Any) -> bool:
    # By name: types.UnionType is not there before Python 3.10.
    return origin is typing.Union or "%s.%s" % (getattr(origin, "__module__", ""), getattr(origin, "__qualname__", "")) in _UNIONS


def _any_of(options: List[Schema]) -> Schema:
    flat: List[Schema] = []
    for option in options:
        flat.extend(item for item in option.get("anyOf", [option]) if item not in flat)
    if {} in flat or not flat:
        return {}
    return flat[0] if len(flat) == 1 else {"anyOf": flat}


def _enumeration(values: Sequence[Any]) -> Schema:
    plain = [value.value if isinstance(value, enum.Enum) else value for value in values]
    if plain and all(value is None or type(value) in (bool, int, float, str) for value in plain):
        return {"enum": plain}
    return {}


def _class_schema(kind: type) -> Schema:
    if issubclass(kind, enum.Enum):
        return {} if issubclass(kind, enum.Flag) else _enumeration(list(kind))
    for base, schema in _PLAIN:
        if issubclass(kind, base):
            return dict(schema)
    if kind in _NUMBERS:
        return {"type": "integer" if kind is numbers.Integral else "number"}
    if issubclass(kind, dict) or kind in _ABSTRACT_OBJECTS:
        return {"type": "object"}
    if issubclass(kind, _ARRAYS) or kind in _ABSTRACT_ARRAYS:
        return {"type": "array"}
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] == "numpy" and base.__name__ in _NUMPY:
            return dict(_NUMPY[base.__name__])
    return {}


def _container_schema(schema: Schema, origin: type, arguments: Sequence[Any], depth: int) -> Schema:
    """Add what a container's type arguments say about its items."""
    if schema == {"type": "object"} and len(arguments) == 2:
        values = _schema(arguments[1], depth + 1)
        return {"type": "object", "additionalProperties": values} if values else schema
    if schema == {"type": "array"} and (issubclass(origin, _ARRAYS) or origin in _ABSTRACT_ARRAYS):
        items = _any_of([_schema(item, depth + 1) for item in arguments if item is not Ellipsis and item != ()])
        return {"type": "array", "items": items} if items else schema
    return schema


def _evaluate(text: str, namespace: Dict[str, Any]) -> Any:
    """The object an annotation's text stands for; unknown names in it stand for `Any`."""
    try:
        found = eval(text, dict(namespace))  # noqa: S307 - the user's own code, in their own process, as typing does it.
        return _evaluate(found, namespace) if isinstance(found, str) and found != text else found
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
