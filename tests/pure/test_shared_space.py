"""Places in a segment: none overlaps another, what comes back is whole again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit_bridge.shared.space import ALIGNMENT, Space, rounded

SIZE = 64 * 40


@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, SIZE)), max_size=60))
def test_places_never_overlap_and_all_come_back(steps: list[tuple[bool, int]]) -> None:
    """Whatever is taken and given back, in any order; where there is room in one piece, it is found."""
    space, taken = Space(SIZE), dict[int, int]()
    for take, number in steps:
        if take or not taken:
            place = space.take(number)
            used = sorted((at, at + rounded(max(size, 1))) for at, size in taken.items())
            gaps = [after - before for before, after in zip([0, *(end for _, end in used)], [*(at for at, _ in used), SIZE], strict=True)]
            assert (place is None) == (max(gaps) < rounded(max(number, 1)))
            if place is not None:
                assert place % ALIGNMENT == 0
                assert place + number <= SIZE
                assert all(place + rounded(max(number, 1)) <= at or end <= place for at, end in used)
                taken[place] = number
        else:
            place = sorted(taken)[number % len(taken)]
            space.give_back(place)
            del taken[place]
        assert space.is_empty == (not taken)
    for place in taken:
        space.give_back(place)
    assert space.take(SIZE) == 0


def test_what_was_not_taken_cannot_come_back() -> None:
    """A place that nothing was taken at is a mistake."""
    with pytest.raises(KeyError):
        Space(SIZE).give_back(64)
