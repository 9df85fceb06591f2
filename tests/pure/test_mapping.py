"""Which calls of a `map` are open, and in which order their outcomes are given: for any order in which they end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakepit._api.mapping import Calls, MapResult, arguments_of, items_of, window_of
from snakepit._pool.call import Ended, Failed
from snakepit._pool.tools import ParameterSpec, ToolSpec
from snakepit.config import pool_config
from snakepit.errors import InvalidParameter, ToolError

SPEC = ToolSpec("double", parameters=(ParameterSpec("value"), ParameterSpec("factor", required=False)))


def calls(items: Any, window: int, *, ordered: bool) -> Calls:
    return Calls(items, SPEC, window, ordered=ordered, clock=lambda: 0.0)  # all come at once


@settings(max_examples=200)
@given(count=st.integers(0, 30), window=st.integers(1, 8), ordered=st.booleans(), data=st.data())
def test_each_outcome_is_given_once(count: int, window: int, ordered: bool, data: st.DataObject) -> None:
    """Within the window at every moment, in order where that is wanted, and never held back where it is not."""
    taken_from_items = 0

    def items() -> Any:
        nonlocal taken_from_items
        for value in range(count):
            taken_from_items += 1
            yield value

    found, given_out = calls(items(), window, ordered=ordered), []
    running: list[Any] = []
    while not found.done:
        running += found.due()
        assert len(running) <= window
        assert taken_from_items - len(given_out) <= window
        if not running:
            continue
        news: Any = []
        for _ in range(data.draw(st.integers(1, len(running)))):
            number, args = running.pop(data.draw(st.integers(0, len(running) - 1)))
            value = args["value"]
            news.append((number, Failed(ToolError(str(value))) if value % 3 == 2 else Ended(value * 2, {})))
        found.ended(news)
        results = list(found.take())
        assert ordered or [result.number for result in results] == [number for number, _ in news]
        given_out += results
    assert sorted(result.number for result in given_out) == list(range(count))
    assert not ordered or [result.number for result in given_out] == list(range(count))
    for result in given_out:
        assert (result.error is not None) == (result.number % 3 == 2)
        assert result.error is not None or result.get() == result.number * 2
    assert found.open == 0


def test_an_endless_source_is_taken_as_far_as_the_window_reaches() -> None:
    """No item more, before a result has been taken."""
    source = itertools.count()
    found = calls(source, 3, ordered=True)
    assert len(found.due()) == 3
    assert found.due() == []
    found.ended([(1, Ended(1, {}))])
    assert list(found.take()) == []
    assert found.due() == []
    found.ended([(0, Ended(0, {}))])
    assert [result.number for result in found.take()] == [0, 1]
    assert len(found.due()) == 2
    assert next(source) == 5


def test_an_outcome_raises_its_error() -> None:
    """When it is asked for its value."""
    with pytest.raises(ToolError, match="no"):
        MapResult(0, None, ToolError("no")).get()


def test_items_as_arguments() -> None:
    """A dict by name, anything else for the first parameter; a tool without one is named."""
    assert arguments_of(SPEC, 0, {"value": 1, "factor": 2}) == {"value": 1, "factor": 2}
    assert arguments_of(SPEC, 0, [1, 2]) == {"value": [1, 2]}
    with pytest.raises(InvalidParameter, match="item 3 of 'ping' is of type int, and the tool has no parameter for it"):
        arguments_of(ToolSpec("ping"), 3, 1)


@pytest.mark.parametrize("items", ["text", b"bytes", {"a": 1}, 5, None])
def test_what_is_no_iterable_of_items(items: Any) -> None:
    """A single item is most likely a mistake."""
    with pytest.raises(InvalidParameter, match="allowed is an iterable of items"):
        items_of(items)


@pytest.mark.parametrize("window", [0, -1, 1.5, True, "8"])
def test_a_window_is_a_whole_number(window: Any) -> None:
    """Named, with what is allowed."""
    with pytest.raises(InvalidParameter, match="window is .*; allowed is a whole number from 1 on"):
        window_of(window, pool_config({}))


@pytest.mark.parametrize(
    ("settings", "width"), [({"size": 2}, 64), ({"size": 40}, 160), ({"size": 2, "queue_size": 5}, 5), ({"size": 3, "queue_size": 0}, 3)]
)
def test_the_usual_window(settings: Any, width: int) -> None:
    """Enough for all workers, and no more than may wait."""
    assert window_of(None, pool_config(settings)) == width


@pytest.mark.parametrize(("seconds", "many"), [(0.0001, 8), (0.0004, 3), (0.002, 1), (20.0, 1)])
def test_items_that_come_slowly_are_due_as_they_come(seconds: float, many: int) -> None:
    """More are taken once there is a moment for what has come of these; fast ones are taken as far as the window reaches."""
    now = 0.0

    def items() -> Iterator[int]:
        nonlocal now
        for number in range(20):
            now += seconds
            yield number

    found = Calls(items(), SPEC, 8, ordered=False, clock=lambda: now)
    assert (found.has_room, found.wait) == (True, 0.0)
    assert len(found.due()) == many
    assert found.has_room is (many < 8)
    assert found.wait == pytest.approx(0.0 if many == 8 else min(0.05, many * seconds / 10))
