"""The two ends of shared memory by themselves: in one process, and in two of which either is killed."""

from __future__ import annotations

import errno
import gc
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from snakepit_bridge.shared import arena as arena_module
from snakepit_bridge.shared.arena import Arena, Lease
from snakepit_bridge.shared.views import NAME, Views
from snakepit_bridge.wire.malformed import Malformed

pytestmark = [pytest.mark.usefixtures("leaves_nothing")]

MEBI = 1024 * 1024

#: Lends for ever, one line of numbers for each lease; takes back what is named on its standard input.
_LENDER = """
import sys
from snakepit_bridge.shared.arena import Arena
arena = Arena(256 * 2**20, "snakepit")
for number in range(1_000_000):
    lease = arena.lease(2**20)
    if lease is not None and lease.write(0, memoryview(bytes([number % 251]) * 2**20)):
        lease.sent()
        print(*lease.row, flush=True)
    assert arena.take_back([int(item) for item in sys.stdin.readline().split()])
"""
#: Reads what it is told of, and names it when it is no more.
_BORROWER = """
import sys
from snakepit_bridge.shared.views import Views
views = Views(lambda: None)
for line in sys.stdin:
    view = views.open([int(item) for item in line.split()])
    del view
    print(*views.returned(), flush=True)
"""


@pytest.fixture
def lent() -> Iterator[Arena]:
    arena = Arena(256 * MEBI, NAME)
    yield arena
    arena.close()


def filled(arena: Arena, nbytes: int, content: bytes = b"x") -> Lease:
    lease = arena.lease(nbytes)
    assert lease is not None
    assert lease.write(0, memoryview(content * nbytes))
    return lease


def held(arena: Arena) -> int:
    """How much memory its segments have (bytes)."""
    return sum(os.fstat(segment.fd).st_blocks * 512 for segment in arena._segments)


def memory_files() -> list[str]:
    return [line for line in pathlib.Path("/proc/self/maps").read_text().splitlines() if f"memfd:{NAME}" in line]


def nothing() -> None: ...


def program(text: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)


def say(process: subprocess.Popen[str], *numbers: int) -> None:
    assert process.stdin is not None
    process.stdin.write(" ".join(map(str, numbers)) + "\n")


