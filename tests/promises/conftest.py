"""What the tests of `SPECIFICATION.md` share: figures beside the machine's own delay, told at the end of the run."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from promise_figures import FULL, Figures, machine_delay, measured

#: In full a promise takes minutes (seconds).
_FULL_TIMEOUT = 2400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder the time that they need."""
    here = pathlib.Path(__file__).parent
    for item in items:
        if FULL and item.path.parent == here:
            item.add_marker(pytest.mark.timeout(_FULL_TIMEOUT))


@pytest.fixture
def figures() -> Any:
    """Makes the `Figures` of a promise by its name; the machine is measured beside the test, once at its beginning."""
    delay = machine_delay()
    return lambda what: Figures(what, delay)


@pytest.fixture
def tools() -> str:
    """The tools that are cancelled, killed and left."""
    return str(pathlib.Path(__file__).with_name("promise_tools.py"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what was measured."""
    if measured:
        terminalreporter.section("promises")
        for line in measured:
            terminalreporter.line(line)
