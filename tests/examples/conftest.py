"""Gives tests the modules of `examples/`, and skips by name where what they need is not installed (never in CI)."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

if str(EXAMPLES) not in sys.path:
    sys.path.insert(0, str(EXAMPLES))


@pytest.fixture(scope="session")
def example() -> Callable[..., ModuleType]:
    """`example(module, *libraries)` imports a module of the examples folder that wants these libraries."""

    def load(module: str, *libraries: str) -> ModuleType:
        require(*libraries)
        return importlib.import_module(module)

    return load


@pytest.fixture(scope="session")
def needs() -> Callable[..., None]:
    """`needs(*libraries)` skips the test where one is missing."""
    return require


def require(*libraries: str) -> None:
    """Skip if a library is not installed; in CI let its import fail instead."""
    for name in libraries:
        if not os.environ.get("CI"):
            pytest.importorskip(name, reason=f"{name} is not installed; pip install 'snakepit-bridge[examples]'")
