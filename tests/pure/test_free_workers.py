"""The workers by load, and what waits by turn, beside lists that are looked through each time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from snakepit._pool.free_workers import FreeWorkers
from snakepit._pool.turns import Turns

_STEPS = st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.integers(0, 5) | st.just(700)), max_size=60)


@given(steps=_STEPS)
def test_who_is_least_loaded(steps: list[tuple[str, int | None]]) -> None:
    """Whatever loads come and go (None: no free slot), the first of those with the least load is found."""
    free, plain = FreeWorkers(), []
    for worker, load in steps:
        plain = [item for item in plain if item[0] != worker]
        if load is None:
            free.discard(worker)
        else:
            free.put(worker, load)
            plain.append((worker, load))
        assert len(free) == len(plain)
        assert {name for name in "abcdef" if name in free} == {name for name, _ in plain}
        if plain:
            assert free.least_loaded() == min(plain, key=lambda item: item[1])[0]


def test_nothing_is_kept_of_who_has_left() -> None:
    """When all have left, no bucket stays."""
    free = FreeWorkers()
    for load in (3, 0, 3, 2):
        free.put(f"worker-{load}", load)
    for load in (0, 2, 3):
        free.discard(f"worker-{load}")
    assert not any(vars(free).values())


@given(steps=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 30)), max_size=200))
def test_who_comes_first(steps: list[tuple[int, int]]) -> None:
    """Whatever comes with whatever turn, and leaves from anywhere, the first is the one whose turn is the lowest."""
    turns, plain = Turns[int](), dict[int, int]()
    for key, turn in steps:
        if key in plain or turn in plain.values():
            assert turns.pop(key) == plain.pop(key, None)
        else:
            turns.put(key, turn)
            plain[key] = turn
        in_order = sorted(plain.items(), key=lambda item: item[1])
        assert (len(turns), turns.items(), turns.first()) == (len(plain), in_order, in_order[0] if in_order else None)


def test_those_that_left_do_not_pile_up() -> None:
    """Behind one that stays, thousands come late and leave: little is kept of them."""
    turns = Turns[int]()
    turns.put(0, 100_000)
    turns.put(1, 1)
    for number in range(2, 10_000):
        turns.put(number, number)
        turns.pop(number)
    assert turns.first() == (1, 1)
    assert len(turns._heap) <= 66
