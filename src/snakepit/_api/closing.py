"""How a sync pool is closed on its loop, by one thread, while others wait for it."""

from __future__ import annotations

import threading

from snakepit._pool.engine import Engine

from .loop_thread import LoopThread

#: A close is bounded; that bound, and some more (seconds), is how long others wait for it.
_BEYOND = 10.0


class OneClose:
    """Of several threads that close a pool one does so; for the others it is closed when it really is.

    Args:
        bound: seconds that a close may take.
    """

    def __init__(self, bound: float) -> None:
        self._bound = bound
        self._open = [True]
        self._closer: int | None = None
        self._over = threading.Event()

    def begin(self) -> bool:
        """Is it this thread that closes it? Once only, also where a signal handler asks between two lines of the first."""
        try:
            self._open.pop()
        except IndexError:
            return False
        self._closer = threading.get_ident()
        return True

    def run(self, loop: LoopThread, engine: Engine, *, finish_unary: bool) -> None:
        """Close an engine, see `close_on`."""
        try:
            close_on(loop, engine, finish_unary=finish_unary)
        finally:
            self._over.set()

    def wait(self, engine: Engine) -> None:
        """Wait until another thread has closed it; if that lets calls end, no longer.

        Returns at once where it would wait for itself: in a signal handler, on the loop.
        """
        engine.draining.cut_off_from_elsewhere()
        if self._closer not in (None, threading.get_ident()) and not LoopThread.is_here():
            self._over.wait(self._bound + _BEYOND)


def close_on(loop: LoopThread, engine: Engine, *, finish_unary: bool = False) -> None:
    """Close an engine, from a thread that does not run its loop: it has ended when this returns or raises.

    Each Ctrl-C on the way makes it less patient: with calls that run, then with workers that clean up.
    """
    try:
        loop.run(engine.close(finish_unary=finish_unary))
    except BaseException:
        try:
            loop.run(engine.close())
        except BaseException:
            loop.run(engine.close(kill=True))
            raise
        raise