def heard(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    return [int(item) for item in process.stdout.readline().split()]


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_many_small_segments_make_way_for_a_large_one(lent: Arena) -> None:
    """When all is free again, what needs the whole of it gets it, and the receiver keeps no mapping of what was closed."""
    views = Views(nothing)
    leases = [filled(lent, 10 * MEBI) for _ in range(16)]
    seen = [views.open(lease.row) for lease in leases]
    assert lent.lease(100 * MEBI) is None
    for lease in leases:
        lease.sent()
    kept = seen[3][5:7]
    del seen
    assert lent.take_back(views.returned())
    assert bytes(views.open(filled(lent, 200 * MEBI, b"y").row)[-2:]) == b"yy"
    assert bytes(kept) == b"xx", "closed under a view"
    assert lent.size <= 256 * MEBI
    assert len(memory_files()) <= 2 * 4, "mappings of closed segments are kept"
    views.close()


@pytest.mark.slow
@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_memory_of_large_transfers_is_given_back_beside_small_ones(lent: Arena, monkeypatch: pytest.MonkeyPatch, busy: bool) -> None:
    """What one large transfer has taken is not kept for ever because small ones go on, or because nothing goes on at all."""
    monkeypatch.setattr(arena_module, "_IDLE_SECONDS", 0.05)
    leases = [filled(lent, size) for size in (MEBI, 80 * MEBI, 100 * MEBI)]
    assert held(lent) >= 180 * MEBI
    leases.clear()
    end = time.monotonic() + 10
    while held(lent) > 2 * MEBI:
        assert time.monotonic() < end, f"{held(lent) // MEBI} MiB are kept"
        if busy:
            filled(lent, MEBI)
        lent.rest()
        time.sleep(0.01)
    again = filled(lent, 100 * MEBI, b"z")
    view = Views(nothing).open(again.row)
    assert bytes(view[:1]) + bytes(view[-1:]) == b"zz"


def test_memory_that_cannot_be_had_is_not_written_to(lent: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """To write to it would end the process. What has been had already serves on."""

    def full(fd: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    there = filled(lent, MEBI)
    monkeypatch.setattr(os, "posix_fallocate", full)
    lease = lent.lease(MEBI)
    assert lease is not None
    assert not lease.write(0, memoryview(bytes(MEBI)))
    assert there.write(0, memoryview(b"y"))


def test_what_makes_way_gives_its_memory_back(lent: Arena) -> None:
    """Also where the receiver has it mapped still."""
    views = Views(nothing)
    lease = filled(lent, 100 * MEBI)
    views.open(lease.row)
    (segment,) = lent._segments
    kept = os.dup(segment.fd)
    try:
        lease.sent()
        assert lent.take_back(views.returned())
        filled(lent, 200 * MEBI)
        assert os.fstat(kept).st_blocks == 0
    finally:
        os.close(kept)
        views.close()


def test_one_number_is_lent_once(lent: Arena) -> None:
    """A row that names a lease that is looked at is none of ours."""
    views = Views(nothing)
    lease = filled(lent, MEBI)
    view = views.open(lease.row)
    with pytest.raises(Malformed):
        views.open(lease.row)
    view.release()
    assert views.returned() == [lease.number]
    assert views.alive == 0
    views.close()


def test_a_view_that_another_thread_ends_is_returned(lent: Arena) -> None:
    """Also in a cycle that a garbage collection of that thread finds."""
    told: list[int] = []
    views = Views(lambda: told.append(threading.get_ident()))
    cycle: list[object] = [views.open(filled(lent, MEBI).row)[7:9]]
    cycle.append(cycle)
    gc.collect()
    del cycle
    thread = threading.Thread(target=gc.collect)
    thread.start()
    thread.join()
    assert told == [thread.ident]
    assert views.returned() == [1]
    assert views.returned() == []
    views.close()


def test_a_limit_on_files_is_no_end(lent: Arena) -> None:
    """Under RLIMIT_FSIZE there is no room, and no signal ends the process."""
    text = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
from snakepit_bridge.shared.arena import Arena
from snakepit_bridge.shared.store import Store
assert Arena(2**28, "snakepit").lease(2**16) is None
store = Store(2**28, lambda: None)
assert store.probe() is None and "memory" in store.reason, store.reason
"""
    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 0


def forked(code: Callable[[], bool]) -> int:
    """The exit code of a child that runs it: 0 if it says so; negative: the signal that ended it."""
    pid = os.fork()
    if not pid:
        try:
            os._exit(0 if code() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_children_that_are_forked_have_no_say(lent: Arena) -> None:
    """Views and leases that end in a child are not returned in its parent; what is given back ends no child that still looks at it."""
    views = Views(nothing)
    lease = filled(lent, MEBI)
    view = views.open(lease.row)

    there: list[Any] = [view, lease]
    del view, lease

    def drops() -> bool:
        there.clear()
        return views.returned() == [1]

    assert forked(drops) == 0
    assert views.returned() == []
    assert bytes(there[0][:2]) == b"xx"
    gone, go = os.pipe()

    def looks() -> bool:
        os.close(go)
        os.read(gone, 1)
        return there[0][MEBI - 1] in {0, ord("x")}

    pid = os.fork()
    if not pid:
        os._exit(0 if looks() else 1)
    there.pop().sent()
    there.clear()
    assert lent.take_back(views.returned())
    for segment in lent._segments:
        segment.give_back(segment.space.size)
    assert held(lent) == 0
    os.close(go)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(gone)
    views.close()


@pytest.mark.slow
def test_a_lender_that_is_killed_leaves_what_is_looked_at_and_no_more() -> None:
    """20 are killed in the middle of transfers: the last view stays as it was, and when it dies nothing of them is left."""
    for count in range(20):
        views, lender = Views(nothing), program(_LENDER)
        view = views.open(heard(lender))
        for number in range(1, count):
            say(lender, *views.returned())
            view = views.open(heard(lender))
            assert bytes(view[:2]) == bytes([number % 251] * 2)
        say(lender)
        killed(lender)
        assert bytes(view) == bytes([max(0, count - 1) % 251]) * MEBI
        views.close()
        part = view[10:20]
        del view
        assert bytes(part) == bytes([max(0, count - 1) % 251]) * 10
        del part
        assert not memory_files()


@pytest.mark.slow
def test_a_borrower_that_is_killed_takes_nothing_with_it(lent: Arena) -> None:
    """20 are killed while they look: the arena closes, and nothing is left."""
    for _ in range(20):
        arena, borrower = Arena(256 * MEBI, NAME), program(_BORROWER)
        for _ in range(5):
            lease = filled(arena, MEBI)
            lease.sent()
            say(borrower, *lease.row)
            assert arena.take_back(heard(borrower))
        lease = filled(arena, MEBI)
        lease.sent()
        say(borrower, *lease.row)
        killed(borrower)
        arena.close()
        assert not memory_files()
