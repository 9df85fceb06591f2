"""Interruptions of threads hit the call that they are meant for, or nothing: thousands of them, raced against every end."""

from __future__ import annotations

import itertools
import logging
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from snakepit_bridge._runtime import cancel, cancel_threads
from snakepit_bridge._runtime.cancel import border
from snakepit_bridge._runtime.cancel_threads import ThreadInterrupter, shielded
from snakepit_bridge._runtime.main import SWITCH_INTERVAL
from snakepit_bridge.call_context import CallContext, Cancelled


class FakeCall:
    """As much of a running call as an interrupter sees."""

    def __init__(self, number: int, interrupter: ThreadInterrupter) -> None:
        self.context = CallContext(number, "tool")
        self.visit_by = interrupter.visit_by
        self.visit: Any = None
        self.cleaning = self.ended = False


@pytest.fixture
def interrupter(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadInterrupter]:
    """One that interrupts at once."""
    monkeypatch.setattr(cancel, "FLAG_SECONDS", 0.0)
    interrupter = ThreadInterrupter()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)  # as a worker does
    yield interrupter
    sys.setswitchinterval(interval)
    interrupter.stop()


def cancelled(interrupter: ThreadInterrupter, call: FakeCall, kill_after: float = 2.0) -> None:
    """Cancel a call, as the executor does."""
    call.context.mark_cancelled()
    interrupter.interrupt(call, lambda: call.ended, kill_after)


def spin(seconds: float) -> None:
    """Compute for a while."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def run_in_thread(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def wait_visited(call: FakeCall) -> None:
    deadline = time.monotonic() + 10.0
    while call.visit is None:
        assert time.monotonic() < deadline
        time.sleep(0.0005)


def hold_up(monkeypatch: pytest.MonkeyPatch, pause: float) -> None:
    """Let the interrupter raise so many seconds after it has decided to."""
    real = cancel_threads._raiser()
    assert real is not None

    def raise_in(thread: int, error: type | None) -> None:
        if error is not None and pause:
            time.sleep(pause)
        real(thread, error)

    monkeypatch.setattr(cancel_threads, "_raiser", lambda: raise_in)


def lane(interrupter: ThreadInterrupter, rounds: int, seed: int, found: list[Any]) -> None:
    """Calls one after the other on this thread; each second one is cancelled, at some moment around its end."""
    chance = random.Random(seed)
    try:
        for number in range(rounds):
            call = FakeCall(number, interrupter)
            if number % 2:
                cancelled(interrupter, call, chance.choice([0.001, 0.01, 2.0]))
            try:
                border(call, spin, chance.uniform(0.0, 0.004))
            except Cancelled:
                found.append("hit" if number % 2 else f"call {number} was not cancelled")
            call.ended = True
            interrupter.call_ended(call)
            spin(0.0002)  # the runtime's own code: what came up here would end this lane
    except BaseException as error:
        found.append(error)


@pytest.mark.parametrize("pause", [0.0, 0.002], ids=["prompt", "slow"])
def test_only_the_call_that_is_meant_is_hit(interrupter: ThreadInterrupter, monkeypatch: pytest.MonkeyPatch, pause: float) -> None:
    """Whenever a cancel comes, no other call and nothing between two calls is hit; and some are hit.

    Also when an interrupter that has decided is held up: then the call is over before it raises.
    """
    hold_up(monkeypatch, pause)
    found: list[Any] = []
    lanes = [run_in_thread(lambda seed=seed: lane(interrupter, 500, seed, found)) for seed in range(3)]
    for thread in lanes:
        thread.join(50.0)
        assert not thread.is_alive()
    assert set(found) == {"hit"}


@pytest.mark.parametrize("readable", [True, False], ids=["GIL", "free-threaded"])
def test_a_visit_ends_for_good_wherever_it_is_interrupted(
    interrupter: ThreadInterrupter, monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    """Tools so short that most of what is raised comes up at their very end, with and without a look at the stack."""
    monkeypatch.setattr(cancel_threads, "is_gil_enabled", lambda: readable)
    monkeypatch.setattr(cancel, "SHORTEST_PAUSE", 0.0)
    hold_up(monkeypatch, 0.0 if readable else 0.0005)  # then the thread waits at the visit's end, and it comes up there
    call, stop, strays = FakeCall(0, interrupter), threading.Event(), []
    hits = itertools.count()

    def visits() -> None:
        try:
            while not stop.is_set():
                try:
                    border(call, len, ())
                except Cancelled:
                    next(hits)
                assert call.visit is None
                assert cancel_threads._here.visit is None
        except BaseException as error:
            strays.append(error)

    thread = run_in_thread(visits)
    interrupter.interrupt(call, stop.is_set, 0.0)  # no grace: again and again
    time.sleep(1.0)
    stop.set()
    thread.join(10.0)
    assert not thread.is_alive()
    assert strays == []
    if not readable:
        assert next(hits) > 0


def test_what_has_not_come_up_is_taken_back(interrupter: ThreadInterrupter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that ends before Python raises what it was told to leaves nothing pending for the next one on its thread."""
    told: list[tuple[int, Any]] = []
    monkeypatch.setattr(cancel_threads, "_raiser", lambda: lambda thread, error: told.append((thread, error)))
    call = FakeCall(1, interrupter)

    def tool() -> None:
        while not told:
            time.sleep(0.001)

    thread = run_in_thread(lambda: border(call, tool))
    wait_visited(call)
    cancelled(interrupter, call)
    thread.join(10.0)
    call.ended = True
    assert told[:2] == [(thread.ident, Cancelled), (thread.ident, None)]
    assert told[-1] == (thread.ident, None)


