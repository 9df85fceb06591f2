"""What `import snakepit` promises: a flat list of names, a quick start, and a clear sentence on a Python that is too old."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import snakepit
import snakepit.errors


def test_public_names_are_flat_and_sorted() -> None:
    """`__all__` is sorted, holds no name twice, and each name is there."""
    assert list(snakepit.__all__) == sorted(set(snakepit.__all__))
    missing = [name for name in snakepit.__all__ if not hasattr(snakepit, name)]
    assert not missing


def test_public_names_are_complete() -> None:
    """Whatever `snakepit` holds under a public name, except its modules, is in `__all__`."""
    public = {name for name, value in vars(snakepit).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public - {"annotations"} <= set(snakepit.__all__)


def test_every_error_is_public() -> None:
    """Each error that the host raises can be caught by a name of `snakepit`."""
    classes = {name: value for name, value in vars(snakepit.errors).items() if inspect.isclass(value)}
    errors = {name for name, value in classes.items() if issubclass(value, snakepit.SnakepitError)}
    assert "WorkerCrashed" in errors
    assert errors <= set(snakepit.__all__)


def test_import_loads_no_heavy_library() -> None:
    """`import snakepit` loads no protocol, command line or telemetry library, and nothing of the gateway or of its clients."""
    heavy = ["grpc", "google.protobuf", "typer", "rich", "click", "opentelemetry.sdk", "numpy", "pandas"]
    heavy += ["grpc_health", "google.rpc", "snakepit.gateway", "snakepit.remote.pool", "snakepit.remote.async_pool"]
    program = f"import sys, snakepit; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.8", "3.10"])
def test_import_on_an_old_python_says_what_is_needed(version: str, interpreter: Callable[[str], str], root: Path) -> None:
    """Below Python 3.11 the import fails with one sentence that names 3.11."""
    program = f"import sys; sys.path.insert(0, {str(root / 'src')!r}); import snakepit"
    done = subprocess.run([interpreter(version), "-I", "-S", "-B", "-c", program], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("ImportError: ")
    assert "3.11" in last
