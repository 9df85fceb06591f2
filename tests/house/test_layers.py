"""The layer contracts of pyproject.toml hold, and would notice if they were broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_LINT = (
    "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports_command as main; main(['--no-cache', '--no-logo'])"
)


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", _LINT], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_layer_contracts_hold(root: Path) -> None:
    """No module imports one of a layer above it."""
    done = _lint(root)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("snakepit/_channel/__init__.py", "import snakepit._pool", "Calls flow down"),
        ("snakepit_bridge/base_adapter.py", "import snakepit.errors", "The worker SDK never imports the host"),
        ("snakepit/_pool/__init__.py", "import snakepit_bridge._runtime", "The host sees only the wire"),
        ("snakepit_bridge/base_adapter.py", "import msgspec", "Adapters need no transport library"),
    ],
)
def test_broken_layer_is_noticed(module: str, line: str, contract: str, root: Path, tmp_path: Path) -> None:
    """An import against the rule breaks the contract that forbids it."""
    shutil.copytree(root / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    with (tmp_path / "src" / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    done = _lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(row.startswith(contract) and " BROKEN" in row for row in done.stdout.splitlines()), done.stdout
