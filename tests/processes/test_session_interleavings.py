"""Sessions under any interleaving of calls, ends and kills: four calls at once on a worker, a store on disk, mixed affinities."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import snakepit
from pool_helpers import all_ready, idle, wait_until
from test_session_ends import kept_by

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

NAMES = "abc"
ACTIONS = ("remember", "remember", "remember", "large", "slow", "recall", "end", "kill")
AFFINITIES = ("strict_queue", "strict_queue", "hint", "strict_fail_fast")

STEPS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(ACTIONS), st.sampled_from(AFFINITIES)), max_size=25)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[snakepit.Pool]:
    """One pool for all examples: what one leaves behind would show in the next."""
    store = f"sqlite:///{tmp_path_factory.mktemp('store')}/sessions.db"
    options: Any = {"max_restarts": 10_000, "worker_output": "discard", "session_store": store}
    with snakepit.Pool("session_moving_tools:Crowded", size=2, **options) as pool:
        all_ready(pool)
        yield pool


class Conversation:
    """One session under test: what its calls have put into its state, marked with its name and the life in which they did.

    `lives` counts ends and losses: what a former life has remembered must never be seen again.
    """

    def __init__(self, pool: snakepit.Pool, name: str) -> None:
        self.pool, self.name = pool, name
        self.life = 0
        self.strict = True  # no hint call since its state was last empty: then nothing may be missing
        self.open: list[tuple[str, Future[Any]]] = []
        self.known: set[str] = set()

    def remember(self, key: str, affinity: Any, *, large: bool, slow: bool) -> None:
        """Submit a call that puts a value into the state."""
        self.strict = self.strict and affinity != "hint"
        args = {"key": key, "value": [self.name, self.life, "x" * (400_000 if large else 0)], "seconds": 0.01 if slow else 0.0}
        self.open.append((key, self.pool.submit("remember", args, session_id=self.name, affinity=affinity)))

    def settle(self) -> None:
        """Wait for all calls; a strict session that is lost begins a new life."""
        lost = False
        for key, future in self.open:
            try:
                future.result(timeout=20)
                self.known.add(key)
            except snakepit.WorkerBusy:
                pass
            except (snakepit.WorkerCrashed, snakepit.ChannelError, snakepit.SessionLost):
                lost = True
        self.open.clear()
        if lost:
            self.begin_anew()

    def begin_anew(self) -> None:
        """End it, and with it whatever state is anywhere."""
        assert not self.open
        self.pool.end_session(self.name)
        self.known.clear()
        self.life += 1
        self.strict = True

    def check(self) -> None:
        """What the state holds is of this session, of this life, and all of it where no hint call has been."""
        self.settle()
        affinity: Any = "strict_queue" if self.strict else "hint"
        try:
            found = self.pool.execute("recall", session_id=self.name, affinity=affinity, timeout=20)
        except (snakepit.SessionLost, snakepit.WorkerCrashed, snakepit.ChannelError):
            self.begin_anew()
            return
        assert {tuple(value[:2]) for value in found.values()} <= {(self.name, self.life)}
        if self.strict:
            assert set(found) == self.known

    def end(self) -> None:
        """End it under its calls: those that are open end well or with `SessionEnded`."""
        open_calls, self.open = self.open, []
        self.begin_anew()
        for _, future in open_calls:
            error = future.exception(timeout=20)
            allowed = (snakepit.SessionEnded, snakepit.SessionLost, snakepit.WorkerCrashed, snakepit.WorkerBusy, snakepit.ChannelError)
            assert error is None or isinstance(error, allowed), repr(error)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
def test_no_interleaving_mixes_sessions_or_their_lives(pool: snakepit.Pool, steps: list[tuple[str, str, str]]) -> None:
    """Each sees its own state of its present life, whole where its calls are strict; when all have ended, the books are empty."""
    conversations = {name: Conversation(pool, name) for name in NAMES}
    for number, (name, action, affinity) in enumerate(steps):
        conversation = conversations[name]
        if action == "recall":
            conversation.check()
        elif action == "end":
            conversation.end()
        elif action == "kill":
            _kill_one(pool, number)
        else:
            conversation.remember(str(number), affinity, large=action == "large", slow=action == "slow")
    for conversation in conversations.values():
        conversation.check()
        conversation.end()
    idle(pool)
    assert pool.sessions() == ()
    wait_until(lambda: kept_by(pool) == {}, f"empty books instead of {kept_by(pool)}", timeout=2.0)


def _kill_one(pool: snakepit.Pool, number: int) -> None:
    ready = [handle.pid for handle in pool.workers() if handle.info().state == "ready"]
    if len(ready) == pool.stats().size:
        with contextlib.suppress(ProcessLookupError):
            os.kill(ready[number % len(ready)] or 0, signal.SIGKILL)
