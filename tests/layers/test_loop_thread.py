"""The loop thread behind the sync face: one per process, ended with its last holder, and honest about work it will not do."""

from __future__ import annotations

import asyncio
import threading

import pytest

import snakepit
from snakepit._api.loop_thread import LoopThread

pytestmark = pytest.mark.usefixtures("leaves_nothing")


async def _thread_name() -> str:
    return threading.current_thread().name


def test_holders_share_it() -> None:
    """Whoever acquires it gets the same one; it ends with the last release, and the next holder gets a new one."""
    one, other = LoopThread.acquire(), LoopThread.acquire()
    assert one is other
    one.release()
    assert other.run(_thread_name()) == "snakepit-loop"
    other.release()
    assert other.loop.is_closed()
    third = LoopThread.acquire()
    assert third is not one
    assert third.run(_thread_name()) == "snakepit-loop"
    third.release()


def test_what_was_posted_before_the_end_is_run() -> None:
    """Functions that were posted before the last release are run, in order; later ones are refused by a plain False."""
    loop, ran = LoopThread.acquire(), []
    assert all(loop.post(ran.append, number) for number in range(1000))
    loop.release()
    assert ran == list(range(1000))
    assert loop.post(ran.append, 1000) is False
    assert ran == list(range(1000))


def test_no_post_is_lost_between_running_and_ending() -> None:
    """However posts and the end interleave, each post that was accepted is run."""
    for _ in range(20):
        loop, ran, accepted = LoopThread.acquire(), [], []
        begun = threading.Event()

        def post(loop: LoopThread = loop, ran: list[int] = ran, accepted: list[int] = accepted, begun: threading.Event = begun) -> None:
            number = 0
            while loop.post(ran.append, number):
                accepted.append(number)
                number += 1
                begun.set()

        poster = threading.Thread(target=post)
        poster.start()
        begun.wait()
        loop.release()
        poster.join()
        assert ran == accepted


def test_an_interrupted_wait_cancels_its_coroutine() -> None:
    """What a coroutine raises comes out of `run`, and the loop goes on."""
    loop = LoopThread.acquire()

    async def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        loop.run(fail())
    assert loop.run(asyncio.sleep(0, "alive")) == "alive"
    loop.release()


@pytest.mark.slow
def test_a_call_that_meets_the_close_of_its_pool() -> None:
    """A thread that had already looked at the pool when another closed it gets PoolClosed, and neither waits nor sees the loop."""
    pool = snakepit.Pool(size=1)
    pool.start()
    engine, loop = pool._ready()
    pool.close()
    pool._ready = lambda **_waits: (engine, loop)  # type: ignore[method-assign]
    for call in (lambda: pool.execute("ping"), lambda: pool.stream("ping_stream"), lambda: pool.submit("ping")):
        with pytest.raises(snakepit.PoolClosed):
            call()
