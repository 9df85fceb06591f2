"""Who serves and who waits: decisions without workers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from snakepit._workers.bench import Bench


def test_the_spare_that_has_waited_longest_takes_the_place() -> None:
    """Of one that is lost; a lost spare costs nobody anything."""
    bench = Bench(2)
    assert [bench.ready(name) for name in "abcde"] == [["a"], ["b"], [], [], []]
    assert bench.spares == ("c", "d", "e")
    assert bench.gone("d") == []
    assert bench.gone("a") == ["c"]
    assert bench.gone("unknown") == []
    assert bench.spares == ("e",)
    assert (bench.gone("b"), bench.gone("c"), bench.ready("f")) == (["e"], [], ["f"])


@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=60))
def test_as_many_serve_as_can(seats: int, events: list[tuple[bool, int]]) -> None:
    """After any events: all seats are taken or nobody waits, and nobody is called twice."""
    bench, there, serving = Bench(seats), set(), set()
    for comes, number in events:
        name = str(number)
        if comes and name in there:
            continue
        there = there | {name} if comes else there - {name}
        called = bench.ready(name) if comes else bench.gone(name)
        serving = (serving & there) | set(called)
        assert len(called) == len(set(called))
        assert len(serving) == min(seats, len(there))
        assert set(bench.spares) == there - serving
