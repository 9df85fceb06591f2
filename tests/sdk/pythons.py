"""The interpreters that the worker SDK must run on: this one, and Python 3.8 where there is one."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "src"


@functools.cache
def _is_python_3_8(path: str) -> bool:
    try:
        done = subprocess.run([path, "-I", "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.stdout.strip() == "(3, 8)"


def python_3_8() -> str:
    """A Python 3.8; skips the test if there is none."""
    known = [str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python"))]
    known += [str(path) for path in sorted(Path.home().glob(".local/share/uv/python/*-3.8.*/bin/python3.8"))]
    for path in ["python3.8", *known]:
        if _is_python_3_8(path):
            return path
    pytest.skip("there is no Python 3.8 here")


def run(python: str, program: str, folder: Path) -> str:
    """What a program prints that is run in `folder` and can import the SDK.

    Raises:
        AssertionError: it failed; the message holds what it printed.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env["PYTHONPATH"] = str(SOURCES)
    done = subprocess.run([python, "-c", program], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
