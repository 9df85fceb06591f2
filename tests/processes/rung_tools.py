"""Tools that end on each rung of the ladder of a cancel."""

import asyncio
import logging
import pathlib
import threading
import time

from snakepit_bridge import BaseAdapter, Cancelled, tool


def mark(folder, name="started"):
    (pathlib.Path(folder) / name).touch()


def swallow(folder):
    mark(folder)
    while True:
        try:
            time.sleep(600)
        except BaseException:
            continue


class _Stuck(logging.Handler):
    """Writing a line takes for ever, under the handler's lock: an exception is held back there, and forced at last."""

    def emit(self, record):
        time.sleep(600)


def log_to_one_that_is_stuck():
    log = logging.getLogger("stuck")
    log.propagate = False
    log.addHandler(_Stuck())
    log.warning("a line")


class Rungs(BaseAdapter):
    """One tool for each."""

    @tool
    def ping(self) -> str:
        return "pong"

    @tool
    def flag(self, folder: str) -> None:
        mark(folder)
        while not self.context.cancelled:
            pass

    @tool
    def close(self, folder: str):
        mark(folder)
        while True:
            yield 1
            time.sleep(0.001)

    @tool
    def exception(self, folder: str) -> None:
        mark(folder)
        time.sleep(600)

    @tool
    def kill(self, folder: str) -> None:
        swallow(folder)

    @tool
    def forced(self, folder: str) -> None:
        mark(folder)
        log_to_one_that_is_stuck()

    @tool
    def leaves_a_lock(self, folder: str) -> None:
        mark(folder)
        try:
            time.sleep(600)
        finally:
            logging.getLogger("x").addHandler(handler := logging.NullHandler())
            handler.lock = threading.RLock()  # one of NullHandler's own is None
            handler.lock.acquire()
            self.handler = handler


class AsyncRungs(Rungs):
    """The same beside a loop."""

    @tool
    async def waits(self, folder: str) -> None:
        mark(folder)
        await asyncio.sleep(600)

    @tool
    async def blocks_the_loop_afterwards(self, folder: str) -> None:
        mark(folder)
        try:
            time.sleep(600)  # noqa: ASYNC251 - that is the point
        except Cancelled:
            asyncio.get_running_loop().call_soon(time.sleep, 600)
            raise


class Beside(AsyncRungs):
    """Several calls at once."""

    concurrency = 2

    @tool
    async def forced_beside(self, folder: str) -> None:
        mark(folder)
        log_to_one_that_is_stuck()

    @tool
    async def lasts(self, folder: str) -> str:
        mark(folder, "lasts")
        for _ in range(20):
            await asyncio.sleep(0.1)
        return "whole"


class Soft(Rungs):
    """Has something to save."""

    def on_soft_end(self):
        mark(self.folder, "saved")
        if self.stays:
            time.sleep(600)

    @tool
    def swallows(self, folder: str, stays: bool) -> None:
        self.folder, self.stays = folder, stays
        swallow(folder)


class AsyncSoft(Rungs):
    """Cannot be."""

    async def on_soft_end(self):
        pass
