"""Whether a worker still answers: `BeatCount` decides, `watch` asks. See `snakepit.Heartbeat`."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

from snakepit.heartbeat import Heartbeat
from snakepit.telemetry.logs import library_logger

if TYPE_CHECKING:
    from .worker import Worker

_log = library_logger("snakepit.heartbeat")


class BeatCount:
    """Counts missed beats on a clock that stands still while the host does. Pure: the caller tells it the time.

    Args:
        settings: interval, timeout, max_missed, initial_delay.
        now: seconds on any steady clock.

    Attributes:
        missed: beats missed in a row.
    """

    def __init__(self, settings: Heartbeat, now: float) -> None:
        self._settings = settings
        self._seen = now  # when it was last told the time
        self._awake = 0.0  # seconds for which the host has been awake
        self._next = settings.initial_delay  # when to ask, on that clock
        self._asked: float | None = None  # when the worker was asked what it has not answered
        self.missed = 0

    def heard(self) -> None:
        """The worker has said something."""
        self._asked = None
        self.missed = 0

    def tick(self, now: float, slept: float) -> tuple[bool, bool]:
        """The time has come to look again.

        Args:
            slept: seconds for which the caller meant to sleep; what it slept beyond that, the host was not awake.

        Returns:
            (is the worker to be asked?, has a beat been missed?)
        """
        self._awake += min(now - self._seen, slept)
        self._seen = now
        missed = self._asked is not None and self._awake - self._asked >= self._settings.timeout
        if missed:
            self._asked = None
            self.missed += 1
        ask = self._asked is None and self._awake >= self._next
        if ask:
            self._asked, self._next = self._awake, self._awake + self._settings.interval
        return ask, missed

    @property
    def pause(self) -> float:
        """How long there is nothing to do (seconds)."""
        due = self._next if self._asked is None else self._asked + self._settings.timeout
        return max(0.001, min(due - self._awake, max(self._settings.interval, 0.05)))


async def watch(worker: Worker, settings: Heartbeat) -> None:
    """Ask a worker for signs of life until cancelled; condemns it when it is taken for dead."""
    loop = asyncio.get_running_loop()
    count, words = BeatCount(settings, loop.time()), worker.words
    number = 0
    while True:
        pause = count.pause
        await asyncio.sleep(pause)
        await asyncio.sleep(0)  # what has come while the host was away is read first
        if worker.words != words:
            words = worker.words
            count.heard()
        ask, missed = count.tick(loop.time(), pause)
        worker.missed_beats = count.missed
        if ask:
            number += 1
            if settings.ping_fun is None:
                worker.connection.ping(number)
            elif await _asked(settings, worker.id):
                count.heard()
        if missed:
            text = f"{worker.id} has not answered for {settings.timeout:g} s ({count.missed} of {settings.max_missed} beats missed)"
            if count.missed < settings.max_missed or not settings.dependent:
                _log.warning("%s", text)
            else:
                worker.condemn(
                    f"killed because it had not answered {count.missed} heartbeats, each within {settings.timeout:g} s", look=True
                )
                return


async def _asked(settings: Heartbeat, worker_id: str) -> bool:
    """Ask by the user's function; what it raises is no sign of life."""
    assert settings.ping_fun is not None
    try:
        answer = settings.ping_fun(worker_id)
        if inspect.isawaitable(answer):
            async with asyncio.timeout(settings.timeout):
                answer = await answer
    except TimeoutError:
        return False
    except Exception as error:
        _log.warning("heartbeat.ping_fun raised for %s: %r", worker_id, error)
        return False
    return answer is None or bool(answer)
