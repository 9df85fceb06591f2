"""A worker's side of calls that were sent ahead: they run in the order of their tickets, whatever either side has in its hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from snakepit_bridge._runtime.ahead import Ahead
from snakepit_bridge._runtime.running import RunningCall
from snakepit_bridge.shared.tickets import Tickets
from snakepit_bridge.wire.frames import Call, Calls


@pytest.fixture
def tickets() -> Iterator[Tickets]:
    """A pipe."""
    made = Tickets.made()
    assert made is not None
    yield made
    made.close()


class Turns:
    """The main thread, and how many turns are posted to it."""

    def __init__(self, tickets: Tickets) -> None:
        self.ahead = Ahead()
        self.posted = 0
        self._tickets = tickets

    def came(self, *numbers: int) -> None:
        """These have come, one by one."""
        for number in numbers:
            self.posted += self.ahead.came(RunningCall(Call(number, "tool", {}, {}), "worker-1"))

    def came_together(self, *numbers: int) -> None:
        """These have come in one frame."""
        self.posted += self.ahead.came_together(Calls("tool", list(numbers), [{}] * len(numbers), {}))

    def recalled(self, *numbers: int) -> None:
        """The host says so."""
        self.posted += self.ahead.recalled(list(numbers))[1]

    def run(self, most: int = 100) -> list[int]:
        """Take so many turns, and those that follow from them; which calls ran."""
        ran = []
        while self.posted and most:
            self.posted -= 1
            most -= 1
            call, more = self.ahead.take(self._tickets)
            self.posted += more
            if call is not None:
                ran.append(call.call_id)
        return ran


@pytest.fixture
def turns(tickets: Tickets) -> Turns:
    """A worker that has nothing to do."""
    return Turns(tickets)


def test_one_that_is_on_its_way_is_waited_for(tickets: Tickets, turns: Turns) -> None:
    """A turn that is left over takes its ticket early. Its place before those behind it is kept, and the host does not find it."""
    tickets.put(1, 2)
    turns.came(1, 2)
    assert tickets.take() == 1  # the host has it, and word of that is on its way
    assert turns.run(1) == [2]
    tickets.put(3, 4, 5)
    assert turns.run() == []
    assert tickets.take_all() == [4, 5]
    tickets.put(4, 5)
    turns.came(3)
    turns.recalled(1)
    turns.came_together(4, 5)
    assert turns.run() == [3, 4, 5]
    assert turns.posted == 0
    assert turns.ahead.take(tickets) == (None, 0)


def test_the_host_takes_all_while_a_ticket_is_in_hand(tickets: Tickets, turns: Turns) -> None:
    """Those behind it go, in their order; it runs, though it came from a turn that was left over."""
    tickets.put(1)
    turns.came(1)
    assert tickets.take() == 1
    tickets.put(2, 3, 4)
    assert turns.run() == []
    assert tickets.take_all() == [3, 4]
    turns.recalled(1)
    turns.came(2, 3, 4)
    turns.recalled(3, 4)
    assert turns.run() == [2]
    tickets.put(5)
    turns.came(5)
    assert turns.run() == [5]
    assert turns.posted == 0


def test_turns_of_what_was_taken_back_are_void(tickets: Tickets, turns: Turns) -> None:
    """No turn is left over with which a later call could overtake one that came without a ticket."""
    tickets.put(1, 2, 3)
    turns.came(1, 2, 3)
    assert tickets.take_all() == [1, 2, 3]
    tickets.put(2)
    turns.recalled(1, 3)
    assert turns.run() == [2]
    assert turns.posted == 0
    tickets.put(4)
    assert turns.run() == []
    turns.came(4)
    assert turns.run() == [4]
