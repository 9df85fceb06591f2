"""The Makefile's chores: what they are, that clean spares sources, that a missing Python is said in a sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_CHORES = ["demo", "test", "test-slow", "check", "bench", "dev-setup", "install-grpc", "proto-python", "docs", "clean"]
_MADE = [
    "build/x",
    "dist/x.whl",
    "docs/_build/index.html",
    "src/snakepit_bridge/__pycache__/x.pyc",
    ".mypy_cache/x",
    ".pytest_cache/x",
    ".ruff_cache/x",
    ".venv/.made-in",
    ".venv-proto/x",
]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_help_lists_every_chore(root: Path) -> None:
    """`make` alone lists the chores, each with a line of what it does."""
    done = subprocess.run(["make", "--no-print-directory"], cwd=root, capture_output=True, text=True, check=True)
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert set(_CHORES) <= set(rows)


def test_clean_removes_what_was_made_and_nothing_else(root: Path, tmp_path: Path) -> None:
    """`make clean` leaves every source, and no cache, build or environment that the chores made."""
    tree = tmp_path / "tree"
    for folder in ("scripts", "proto", "src/snakepit_bridge"):
        shutil.copytree(root / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "Makefile", tree)
    sources = _files(tree)
    for made in _MADE:
        (tree / made).parent.mkdir(parents=True, exist_ok=True)
        (tree / made).touch()
    subprocess.run(["make", "clean"], cwd=tree, check=True, capture_output=True)
    assert _files(tree) == sources


def test_clean_spares_an_environment_made_by_hand(root: Path, tmp_path: Path) -> None:
    """A `.venv` that the chores have not set up is somebody's own."""
    shutil.copytree(root / "scripts", tmp_path / "scripts")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "mine").touch()
    done = subprocess.run(["sh", "scripts/clean.sh"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert (tmp_path / ".venv" / "mine").exists()
    assert ".venv" in done.stderr


def test_missing_python_is_said_in_a_sentence(root: Path, tmp_path: Path) -> None:
    """Without a fitting Python, setting up says which is needed and how to name one, and makes nothing."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("rm", "cat"):
        (tools / name).symlink_to(str(shutil.which(name)))
    command = ["/bin/sh", root / "scripts" / "make-venv.sh", "environment", "3.11", "-"]
    done = subprocess.run(command, cwd=tmp_path, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "Python 3.11 or newer is needed: install it, or name one: make PYTHON=/path/to/python ..."
    assert not (tmp_path / "environment").exists()


def test_ci_runs_check_and_test(root: Path) -> None:
    """`.ci/run` can be executed and runs the two chores that a change has to pass."""
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make --keep-going check test" in script.read_text()
