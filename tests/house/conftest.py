"""What the packaging tests share: the tree, interpreters of other versions, the built wheel, an environment that holds it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import environments


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the tree."""
    return environments.ROOT


@pytest.fixture(scope="session")
def interpreter() -> Callable[[str], str]:
    """`interpreter("3.8")` gives such a Python; the test is skipped where there is none."""

    def find(version: str) -> str:
        found = environments.find_interpreter(version)
        if found is None:
            pytest.skip(f"Python {version} is not installed")
        return found

    return find


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """The wheel, built from the tree as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    environments.run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, root)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that held only pip, and now the wheel with its extra `grpc`."""
    return environments.make_environment(tmp_path_factory.mktemp("installed"), sys.executable, f"{wheel}[grpc]")
