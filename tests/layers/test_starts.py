"""How many workers start at once."""

from __future__ import annotations

import asyncio

import pytest

from snakepit._workers import starts
from snakepit._workers.starts import Starts


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_turns_come_in_order() -> None:
    """As many at once as there are; who waits gets the next one, also when somebody before has given up."""

    async def main() -> None:
        turns = Starts(2)
        first, second = turns.take(), turns.take()
        assert first is not None
        assert second is not None
        assert turns.take() is None
        waiting = [asyncio.create_task(turns.wait()) for _ in range(3)]
        await _settle()
        waiting[0].cancel()
        first.over()
        first.over()
        await _settle()
        assert [task.done() for task in waiting] == [True, True, False]
        second.over()
        await _settle()
        assert waiting[2].done()
        for task in waiting[1:]:
            task.result().over()

    asyncio.run(main())


def test_a_turn_that_was_given_to_somebody_who_gives_up_goes_on() -> None:
    """In the very moment in which it was given."""

    async def main() -> None:
        turns = Starts(1)
        first = turns.take()
        assert first is not None
        task = asyncio.create_task(turns.wait())
        await _settle()
        first.over()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        last = turns.take()
        assert last is not None
        last.over()

    asyncio.run(main())


def test_a_long_start_does_not_keep_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its turn ends by itself; and a pool that stops keeps nobody waiting."""
    monkeypatch.setattr(starts, "_TURN_SECONDS", 0.01)

    async def main() -> None:
        turns = Starts(1)
        assert turns.take() is not None
        await asyncio.wait_for(turns.wait(), 5)
        monkeypatch.setattr(starts, "_TURN_SECONDS", 60.0)
        held = await asyncio.wait_for(turns.wait(), 5)
        waiting = asyncio.create_task(turns.wait())
        await _settle()
        assert not waiting.done()
        turns.open()
        (await asyncio.wait_for(waiting, 5)).over()
        held.over()

    asyncio.run(main())
