"""What a value is, never what it holds: `str(12)`, `bytes(1.2 MB)`, `dict(2 keys: epochs, lr)`, `ndarray(float32 3x224x224)`."""

import dataclasses
import itertools
from typing import Any, Callable, Iterable

_SHOWN_KEYS = 8
_SHOWN_KEY = 32
_SAMPLED = 16
#: Of these, shape and dtype are cheap to ask for; of a class that nobody knows, any attribute may compute for minutes, or lie.
_ARRAYS = frozenset(("numpy", "torch", "pandas", "jax", "jaxlib", "tensorflow", "cupy", "polars", "scipy", "mlx"))

_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def describe(value: Any, mask: Callable[[str], str]) -> str:
    """A short description, at a cost that does not grow with the value. `mask` is applied to the names of keys."""
    try:
        return _describe(value, mask)
    except Exception:  # whatever a class does to its attributes, there is something to say
        return type(value).__name__


def _describe(value: Any, mask: Callable[[str], str]) -> str:
    kind = type(value)
    name = kind.__name__
    if value is None or isinstance(value, (bool, int, float, complex)):
        return name if value is not None else "None"
    if isinstance(value, str):
        return "%s(%d)" % (name, str.__len__(value))
    if isinstance(value, (bytes, bytearray)):
        return "%s(%s)" % (name, _size(len(value)))
    if isinstance(value, memoryview):
        return "%s(%s)" % (name, _size(value.nbytes))
    if isinstance(value, dict):
        return "%s(%s)" % (name, _keys(value, mask))
    if isinstance(value, (list, tuple, set, frozenset)):
        return "%s(%s)" % (name, _items(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value)]
        return "%s(%s)" % (name, ", ".join(fields[:_SHOWN_KEYS]) + (", ..." if len(fields) > _SHOWN_KEYS else ""))
    if kind.__module__.partition(".")[0] in _ARRAYS:
        return _array(value, name)
    return name


def _keys(value: Any, mask: Callable[[str], str]) -> str:
    count = dict.__len__(value)
    if not count:
        return "empty"
    shown = [_key(key, mask) for key in itertools.islice(dict.__iter__(value), _SHOWN_KEYS)]
    return "%d %s: %s%s" % (count, "key" if count == 1 else "keys", ", ".join(shown), ", ..." if count > _SHOWN_KEYS else "")


def _key(key: Any, mask: Callable[[str], str]) -> str:
    if not isinstance(key, str):
        return type(key).__name__
    text = mask(key[:1024])
    text = "".join(character if character.isprintable() else "?" for character in text[: _SHOWN_KEY + 1])
    return text if len(text) <= _SHOWN_KEY else text[: _SHOWN_KEY - 3] + "..."


def _items(value: Any) -> str:
    base = next(kind for kind in (list, tuple, set, frozenset) if isinstance(value, kind))
    count = base.__len__(value)
    if not count:
        return "empty"
    kinds = list(dict.fromkeys(type(item).__name__ for item in itertools.islice(base.__iter__(value), _SAMPLED)))
    return "%d of %s" % (count, _some(kinds))


def _some(kinds: Iterable[str]) -> str:
    kinds = list(kinds)
    return ", ".join(kinds[:3]) + (", ..." if len(kinds) > 3 else "")


def _array(value: Any, name: str) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    words = []
    if dtype is not None:
        words.append(str(getattr(dtype, "name", None) or dtype).rpartition(".")[2][:_SHOWN_KEY])
    if isinstance(shape, tuple) and all(isinstance(size, int) for size in shape):
        words.append("x".join(map(str, shape)) or "scalar")
    return "%s(%s)" % (name, " ".join(words)) if words else name


def _size(nbytes: int) -> str:
    if nbytes < 1000:
        return str(nbytes)
    size, unit = next((nbytes / scale, unit) for scale, unit in _UNITS if nbytes >= scale)
    return "%.3g %s" % (size, unit)