def test_a_computing_loop_is_left(interrupter: ThreadInterrupter) -> None:
    """A loop that never asks raises Cancelled, and its `finally` runs to its end."""
    call, seen = FakeCall(1, interrupter), []

    def tool() -> None:
        try:
            while True:
                pass
        finally:
            time.sleep(0.3)
            seen.append("tidied")

    def work() -> None:
        with pytest.raises(Cancelled):
            border(call, tool)
        seen.append("left")

    thread = run_in_thread(work)
    wait_visited(call)
    cancelled(interrupter, call)
    thread.join(10.0)
    call.ended = True
    assert seen == ["tidied", "left"]


def test_who_swallows_it_is_interrupted_once_more(interrupter: ThreadInterrupter) -> None:
    """A loop that catches everything gets a second Cancelled when its grace is over."""
    call, caught = FakeCall(1, interrupter), []

    def tool() -> None:
        while len(caught) < 2:
            try:
                while True:
                    time.sleep(0.001)
            except BaseException as error:
                caught.append(type(error))

    thread = run_in_thread(lambda: border(call, tool))
    wait_visited(call)
    cancelled(interrupter, call, kill_after=0.1)
    thread.join(10.0)
    call.ended = True
    assert caught == [Cancelled, Cancelled]


def test_a_call_that_cleans_up_has_its_grace(interrupter: ThreadInterrupter) -> None:
    """While a generator is closed nothing is raised, until nearly all the time is over after which the worker is killed."""
    call, seen = FakeCall(1, interrupter), []
    call.cleaning = True

    def close() -> None:
        time.sleep(0.3)
        seen.append("closed")

    thread = run_in_thread(lambda: border(call, close))
    wait_visited(call)
    cancelled(interrupter, call, kill_after=10.0)
    thread.join(10.0)
    call.ended = True
    assert seen == ["closed"]


def test_a_knock_that_was_under_way_when_the_grace_began(interrupter: ThreadInterrupter) -> None:
    """It raises nothing any more: the call has just raised by itself, and cleans up."""
    call, seen = FakeCall(1, interrupter), []

    def tool() -> None:
        spin(0.3)
        seen.append("tidied")

    target = cancel.Target(lambda: call.ended, 10.0)
    target.has_raised(time.monotonic())
    thread = run_in_thread(lambda: border(call, tool))
    wait_visited(call)
    while thread.is_alive():
        interrupter._due(call, target, time.monotonic())
        time.sleep(0.001)
    call.ended = True
    assert seen == ["tidied"]


