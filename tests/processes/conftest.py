"""What the tests with real processes share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

import leftovers
from store_kinds import clock, lasting, redis_url, store

__all__ = ["clock", "lasting", "redis_url", "store"]


@pytest.fixture(scope="module")
def module_leaves_nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`leaves_nothing` around all tests of a module, for those that share a pool: it sees the end of that too."""
    tmp_path_factory.getbasetemp()
    with leftovers.watched():
        yield


@pytest.fixture(scope="session", autouse=True)
def collected() -> None:
    """What is loaded by now is not searched for leftovers after each test: with all libraries that took 50 ms every time."""
    gc.collect()
    gc.freeze()
