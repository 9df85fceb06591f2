"""House rules that no linter checks."""

from __future__ import annotations

import ast
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def _tests_without_docstring(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return [f"{path.name}: {node.name}" for node in functions if node.name.startswith("test_") and not ast.get_docstring(node)]


def test_every_test_says_what_it_shows() -> None:
    """Each test has a docstring."""
    silent = [line for path in sorted((_ROOT / "tests").rglob("test_*.py")) for line in _tests_without_docstring(path)]
    assert not silent


def test_no_module_outgrows_its_noun() -> None:
    """No module of the library is longer than 400 lines; generated ones do not count."""
    sizes = {str(path.relative_to(_ROOT)): path.read_text(encoding="utf-8").count("\n") for path in (_ROOT / "src").rglob("*.py")}
    assert not {name: size for name, size in sizes.items() if size > 400 and "_pb2" not in name}
