"""Values as Python source: constants, dates and paths, and the import lines of what a module has.

Called by `notebook_source` alone.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from snakepit._workers.cells import import_line

#: Values of these modules' types are written as their repr says.
_WRITTEN = ("datetime", "decimal", "fractions", "uuid", "pathlib")


def import_line_for(name: str, value: Any, own_modules: frozenset[str]) -> str | None:
    """The line that imports a class, function or other named object from the module it says it is of."""
    home, own = getattr(value, "__module__", None), getattr(value, "__qualname__", None) or getattr(value, "_name", None)
    module = sys.modules.get(home) if isinstance(home, str) and home not in own_modules else None
    if module is None or not isinstance(own, str) or resolve_in(vars(module), own) is not value:
        return None
    root, _, rest = own.partition(".")
    return import_line(str(home), root, name) + (f"; {name} = {name}.{rest}" if rest else "")


def resolve_in(namespace: Mapping[str, Any], qualname: str) -> Any:
    """What a dotted name stands for among some globals; None if nothing."""
    root, *rest = qualname.split(".")
    found = namespace.get(root)
    for part in rest:
        found = getattr(found, part, None)
    return found


def is_constant(value: Any, depth: int = 0) -> bool:
    """Is it a number, text, bytes, None, or a list, tuple, set or dict of such?"""
    if value is None or value is Ellipsis or type(value) in (bool, int, float, complex, str, bytes, range):
        return True
    if depth > 20:
        return False
    if type(value) is dict:
        return all(is_constant(key, depth + 1) and is_constant(item, depth + 1) for key, item in value.items())
    return type(value) in (list, tuple, set, frozenset) and all(is_constant(item, depth + 1) for item in value)


def literal_of(value: Any) -> str:
    """An expression for a constant."""
    if type(value) is float and not math.isfinite(value):
        return f'float("{value}")'
    if type(value) is dict:
        return "{" + ", ".join(f"{literal_of(key)}: {literal_of(item)}" for key, item in value.items()) + "}"
    if type(value) in (list, tuple, set, frozenset):
        inside = "[" + ", ".join(map(literal_of, value)) + "]"
        return inside if type(value) is list else f"{type(value).__name__}({inside})"
    return repr(value)


def written_as(value: Any) -> str | None:
    """An expression for a date, a Decimal, a path and the like; None for anything else."""
    for module in _WRITTEN:
        if type(value).__module__.partition(".")[0] != module:
            continue
        text = repr(value) if module != "datetime" else repr(value).replace("datetime.", '__import__("datetime").')
        text = text if module == "datetime" else f'__import__("{module}").{text}'
        try:
            return text if eval(text) == value else None  # noqa: S307 - our own text, of types of the standard library.
        except Exception:
            return None
    return None


def type_name(value: Any) -> str:
    """The name of a value's type, as a reader knows it."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
