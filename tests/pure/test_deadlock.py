"""Which nested calls can never run: the decision against a search through everything that could happen."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit._pool.deadlock import Nested, hopeless, is_served
from snakepit._pool.seat import Seat


def seat(slots: int, *running: int, holder: int | None = None) -> Seat:
    return Seat(slots, holder=holder, running=set(running))


@pytest.mark.parametrize(
    ("seats", "nested", "expected"),
    [
        pytest.param([seat(1, 1)], [Nested(2, 1)], {2}, id="the only worker waits for it"),
        pytest.param([seat(2, 1)], [Nested(2, 1)], set(), id="its worker has another slot"),
        pytest.param([seat(4, 1, holder=1)], [Nested(2, 1)], {2}, id="its worker's main thread is held"),
        pytest.param([seat(1, 1), seat(1, 9)], [Nested(2, 1)], set(), id="another worker's call will end"),
        pytest.param([seat(1, 1), seat(1, 3)], [Nested(2, 1), Nested(4, 3)], {2, 4}, id="two wait for each other's slots"),
        pytest.param([seat(1, 1), seat(1, 9)], [Nested(2, 1, "w0")], {2}, id="only its own worker can run it"),
        pytest.param(
            [seat(1, 1), seat(1, 3), seat(1, 9)], [Nested(2, 1, "w1"), Nested(4, 3)], set(), id="a blocked one that will be served"
        ),
        pytest.param([seat(1, 1), seat(1, 2)], [Nested(2, 1), Nested(3, 2)], {2, 3}, id="through a call that runs"),
        pytest.param([seat(0, 1)], [Nested(2, 1)], set(), id="a worker that will be replaced"),
        pytest.param([seat(2, 1, 5, holder=1), seat(1, 6)], [Nested(2, 1), Nested(7, 6)], {2, 7}, id="a call behind a held thread"),
        pytest.param([seat(1, 1)], [], set(), id="nobody waits"),
    ],
)
def test_what_is_hopeless(seats: list[Seat], nested: list[Nested], expected: set[int]) -> None:
    """Calls 1, 3, 5, 6 and 9 run, the others were made by their host tools."""
    assert hopeless({f"w{number}": item for number, item in enumerate(seats)}, nested) == expected


def test_a_limit_of_streams_is_a_slot_too() -> None:
    """A stream that waits for the only stream allowed, which waits for it; a unary call passes."""
    seats = {"w0": seat(1, 1), "w1": seat(1, 9), "w2": seat(1)}
    assert hopeless(seats, [Nested(2, 1, streaming=True)], [1]) == {2}
    assert hopeless(seats, [Nested(2, 1)], [1]) == set()
    assert hopeless(seats, [Nested(2, 1, streaming=True)], [1, 9]) == set()


# against a search ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Pool:
    """A pool at rest: what runs where, and what waits."""

    seats: dict[str, Seat]
    nested: list[Nested]
    streams: list[int]
    max_streams: int

    @property
    def at_limit(self) -> list[int] | None:
        return self.streams if len(self.streams) >= self.max_streams else None


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Random ones, in which each nested call was made by a call that runs, and no slot is free for one that waits."""
    seats: dict[str, Seat] = {}
    running: list[int] = []
    for number in range(draw(st.integers(1, 3))):
        slots = draw(st.integers(1, 3))
        calls = [len(running) + index for index in range(draw(st.integers(0, slots)))]
        running += calls
        holder = draw(st.sampled_from(calls)) if calls and draw(st.booleans()) else None
        seats[f"w{number}"] = seat(slots, *calls, holder=holder)
    if not running:
        return Pool(seats, [], [], 1)
    parents: dict[int, int] = {}
    for call in running[1:]:  # a running call may be nested in one that ran before
        if draw(st.booleans()):
            parents[call] = draw(st.sampled_from(running[: running.index(call)]))
    waiting = [len(running) + index for index in range(draw(st.integers(0, 4)))]
    parents.update({call: draw(st.sampled_from(running)) for call in waiting})
    streaming = {call: draw(st.booleans()) for call in (*running, *waiting)}
    places = {call: draw(st.sampled_from(["", "", *seats])) for call in waiting}
    nested = [Nested(call, parent, places.get(call, ""), streaming[call]) for call, parent in parents.items()]
    streams = [call for call in running if streaming[call]]
    return Pool(seats, nested, streams, draw(st.integers(max(1, len(streams)), 8)))


def served(pool: Pool) -> set[int]:
    """Plays on, letting whatever can end or begin do so, in whichever order, until nothing moves: what has ended."""
    ended: set[int] = set()
    where = {call: name for name, item in pool.seats.items() for call in item.running}
    holders = {name: item.holder for name, item in pool.seats.items()}
    moved = True
    while moved:
        moved = False
        for call, name in list(where.items()):
            unserved = any(item.parent == call and item.call_id not in ended for item in pool.nested)
            if not unserved and holders[name] in (None, call):
                del where[call]
                ended.add(call)
                holders[name] = None if holders[name] == call else holders[name]
                moved = True
        for item in pool.nested:
            if item.call_id in where or item.call_id in ended:
                continue
            streams = sum(call in pool.streams or any(n.call_id == call and n.streaming for n in pool.nested) for call in where)
            if item.streaming and streams >= pool.max_streams:
                continue
            for name in [item.worker_id] if item.worker_id else list(pool.seats):
                if holders[name] is None and sum(place == name for place in where.values()) < pool.seats[name].slots:
                    where[item.call_id] = name
                    moved = True
                    break
    return ended


@given(pools())
def test_exactly_those_that_are_never_served(pool: Pool) -> None:
    """A call that would be served is never refused, and one that would not be is found."""
    ended = served(pool)
    assert hopeless(pool.seats, pool.nested, pool.at_limit) == {item.call_id for item in pool.nested} - ended


@given(pools())
def test_what_is_seen_at_once_is_true(pool: Pool) -> None:
    """The short way never says that a call is served which is not."""
    waiting = {item.parent for item in pool.nested}
    for item in pool.nested:
        if item.call_id not in {call for one in pool.seats.values() for call in one.running}:
            assert not is_served(item, pool.seats, waiting, pool.at_limit) or item.call_id in served(pool)
