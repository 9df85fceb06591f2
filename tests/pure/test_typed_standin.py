"""What arrives where a library is missing: a stand-in that says what it is and can be sent on. No library is imported to look."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit_bridge.wire.typed import Standin, is_typed, pack, unpack
from typed_samples import SAMPLES

_SRC = str(Path(__file__).resolve().parents[2] / "src")


def _stand_in(value: Any) -> Standin:
    packed = pack(value, 0)
    assert packed is not None
    return Standin(*packed)


@pytest.mark.parametrize("name", [name for name in SAMPLES if "-" in name or name == "numpy"])
def test_a_stand_in_goes_on_unchanged(name: str):
    """What passes through a process without its library arrives as what it was."""
    packed = pack(SAMPLES[name])
    assert packed is not None
    stand_in = Standin(*packed)
    assert stand_in.kind == packed.kind
    assert stand_in.data.nbytes == packed.nbytes
    assert is_typed(Standin)
    again = pack(stand_in)
    assert again == packed
    assert type(unpack(*again)) is type(SAMPLES[name])
    assert repr(stand_in).startswith(f"<Standin for {packed.kind}")


@given(st.sampled_from(["?", "i1", ">u2", "<i4", "u8", "f2", ">f4", "f8"]), st.lists(st.integers(0, 3), max_size=3), st.sampled_from("CF"))
def test_plain_arrays_become_lists_without_numpy(dtype: str, shape: list[int], order: Any):
    """`tolist` gives what NumPy's gives, for any shape in either order."""
    value = numpy.asarray(numpy.arange(int(numpy.prod(shape))).reshape(shape).astype(dtype), order=order)
    stand_in = _stand_in(value)
    assert (stand_in.dtype, stand_in.shape) == (value.dtype.str, value.shape)
    assert stand_in.tolist() == value.tolist()


@pytest.mark.parametrize("name", ["numpy-moments", "numpy-records", "arrow-table", "pandas-frame", "polars-series", "numpy-masked"])
def test_what_only_its_library_reads_says_so(name: str):
    """What is no array of plain numbers names the library that reads it."""
    with pytest.raises(TypeError, match=name.partition("-")[0]):
        _stand_in(SAMPLES[name]).tolist()


@pytest.mark.parametrize("meta", [None, [], ["<f8"], ["<f8", [2], "C", None], ["<f8", [-1], "C", None], [5, "x", "C", None]])
def test_a_false_stand_in_says_so_when_it_is_read(meta: Any):
    """The facts are not checked before somebody asks for the items."""
    stand_in = Standin("numpy.ndarray", meta, [memoryview(bytes(8))])
    assert repr(stand_in)
    with pytest.raises(TypeError):
        stand_in.tolist()


_NOTHING = """
import sys
sys.path.insert(0, sys.argv[1])
from snakepit_bridge.wire import typed
assert typed.pack({}) is None and typed.pack([1.0] * 5000) is not None and typed.pack(object()) is None
assert not typed.is_typed(type("Array", (), {"__module__": "numpy"}))
for library in ("numpy", "pandas", "polars", "pyarrow", "torch"):
    assert library not in sys.modules, library
    sys.modules[library] = None
for kind in ("numpy.ndarray", "numpy.ma.MaskedArray", "numpy.StringDType", "pyarrow.Table", "pyarrow.RecordBatch", "pandas.DataFrame", "polars.Series", "torch.Tensor"):
    found = typed.unpack(kind, ["<f8", [2], "C", None], [bytes(16)])
    assert type(found) is typed.Standin and typed.pack(found) == (kind, ["<f8", [2], "C", None], [bytes(16)]), found
assert typed.unpack("numpy.ndarray", ["<f8", [2], "C", None], [bytes(16)]).tolist() == [0.0, 0.0]
"""
_FOUND_LATER = """
import sys
sys.path.insert(0, sys.argv[1])
from snakepit_bridge.wire import typed
found = typed.unpack("numpy.ndarray", ["<f8", [2], "C", None], [bytes(16)])
assert "numpy" in sys.modules and found.tolist() == [0, 0]
import numpy
assert typed.pack(found) and typed.pack(numpy.ma.array([1], mask=[1]))
assert not {"pandas", "polars", "pyarrow", "torch"} & set(sys.modules)
"""
_NO_PYARROW = """
import sys
sys.path.insert(0, sys.argv[1])
sys.modules["pyarrow"] = None
import pandas
from snakepit_bridge.wire import typed
assert typed.pack(pandas.DataFrame({"a": [1]})) is None and typed.pack(pandas.Series([1])) is None
"""
_OLD_PYARROW = """
import sys
sys.path.insert(0, sys.argv[1])
import pandas, pyarrow
from snakepit_bridge.wire import typed
pyarrow.__version__ = "14.0.0"
assert typed.pack(pyarrow.table({"a": [1]})) is None and typed.pack(pandas.DataFrame({"a": [1]})) is None
assert type(typed.unpack("pyarrow.Table", None, [b""])) is typed.Standin
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "program", [_NOTHING, _FOUND_LATER, _NO_PYARROW, _OLD_PYARROW], ids=["nothing", "numpy", "no-pyarrow", "old-pyarrow"]
)
def test_libraries_are_imported_when_a_value_is_there(program: str):
    """Looking imports nothing; what arrives imports its library, if there is one; without pyarrow no frame of pandas is packed, nor with one that unpickles."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program, _SRC], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_used_as_what_it_stands_for_it_names_the_library() -> None:
    """At two in the morning that is what one needs to know. It can still be copied."""
    found = Standin("pandas.DataFrame", None, [memoryview(b"abc")])
    for use in (lambda: found[0], lambda: len(found), lambda: found.columns, lambda: numpy.asarray(found), lambda: list(found)):
        with pytest.raises((TypeError, AttributeError), match="it stands for a pandas.DataFrame, and pandas is not installed here"):
            use()
    assert found
    assert not hasattr(found, "columns")
    assert copy.copy(found).kind == "pandas.DataFrame"
