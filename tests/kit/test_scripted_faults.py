"""Faults by a script: what each of them does to a call."""

from __future__ import annotations

from typing import Any

import pytest

import snakepit
from snakepit.testing import Fault, Faults, MemoryPool, TurnedClock
from snakepit_bridge import BaseAdapter, tool

pytestmark = pytest.mark.usefixtures("leaves_nothing")

TIMEOUT = 10.0


class Tools(BaseAdapter):
    """What can be checked frame by frame."""

    @tool
    def count(self, n: int):  # type: ignore[no-untyped-def]
        yield from range(n)

    @tool
    def rows(self, n: int) -> list[int]:
        return list(self.host_tools["rows"](n))

    @tool
    def square(self, n: int) -> int:
        return n * n


def rows(n: int):  # type: ignore[no-untyped-def]
    yield from range(n)


def counted(fault: Fault, tool_name: str = "count") -> tuple[Any, float, Faults]:
    """What a stream of three comes to under a fault, after how much turned time; frame 0 is the worker's introduction."""
    faults = Faults.script([fault])
    with TurnedClock() as clock, MemoryPool(Tools, size=1, heartbeat=False, faults=faults, close_timeout=1.0) as pool:
        pool.register_tool(rows)
        began = clock.now
        try:
            if tool_name == "rows":
                found: Any = pool.execute("rows", {"n": 3}, timeout=TIMEOUT)
            else:
                found = list(pool.stream("count", {"n": 3}, timeout=TIMEOUT).values())
        except snakepit.SnakepitError as error:
            found = error
        took = clock.now - began
        clock.advance(5)
        assert pool.execute("square", {"n": 3}) == 9, "the pool serves on"
    return found, took, faults


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Fault("drop", 2), snakepit.ChannelError, "chunk 2 of call 1 came where chunk 1 was due"),
        (Fault("drop", 3), snakepit.ChannelError, "call 1 ended after 3 chunks, and 2 have come"),
        (Fault("duplicate", 2), snakepit.ChannelError, "chunk 1 of call 1 came where chunk 2 was due"),
        (Fault("truncate", 2), snakepit.ChannelError, "not the protocol"),
        (Fault("kill", 2), snakepit.WorkerCrashed, "SIGKILL"),
        (Fault("kill_after", 2), snakepit.WorkerCrashed, "SIGKILL"),
        (Fault("truncate", 0, "to_worker"), snakepit.WorkerCrashed, "it left: what the host sent is not the protocol"),
    ],
)
def test_a_broken_channel_is_told_at_once_in_words(fault: Fault, kind: type[Exception], words: str) -> None:
    """A chunk that is lost, doubled or cut, also the last one; a request that is cut; a worker that dies."""
    found, took, faults = counted(fault)
    assert type(found) is kind
    assert words in str(found)
    assert took == 0
    assert faults.done == (fault,)


@pytest.mark.parametrize("fault", [Fault("drop", 4), Fault("drop", 0, "to_worker")])
def test_what_is_lost_without_a_trace_ends_by_the_deadline(fault: Fault) -> None:
    """A result, or a request: nobody can know, and the deadline is what ends the call."""
    found, took, _ = counted(fault)
    assert type(found) is snakepit.WorkerTimeout
    assert took == TIMEOUT


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [(Fault("delay", 1, seconds=3.0), 3), (Fault("delay", 0, "to_worker", seconds=7.5), 7.5), (Fault("duplicate", 4), 0)],
)
def test_what_is_late_or_harmless_changes_nothing_else(fault: Fault, seconds: float) -> None:
    """Delays keep the order; a doubled result is read once."""
    found, took, _ = counted(fault)
    assert found == [0, 1, 2]
    assert took == seconds


def test_a_lost_item_of_a_host_tool_is_noticed() -> None:
    """Also the last one: the worker counts what the host says that it has sent."""
    quiet = Faults()
    with TurnedClock(), MemoryPool(Tools, size=1, heartbeat=False, faults=quiet) as pool:
        pool.register_tool(rows)
        assert pool.execute("rows", {"n": 3}) == [0, 1, 2]
    for item in [item for item in quiet.passed if (item.direction, item.kind) == ("to_worker", "CHUNK")]:
        found, took, _ = counted(Fault("drop", item.frame, "to_worker"), "rows")
        assert isinstance(found, snakepit.WorkerCrashed)
        assert "what the host sent is not the protocol" in str(found)
        assert took == 0


def test_the_timeline_reads_as_it_was() -> None:
    """One line for each frame, with what was done to it."""
    _, _, faults = counted(Fault("kill", 2))
    lines = str(faults).splitlines()
    assert lines[:4] == ["<- worker-1   0 HELLO", "-> worker-1   0 CALL 1", "<- worker-1   1 CHUNK 1", "<- worker-1   2 CHUNK 1  kill"]
    assert repr(faults) == "<Faults script of 1, 1 done>"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Fault("lose", 1), "kind is 'lose'; allowed are drop, delay"),  # type: ignore[arg-type]
        (lambda: Fault("drop", -1), "frame is -1; allowed is a whole number"),
        (lambda: Fault("drop", 1, "up"), "direction is 'up'; allowed are to_host, to_worker"),  # type: ignore[arg-type]
        (lambda: Fault("delay", 1, seconds=float("nan")), "seconds is nan"),
        (lambda: Faults(seed=1, rate=2), "rate is 2; allowed is a number from 0 to 1"),
        (lambda: Faults(seed=1, kinds=["lose"]), "kinds is 'lose'"),  # type: ignore[list-item]
    ],
)
def test_a_wrong_fault_is_refused(make: Any, words: str) -> None:
    """The message names the field, what came, and what is allowed."""
    with pytest.raises(snakepit.ConfigurationError, match=words):
        make()
