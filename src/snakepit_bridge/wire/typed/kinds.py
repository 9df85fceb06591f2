"""Which types are packed by what, and which kinds are unpacked by what. No library is imported to find out that a value is none of its.

A type of a library can only be met after somebody has imported that library: then its types are put into the table.
"""

import importlib
import sys
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from ..installed import is_installed
from . import builtin
from .packed import Packed
from .pickled import KIND, Pickled, pack_pickled, unpack_pickled
from .standin import Standin, pack_standin

Packer = Callable[..., Optional[Packed]]
Unpacker = Callable[[Any, List[memoryview]], Any]

#: Where the types of a library are declared: our module, and its function that gives them.
_LIBRARIES: Dict[str, Tuple[str, str]] = {
    "numpy": ("numpy_arrays", "types"),
    "numpy.ma": ("numpy_arrays", "masked_types"),
    "pandas": ("pandas_frames", "types"),
    "polars": ("polars_frames", "types"),
    "pyarrow": ("arrow", "types"),
    "torch": ("torch_tensors", "types"),
}

#: Kinds: what they need, our module, its function.
_KINDS: Dict[str, Tuple[Tuple[str, ...], str, str]] = {
    "numpy.ndarray": (("numpy",), "numpy_arrays", "unpack"),
    "numpy.generic": (("numpy",), "numpy_arrays", "unpack_scalar"),
    "numpy.ma.MaskedArray": (("numpy",), "numpy_arrays", "unpack_masked"),
    "numpy.StringDType": (("numpy",), "numpy_strings", "unpack_strings"),
    "pyarrow.Table": (("pyarrow",), "arrow", "unpack"),
    "pyarrow.RecordBatch": (("pyarrow",), "arrow", "unpack_batch"),
    "pandas.DataFrame": (("pandas", "pyarrow"), "pandas_frames", "unpack"),
    "pandas.Series": (("pandas", "pyarrow"), "pandas_frames", "unpack_series"),
    "pandas.Index": (("pandas", "pyarrow"), "pandas_frames", "unpack_index"),
    "polars.DataFrame": (("polars",), "polars_frames", "unpack"),
    "polars.Series": (("polars",), "polars_frames", "unpack_series"),
    "torch.Tensor": (("torch",), "torch_tensors", "unpack"),
}


class _Packers(Dict[type, Optional[Packer]]):
    """By type. Plain types are in it, so that what nearly every value is costs one look."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys((dict, str, int, float, bool, tuple, set, frozenset, complex, type(None))))
        self.update({bytes: builtin.pack_bytes, bytearray: builtin.pack_bytearray, memoryview: builtin.pack_memoryview})
        self.update({list: builtin.pack_list, Standin: pack_standin, Pickled: pack_pickled})
        self._known: Set[str] = set()

    def __missing__(self, kind: type) -> Optional[Packer]:
        module = kind.__module__
        if type(module) is not str:
            return None
        library, _, rest = module.partition(".")
        if library not in _LIBRARIES:
            return None
        part = "%s.%s" % (library, rest.partition(".")[0])
        if part in _LIBRARIES:
            library = part
        if library not in sys.modules:
            return None
        if library not in self._known:
            try:
                name, function = _LIBRARIES[library]
                self.update(getattr(importlib.import_module("." + name, __package__), function)())
            except ImportError:  # it lacks a library, or one is too old: its values go as any others do
                pass
            except Exception:  # another thread is just importing it
                return None
            self._known.add(library)
        return self.get(kind)


PACKERS = _Packers()

_UNPACKERS: Dict[str, Unpacker] = {
    "bytes": builtin.unpack_bytes,
    "bytearray": builtin.unpack_bytearray,
    "memoryview": builtin.unpack_memoryview,
    "floats": builtin.unpack_floats,
    KIND: unpack_pickled,
}


def unpacker(kind: str) -> Optional[Unpacker]:
    """What unpacks a kind: a stand-in where a library for it is missing; None if nobody knows the kind."""
    found = _UNPACKERS.get(kind)
    if found is not None or kind not in _KINDS:
        return found
    needed, module, function = _KINDS[kind]
    if not all(name in sys.modules or is_installed(name) for name in needed):
        found = _UNPACKERS[kind] = _stand_in(kind)
        return found
    try:
        unpack: Unpacker = getattr(importlib.import_module("." + module, __package__), function)
    except Exception:  # it is there and does not work, or not yet: another thread is importing it
        return _stand_in(kind)
    _UNPACKERS[kind] = unpack
    return unpack


def _stand_in(kind: str) -> Unpacker:
    return lambda meta, buffers: Standin(kind, meta, buffers)