class Lines(logging.Handler):
    """Takes its time over each line."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append("begun")
        spin(self.seconds)
        self.lines.append("ended")

    def is_free(self) -> bool:
        assert self.lock is not None
        if self.lock.acquire(timeout=1.0):
            self.lock.release()
            return True
        return False


def interrupted_while_it_logs(interrupter: ThreadInterrupter, number: int, handler: Lines) -> None:
    """Cancel a tool that logs all the time."""
    logger = logging.getLogger("test_thread_interrupts")
    logger.propagate = False
    logger.handlers = [handler]

    def tool() -> None:
        while True:
            logger.warning("still here")
            spin(0.0002)

    def work() -> None:
        with pytest.raises(Cancelled):
            border(call, tool)

    call = FakeCall(number, interrupter)
    thread = run_in_thread(work)
    wait_visited(call)
    cancelled(interrupter, call)
    thread.join(10.0)
    call.ended = True
    assert not thread.is_alive()


def test_logging_is_not_left_halfway(interrupter: ThreadInterrupter) -> None:
    """A tool that logs all the time is interrupted in its own code: the handler's lock is free and no line is torn."""
    handler = Lines(0.0002)
    for number in range(30):
        interrupted_while_it_logs(interrupter, number, handler)
        assert handler.is_free()
    assert handler.lines == ["begun", "ended"] * (len(handler.lines) // 2)


def test_logging_that_does_not_end_is_left(interrupter: ThreadInterrupter) -> None:
    """A tool that hangs in a handler is interrupted there after a while, and the handler's lock is free."""
    handler = Lines(60.0)
    interrupted_while_it_logs(interrupter, 1, handler)
    assert handler.lines == ["begun"]
    assert handler.is_free()


def test_what_is_shielded_runs_to_its_end(interrupter: ThreadInterrupter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside `shielded` nothing comes up, also where stacks cannot be read; a tool that does nothing else is interrupted after it."""
    monkeypatch.setattr(cancel_threads, "is_gil_enabled", lambda: False)
    steps = {"begun": 0, "ended": 0}

    def runtime() -> None:
        steps["begun"] += 1
        spin(0.002)
        steps["ended"] += 1

    def tool() -> None:
        while True:
            shielded(runtime)

    def work(call: FakeCall) -> None:
        with pytest.raises(Cancelled):
            border(call, tool)

    for number in range(50):
        call = FakeCall(number, interrupter)
        thread = run_in_thread(lambda call=call: work(call))
        wait_visited(call)
        cancelled(interrupter, call)
        thread.join(10.0)
        call.ended = True
        assert not thread.is_alive()
    assert steps["begun"] == steps["ended"] > 0


def test_outside_of_tools_a_shield_is_nothing() -> None:
    """Where no tool runs, what is shielded is simply called."""
    assert shielded(max, 1, 2) == 2


def test_no_signal_handler_is_installed() -> None:
    """An interrupter of threads leaves the process's signals alone, and may be made on any thread."""
    before = {number: signal.getsignal(number) for number in (signal.SIGURG, signal.SIGINT, signal.SIGTERM)}
    made: list[ThreadInterrupter] = []
    run_in_thread(lambda: made.append(ThreadInterrupter())).join()
    assert {number: signal.getsignal(number) for number in before} == before
    made[0].stop()


_TAKEN_BACK = """
import sys, threading
from snakepit_bridge._runtime import cancel_threads

class Call: visit = None

call, entered, go_on = Call(), threading.Event(), threading.Lock()
go_on.acquire()

def tool():
    entered.set()
    go_on.acquire()

thread = threading.Thread(target=cancel_threads.ThreadInterrupter().visit, args=(call, tool))
thread.start()
entered.wait()
call.visit.raised += 1
raise_in = cancel_threads._raiser()
raise_in(thread.ident, KeyboardInterrupt)  # it waits in C, where nothing comes up
raise_in(thread.ident, None)
go_on.release()
thread.join()
sys.setprofile(lambda *_: None)
(lambda: None)()
sys.setprofile(None)
print("went on")
"""


def test_a_profiler_goes_on_after_what_was_taken_back() -> None:
    """What a thread was told to raise, and then not, leaves no mark on the interpreter, which would have it look for it for ever."""
    done = subprocess.run([sys.executable, "-c", _TAKEN_BACK], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")
