"""What a worker tells the host about a tool, made from the function itself: its name, parameters, and how it runs.

The adapter loader calls `describe` once per tool; the result is plain data and travels in the worker's `hello`.
"""

import functools
import importlib
import inspect
import math
from typing import Any, Callable, Dict, List, Optional

from ._annotations import hints_of, schema_of, text_of, widened
from .base_adapter import TOOL_ATTRIBUTE

__all__ = ["annotations_of", "call_kind", "describe", "mark_of", "schema_of"]

#: What a function that does not tell its parameters (some built-in ones) is taken to accept.
_ANYTHING = [
    {"name": "args", "kind": "var_positional", "required": False, "annotation": "", "schema": {}},
    {"name": "kwargs", "kind": "var_keyword", "required": False, "annotation": "", "schema": {}},
]  # type: List[Dict[str, Any]]

_MAX_DEFAULT_DEPTH = 8
_MAX_DEFAULT_ITEMS = 1000


def describe(
    function: Callable[..., Any], *, name: Optional[str] = None, mark: Optional[Dict[str, Any]] = None, method: Optional[bool] = None
) -> Dict[str, Any]:
    """The tool spec of a function or method.

    Args:
        function: what runs. `self` of a method taken from its class is left out.
        name: the tool's name; else what `@tool` was told, else the function's own.
        mark: what `@tool` was told; read from the function when None. For overrides that are not decorated again.
        method: does the first parameter stand for the instance? None: find out.
    """
    mark = mark or mark_of(function) or {}
    kind = call_kind(function)
    doc = _doc_of(function)
    signature = _signature_of(function)
    hints = annotations_of(function)
    parameters = _ANYTHING
    if signature is not None:
        listed = list(signature.parameters.values())
        if _starts_with_self(function, listed, method):
            del listed[0]
        parameters = [_parameter(item, hints) for item in listed]
    named = str(name or mark.get("name") or getattr(function, "__name__", type(function).__name__))
    _mark_pickled(named, parameters, mark.get("pickled", ()))
    return {
        "name": named,
        "description": _text(mark.get("description") or doc.strip().partition("\n")[0]),
        "doc": _text(doc),
        "streaming": bool(mark.get("supports_streaming")) or kind in ("generator", "async_generator"),
        "asynchronous": kind in ("coroutine", "async_generator"),
        "idempotent": bool(mark.get("idempotent")),
        "metadata": {_text(key): _text(value) for key, value in (mark.get("metadata") or {}).items()},
        "parameters": parameters,
        "returns": schema_of(hints["return"]) if "return" in hints else {},
    }


def _mark_pickled(tool: str, parameters: List[Dict[str, Any]], names: Any) -> None:
    if isinstance(names, str) or not isinstance(names, (list, tuple, set, frozenset)):
        raise TypeError("tool %r: pickled is %r; allowed is a list of names of its parameters" % (tool, names))
    known = [item["name"] for item in parameters if not item["kind"].startswith("var_")]
    for name in names:
        if name not in known:
            raise ValueError("tool %r: pickled names %r; its parameters by name are %s" % (tool, name, ", ".join(known) or "none"))
    for item in parameters:
        if item["name"] in names:
            item["pickled"] = True


def mark_of(function: Any) -> Optional[Dict[str, Any]]:
    """What `@tool` was told about this function; None if it is not marked."""
    try:
        mark = getattr(function, TOOL_ATTRIBUTE, None)
        if mark is None:
            mark = getattr(getattr(function, "__func__", None), TOOL_ATTRIBUTE, None)
    except Exception:  # Lazy proxies raise all sorts of errors when they are looked at.
        return None
    return mark if type(mark) is dict else None  # Mocks and proxies have every attribute.


def call_kind(function: Callable[..., Any]) -> str:
    """How a function runs: `function`, `coroutine`, `generator` or `async_generator`."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not isinstance(function, type):
        function = type(function).__call__
    if inspect.isasyncgenfunction(function):
        return "async_generator"
    if inspect.iscoroutinefunction(function):
        return "coroutine"
    return "generator" if inspect.isgeneratorfunction(function) else "function"


def annotations_of(function: Callable[..., Any]) -> Dict[str, Any]:
    """What a function, method, partial or callable object is annotated with, by name, as objects."""
    return hints_of(_plain(function))


def _parameter(parameter: inspect.Parameter, hints: Dict[str, Any]) -> Dict[str, Any]:
    annotation = hints.get(parameter.name, parameter.annotation)
    schema = schema_of(annotation)
    variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    found = {
        "name": parameter.name,
        "kind": parameter.kind.name.lower(),
        "required": parameter.default is parameter.empty and not variable,
        "annotation": _text(text_of(parameter.annotation)),
        "schema": widened(schema) if parameter.default is None else schema,
    }
    if parameter.default is not parameter.empty and _is_plain(parameter.default):
        found["default"] = parameter.default
    return found


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Is this default the same in any JSON? Exact types: an IntEnum or a NumPy scalar only looks plain."""
    if value is None or type(value) is bool:
        return True
    if type(value) is int:
        return -(2**63) <= value < 2**64
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is str:
        return _text(value) == value
    if depth >= _MAX_DEFAULT_DEPTH or type(value) not in (list, dict) or len(value) > _MAX_DEFAULT_ITEMS:
        return False
    if type(value) is dict:
        return all(type(key) is str and _is_plain(key) and _is_plain(item, depth + 1) for key, item in value.items())
    return all(_is_plain(item, depth + 1) for item in value)


def _plain(function: Any) -> Any:
    """The function below partials, bound methods and callable objects: the one with the annotations."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not isinstance(function, type):
        function = type(function).__call__
    return getattr(function, "__func__", function)


def _signature_of(function: Callable[..., Any]) -> Optional[inspect.Signature]:
    try:
        return inspect.signature(function)
    except NameError:
        # Python 3.14 evaluates annotations late, and names imported for type checkers only are not there.
        forward = importlib.import_module("annotationlib").Format.FORWARDREF
        options: Dict[str, Any] = {"annotation_format": forward}
        return inspect.signature(function, **options)
    except (TypeError, ValueError):
        return None


def _starts_with_self(function: Any, parameters: List[inspect.Parameter], method: Optional[bool]) -> bool:
    if not parameters or parameters[0].kind not in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
        return False
    if method is not None:
        return method
    owner = getattr(function, "__qualname__", "").rpartition(".")[0]
    return inspect.isfunction(function) and parameters[0].name == "self" and bool(owner) and not owner.endswith("<locals>")


def _doc_of(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.getdoc(function) or ""


def _text(value: Any) -> str:
    """Text that every codec can carry."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
