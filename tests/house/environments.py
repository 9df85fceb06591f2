"""Interpreters of other versions, and environments with nothing of this tree in them. Used by the packaging tests."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command prints, run where nothing leads a Python to this tree.

    Raises:
        AssertionError: it did not exit with 0; the message holds what it printed.
    """
    done = subprocess.run(command, cwd=cwd, env=bare_variables(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def bare_variables() -> dict[str, str]:
    """The variables of this process without those that would lead a Python to this tree."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def make_environment(folder: Path, interpreter: str | Path, *requirements: str) -> Path:
    """Make an environment, install the requirements, and give its Python."""
    run(interpreter, "-m", "venv", folder)
    python = folder / "bin" / "python"
    install(python, *requirements)
    return python


def install(python: Path, *requirements: str) -> None:
    """Install requirements into the environment of `python`."""
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements)


@functools.cache
def find_interpreter(version: str) -> str | None:
    """A Python of that version (`"3.8"`): on PATH, or where pyenv and uv keep theirs; None if there is none."""
    return next((path for path in _candidates(version) if _version_of(path) == version), None)


def _candidates(version: str) -> Iterator[str]:
    yield f"python{version}"
    for pattern in (f".pyenv/versions/{version}.*/bin/python", f".local/share/uv/python/*-{version}.*/bin/python{version}"):
        yield from (str(path) for path in sorted(Path.home().glob(pattern)))


def _version_of(path: str) -> str:
    # Run, not only looked for: a version manager's stand-in lies on PATH also for versions that are switched off.
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.run([path, "-I", "-c", program], capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
