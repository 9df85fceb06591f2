"""A pool may be closed at any moment of its life: within its bound, and nothing is left."""

from __future__ import annotations

import contextlib
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import snakepit
from promise_figures import often

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

_TOOLS = str(pathlib.Path(__file__).with_name("closing_tools.py"))
_CLOSE = 0.5


def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the moment did not come"
        time.sleep(0.001)


class Stage:
    """Pools, brought to a moment of their lives."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._threads: list[threading.Thread] = []

    def pool(self, *, first: str = "", later: str = "", **settings: Any) -> snakepit.Pool:
        """A pool whose first worker, and those that come later, are fine, fall or hang."""
        env = {"CLOSING_FOLDER": str(self._folder), "CLOSING_FIRST": first, "CLOSING_LATER": later}
        quick: dict[str, Any] = {"size": 1, "close_timeout": _CLOSE, "cancel_timeout": 0.3, "worker_output": "discard", "env": env}
        return snakepit.Pool(f"{_TOOLS}:Moments", **{**quick, **settings})

    def said(self, name: str) -> None:
        """Wait until a worker has said it."""
        _until((self._folder / name).exists)

    def meanwhile(self, work: Callable[[], Any]) -> None:
        """On another thread, which ends when the pool has been closed."""

        def quietly() -> None:
            with contextlib.suppress(snakepit.PoolClosed):
                work()

        self._threads.append(threading.Thread(target=quietly))
        self._threads[-1].start()

    def over(self) -> None:
        """All threads have ended."""
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()


def _while_it_starts(stage: Stage) -> snakepit.Pool:
    pool = stage.pool(first="hangs")
    stage.meanwhile(pool.start)
    stage.said("hanging")
    return pool


def _while_another_worker_starts(stage: Stage) -> snakepit.Pool:
    pool = stage.pool(size=2, later="hangs")
    pool.start()
    stage.said("hanging")
    return pool


def _while_a_spare_starts(stage: Stage) -> snakepit.Pool:
    pool = stage.pool(spares=1, later="hangs")
    pool.start()
    stage.said("hanging")
    return pool


def _while_it_drains(stage: Stage) -> snakepit.Pool:
    pool = stage.pool()
    pool.submit("swallow")
    stage.said("swallowing")
    stage.meanwhile(lambda: pool.drain(None))
    _until(lambda: pool.stats().draining)
    return pool


def _before_a_restart(stage: Stage) -> snakepit.Pool:
    pool = stage.pool(later="falls", max_restarts=1000)
    pool.submit("fall")
    _until(lambda: pool.stats().restarts >= 5)  # the pause before the next one is longer than a second
    return pool


def _while_a_worker_is_replaced(stage: Stage) -> snakepit.Pool:
    pool = stage.pool(later="hangs")
    pool.submit("fall")
    stage.said("hanging")
    return pool


def _in_a_quarantine(stage: Stage) -> snakepit.Pool:
    pool = stage.pool(size=2, later="falls", max_restarts=0)
    pool.start()
    _until(lambda: pool.stats().quarantined)
    return pool


def _before_a_retry(stage: Stage) -> snakepit.Pool:
    pool = stage.pool(retry={"errors": [ConnectionError], "first_delay": 600.0, "max_delay": 600.0})
    pool.submit("refuse")
    _until(lambda: pool.stats().retried)
    return pool


def _while_a_worker_is_recycled(stage: Stage) -> snakepit.Pool:
    pool = stage.pool(later="hangs", max_calls=1)
    pool.submit("pid")
    stage.said("hanging")
    pool.submit("swallow")
    stage.said("swallowing")
    return pool


def _while_others_close_it(stage: Stage) -> snakepit.Pool:
    pool = stage.pool()
    pool.submit("swallow")
    stage.said("swallowing")
    for _ in range(3):
        stage.meanwhile(pool.close)
    return pool


_MOMENTS = [
    _while_it_starts,
    _while_another_worker_starts,
    _while_a_spare_starts,
    _while_it_drains,
    _before_a_restart,
    _while_a_worker_is_replaced,
    _in_a_quarantine,
    _before_a_retry,
    _while_a_worker_is_recycled,
    _while_others_close_it,
]


@pytest.fixture
def folders(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A new folder each time."""
    return (folder for number in range(1000) if (folder := tmp_path / str(number)).mkdir() is None)


@pytest.mark.parametrize("moment", _MOMENTS, ids=lambda item: item.__name__.strip("_"))
def test_closing_is_bounded_at_every_moment(moment: Callable[[Stage], snakepit.Pool], folders: Any, figures: Any) -> None:
    """Whatever a pool is about to do."""
    times = []
    for _ in range(often(20, 2)):
        stage = Stage(next(folders))
        pool = moment(stage)
        began = time.perf_counter()
        pool.close()
        times.append(time.perf_counter() - began)
        stage.over()
        assert pool.workers() == ()
    figures(f"a pool closes {moment.__name__.strip('_').replace('_', ' ')}").hold(times, max=_CLOSE + 2.0)
