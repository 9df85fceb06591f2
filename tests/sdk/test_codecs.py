"""The JSON codec with the standard library alone, on each Python that the worker SDK runs on."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

from pythons import python_3_8, run
from snakepit_bridge.wire.codecs import JsonCodec

_PURE = Path(__file__).resolve().parents[1] / "pure"

#: No library is there, and the table of the other codec tests.
_ALONE = f"""
import base64, json, sys
sys.modules.update(msgspec=None, msgpack=None)
sys.path.append({str(_PURE)!r})
from wire_table import TABLE, as_it_arrives
from snakepit_bridge.wire.codecs import JsonCodec, Malformed, Unserialisable, available_codecs
assert available_codecs() == ["json"]
codec = JsonCodec()
"""


def test_the_table_holds_without_a_library(python: str, tmp_path: Path) -> None:
    """Each value arrives equal and of the same type."""
    program = """
for name, value in TABLE.items():
    assert as_it_arrives(codec.decode(codec.encode([value]))) == as_it_arrives([value]), name
print(len(TABLE))
"""
    assert int(run(python, _ALONE + program, tmp_path)) > 20


def test_refusals_without_a_library(python: str, tmp_path: Path) -> None:
    """A lone surrogate is refused by its path; so are half a pair, nesting without end and cut bytes when they arrive."""
    program = r"""
try:
    codec.encode({"a": [1, "\ud800"]})
except Unserialisable as error:
    print(error.path)
for data in (b'"\\ud800"', b"[" * 100000, b"[1", b'{"\\u0000i":"0x1"}', b'{"\\u0000b":"?"}', b"\xff"):
    try:
        codec.decode(data)
    except Malformed:
        print("malformed")
"""
    assert run(python, _ALONE + program, tmp_path).split() == ["['a'][1]"] + ["malformed"] * 6


def test_two_pythons_write_the_same(tmp_path: Path) -> None:
    """What Python 3.8 writes is byte for byte what this one writes, so each reads the other."""
    program = "print(json.dumps({name: base64.b64encode(codec.encode(value)).decode() for name, value in TABLE.items()}))"
    old, new = (json.loads(run(python, _ALONE + program, tmp_path)) for python in (python_3_8(), sys.executable))
    assert old == new
    assert all(JsonCodec().decode(base64.b64decode(text)) is not None for name, text in old.items() if name != "none")
