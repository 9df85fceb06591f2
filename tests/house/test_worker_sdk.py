"""The worker SDK reads on Python 3.8 and imports with the standard library alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_SDK = Path(__file__).resolve().parents[2] / "src" / "snakepit_bridge"
#: These are the gRPC protocol itself, and import grpc.
_NEED_GRPC = ("grpc/", "_runtime/grpc_server.py", "_runtime/bridge/")
#: These are imported when a value of a library is there, and import that library.
_NEED_LIBRARIES = tuple("wire/typed/" + name for name in ("arrow.py", "numpy_", "pandas_", "polars_", "torch_"))
_FILES = sorted(str(path.relative_to(_SDK)) for path in _SDK.rglob("*.py"))

# -S keeps site-packages out, so nothing but the standard library is there.
_IMPORT = """
import importlib, sys
sys.path.insert(0, sys.argv.pop(1))
for name in sys.argv[1:]:
    importlib.import_module(name)
foreign = [name for name in ("snakepit", "grpc", "google", "msgspec", "msgpack", "numpy") if name in sys.modules]
assert not foreign, foreign
"""


def _import_all(python: str) -> None:
    names = [_module(name) for name in _FILES if not name.startswith((*_NEED_GRPC, *_NEED_LIBRARIES))]
    command = [python, "-I", "-S", "-B", "-W", "error", "-c", _IMPORT, str(_SDK.parent), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _module(name: str) -> str:
    return ".".join(["snakepit_bridge", *Path(name).with_suffix("").parts]).removesuffix(".__init__")


@pytest.mark.parametrize("name", _FILES)
def test_file_has_the_syntax_of_python_3_8(name: str) -> None:
    """The file parses as Python 3.8."""
    ast.parse((_SDK / name).read_text(encoding="utf-8"), filename=name, feature_version=(3, 8))


def test_sdk_imports_with_the_standard_library_alone() -> None:
    """Every module but the gRPC protocol and those of one library imports on this Python with nothing installed."""
    _import_all(sys.executable)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.12", "3.13", "3.14"])
def test_sdk_imports_on_other_pythons(version: str, interpreter: Callable[[str], str]) -> None:
    """Every module but the gRPC protocol and those of one library imports on other Pythons with nothing installed."""
    _import_all(interpreter(version))
