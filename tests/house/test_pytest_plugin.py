"""The pytest plugin works where the wheel and pytest are installed, and nothing else."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable

import pytest

from environments import make_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "kit"))
from plugin_examples import SHOP, run_pytest  # noqa: E402


def test_the_plugin_works_in_a_fresh_environment(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """pytest finds it by its entry point; memory pools, the clock and the look at leftovers need nothing more."""
    python = make_environment(tmp_path / "environment", sys.executable, str(wheel), "pytest")
    counts, said = run_pytest(python, tmp_path, SHOP)
    assert counts == {"passed": 4}, said


def test_the_plugin_loads_on_the_oldest_python(wheel: pathlib.Path, tmp_path: pathlib.Path, interpreter: Callable[[str], str]) -> None:
    """Where the worker's side alone runs, tests that use no pool are not disturbed; `run_tool` is there."""
    python = make_environment(tmp_path / "environment", interpreter("3.8"), str(wheel), "pytest")
    text = (
        "from snakepit_bridge import tool\nfrom snakepit_bridge.testing import run_tool\n\n\n@tool\ndef twice(n: int) -> int:\n    return 2 * n\n\n\n"
        "def test_it(snakepit_leaves_nothing):\n    assert run_tool(twice, 'twice', {'n': 2}).result == 4\n"
    )
    counts, said = run_pytest(python, tmp_path, text)
    assert counts == {"passed": 1}, said
