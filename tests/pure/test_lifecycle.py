"""The table of a worker's life: what may happen, and that nothing else does."""

from __future__ import annotations

import itertools

import pytest

from snakepit._workers.lifecycle import Event, IllegalEvent, State, after

_LEGAL = {
    (State.NEW, Event.LAUNCHED): State.STARTING,
    (State.STARTING, Event.ATTACHED): State.READY,
    (State.STARTING, Event.DRAIN): State.DRAINING,
    (State.READY, Event.DRAIN): State.DRAINING,
    (State.DRAINING, Event.DRAIN): State.DRAINING,
    (State.DRAINING, Event.ATTACHED): State.DRAINING,
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_each_step(state: State, event: Event) -> None:
    """Every state can be lost and then stays dead; the steps above are legal; any other raises and says what could not be."""
    expected = State.DEAD if event is Event.LOST else _LEGAL.get((state, event))
    if expected is not None:
        assert after(state, event) is expected
    else:
        with pytest.raises(IllegalEvent, match=f"a worker that is {state.value} cannot be {event.value}"):
            after(state, event)


def test_the_usual_life() -> None:
    """New, launched, attached, drained, lost."""
    state, seen = State.NEW, []
    for event in (Event.LAUNCHED, Event.ATTACHED, Event.DRAIN, Event.LOST):
        state = after(state, event)
        seen.append(state.value)
    assert seen == ["starting", "ready", "draining", "dead"]
