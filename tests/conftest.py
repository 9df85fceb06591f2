"""What all tests share: the fixture `leaves_nothing`, and Hypothesis settings that repeat.

A module whose tests must not leave anything behind says `pytestmark = pytest.mark.usefixtures("leaves_nothing")`: fixtures
named there are the first to be set up and the last to be torn down, so it sees the ends of all others.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator

import hypothesis
import pytest

import leftovers
from snakepit._api.loops import new_loop

with contextlib.closing(new_loop()) as _first:  # libuv's opens a pipe that stays for the life of the process
    _first.run_until_complete(asyncio.sleep(0))

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # as a shell leaves it to what it runs in the background: every child would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture
def leaves_nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[leftovers.Leftovers]:
    """Fails a test that leaves a process, thread, descriptor, asyncio task or temporary file behind.

    The test gets a temporary directory of its own as TMPDIR.
    """
    tmp_path_factory.getbasetemp()  # pytest's own directory, made on first use, must not land in there
    with leftovers.watched() as picture:
        yield picture
