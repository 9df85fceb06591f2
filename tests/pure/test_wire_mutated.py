"""A great many spoiled inputs: none crashes, hangs or takes memory that it did not pay for in bytes.

`WIRE_INPUTS` says how many there are in all; `WIRE_INPUT=n` runs input `n` of each target alone, to look at one that failed.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from wire_targets import TARGETS

_INPUTS = int(os.environ.get("WIRE_INPUTS", "50_000"))
_ONE = os.environ.get("WIRE_INPUT")

#: Seconds of the processor that one input may take; all take less than a hundredth of it.
_SECONDS = 5.0

#: Memory that one input may take while it is looked at (bytes): for listeners and errors, and for each byte of it. An empty
#: map is one byte of MessagePack and 64 here.
_FLAT, _PER_BYTE = 500_000, 300

#: Tracing makes an input five times slower, so it is done for the first so many of each thousand (not for single ones in
#: between: tracemalloc leaks when it stops). The peak of the process counts for all of them.
_TRACED = 250
_PEAK = 100_000_000


class _TooLong(BaseException):
    """Not an Exception: nothing on the way may take it for a malformed message."""


def _stop(*_: Any) -> None:
    raise _TooLong(f"it took more than {_SECONDS} s")


def _throw(throw: Any, number: int) -> None:
    """Throw one input within its time and memory; its number is the seed of all that is random about it."""
    signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
    if number % 1000 == _TRACED and not _ONE:
        tracemalloc.stop()
    elif number % 1000 == 0 or _ONE:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]  # 0 while nothing is traced
    size = throw(random.Random(number))
    taken = tracemalloc.get_traced_memory()[1] - before
    assert taken < _FLAT + _PER_BYTE * size, f"{size} bytes took {taken} bytes of memory"


def _peak() -> int:
    """The most memory that this process has had at any time (bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.fixture
def bounded() -> Iterator[None]:
    """Each input has a time; the peak of memory hardly grows over all of them."""
    usual, before = signal.signal(signal.SIGVTALRM, _stop), _peak()
    try:
        yield
    finally:
        tracemalloc.stop()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, usual)
    assert _peak() - before < _PEAK


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.usefixtures("bounded")
def test_spoiled_inputs(name: str):
    """Whatever comes: messages, values or events, else the errors that are promised, soon and in little memory."""
    for number in [int(_ONE)] if _ONE else range(_INPUTS // len(TARGETS)):
        try:
            _throw(TARGETS[name].throw, number)
        except (Exception, _TooLong) as error:
            again = f"WIRE_INPUT={number} make test ARGS='tests/pure/test_wire_mutated.py -k {name}'"
            raise AssertionError(f"input {number} of {name}: {error!r:.500}; once more: {again}") from error
