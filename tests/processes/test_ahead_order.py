"""A worker's side of calls that were sent ahead: whose ticket comes out of turn, waits; what was taken back is not waited for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from snakepit_bridge._runtime.ahead import Ahead
from snakepit_bridge._runtime.running import RunningCall
from snakepit_bridge._runtime.sessions import HeldSession
from snakepit_bridge.session_context import SessionContext
from snakepit_bridge.shared.tickets import Tickets
from snakepit_bridge.wire.frames import Call


@pytest.fixture
def tickets() -> Iterator[Tickets]:
    """A pipe."""
    made = Tickets.made()
    assert made is not None
    yield made
    made.close()


def call_of(number: int, session: HeldSession | None) -> RunningCall:
    options = {"session": {"id": session.context.id}} if session is not None else {}
    return RunningCall(Call(number, "tool", {}, options), "worker-1", session)


def run(ahead: Ahead, tickets: Tickets, turns: int) -> list[int]:
    """Take so many turns, and those that follow from them; which calls ran."""
    ran = []
    while turns:
        turns -= 1
        call, more = ahead.take(tickets)
        turns += more
        if isinstance(call, RunningCall):
            ran.append(call.call_id)
    return ran


def test_a_later_call_of_a_session_waits_for_an_earlier_one(tickets: Tickets) -> None:
    """Whose ticket the host has in its hand; calls of others do not wait."""
    ahead, red, blue = Ahead(), HeldSession(SessionContext("red"), 0), HeldSession(SessionContext("blue"), 0)
    turns = sum(ahead.came(call_of(number, session)) for number, session in [(1, red), (2, red), (3, None), (4, blue), (5, red)])
    tickets.put(5, 2, 3, 4)
    assert run(ahead, tickets, turns) == [3, 4]
    tickets.put(1)
    _, turns = ahead.recalled([])
    assert run(ahead, tickets, turns) == [1, 2, 5]
    assert tickets.take() is None


def test_what_was_taken_back_is_not_waited_for(tickets: Tickets) -> None:
    """Once the host has said so."""
    ahead, red = Ahead(), HeldSession(SessionContext("red"), 0)
    turns = sum(ahead.came(call_of(number, red)) for number in (1, 2))
    tickets.put(2)
    assert run(ahead, tickets, turns) == []
    gone, turns = ahead.recalled([1])
    assert [call.call_id for call in gone] == [1]
    assert run(ahead, tickets, turns) == [2]
