"""What is said where a program may have too few descriptors for its workers."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from snakepit._workers import descriptors

resource = pytest.importorskip("resource")


@pytest.fixture
def few() -> Iterator[None]:
    """Three hundred may be open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_too_few_are_told(few: None, caplog: pytest.LogCaptureFixture) -> None:
    """A pool whose workers need more than may be open says so once, with the command that allows more; a small one says nothing."""
    with caplog.at_level(logging.WARNING, "snakepit.pool"):
        descriptors.warn_if_few(10)
        assert caplog.messages == []
        descriptors.warn_if_few(100)
    (told,) = caplog.messages
    assert told.startswith(f"100 workers need about {descriptors.needed(100)} descriptors in this process, and 300 are allowed")
    assert f"ulimit -n {2 * descriptors.needed(100)}" in told
