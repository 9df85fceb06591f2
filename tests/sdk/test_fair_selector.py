"""A worker's main loop that is never idle lets its other threads have the interpreter."""

import asyncio
import time

import pytest

from snakepit_bridge._runtime import fair_selector
from snakepit_bridge._runtime.fair_selector import FairSelector


class Pauses:
    """Counts them in the place of `time`."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.count = 0

    def sleep(self, seconds: float) -> None:
        self.count += 1


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    counted = Pauses()
    monkeypatch.setattr(fair_selector, "time", counted)
    return counted


def on_fair_loop(main: "asyncio.Future[None] | object") -> None:
    loop = asyncio.SelectorEventLoop(FairSelector())
    try:
        loop.run_until_complete(main)  # type: ignore[arg-type]
    finally:
        loop.close()


async def busy(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:  # noqa: ASYNC110 - it is to be busy
        await asyncio.sleep(0)


def test_a_loop_that_is_never_idle_pauses(pauses: Pauses) -> None:
    """About once in 5 ms: often enough for a cancel, seldom enough for the tools."""
    on_fair_loop(busy(0.2))
    assert 2 <= pauses.count <= 41


def test_a_loop_that_waits_does_not(pauses: Pauses) -> None:
    """Its threads have the interpreter while it waits."""

    async def idle() -> None:
        for _ in range(20):
            await asyncio.sleep(0.006)

    on_fair_loop(idle())
    assert pauses.count == 0
