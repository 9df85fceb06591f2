"""The workers by load, beside a list that is looked through each time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from snakepit._pool.free_workers import FreeWorkers

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
