"""Tools that hang, and tools that only look so."""

import asyncio
import hashlib
import logging
import os
import pathlib
import sys
import threading
import time

from snakepit_bridge import BaseAdapter, tool


class Hanging(BaseAdapter):
    """On the main thread."""

    def initialize(self):
        self.lock = threading.Lock()
        self.lock.acquire()
        self.condition = threading.Condition()

    @tool
    def ping(self) -> str:
        return "pong"

    @tool
    def waits_for_a_lock(self) -> None:
        self.lock.acquire()

    @tool
    def waits_for_a_thread(self) -> None:
        thread = threading.Thread(target=time.sleep, args=(20,), daemon=True)
        thread.start()
        thread.join()

    @tool
    def computes_in_c(self) -> None:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # without the interpreter's lock

    @tool
    def loops_in_one_line(self, seconds: float) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end: pass  # fmt: skip  # noqa: E701
        return "whole"

    @tool
    def polls(self, seconds: float) -> str:
        for _ in range(int(seconds / 0.2)):
            time.sleep(0.2)
        return "whole"

    @tool
    def calls_back_from_c(self, seconds: float) -> str:
        def naps(_item):
            time.sleep(0.2)
            return 0

        sorted(range(int(seconds / 0.2)), key=naps)
        return "whole"

    @tool
    def reports_from_a_thread(self, seconds: float) -> str:
        context, end = self.context, time.monotonic() + seconds

        def report():
            while time.monotonic() < end:
                context.progress(time.monotonic())
                time.sleep(0.1)

        thread = threading.Thread(target=report)
        thread.start()
        thread.join()
        return "whole"

    @tool
    def asks(self) -> str:
        return self.host_tools["slow"]()

    @tool
    def works(self, folder: str) -> None:
        log = logging.getLogger("works")
        log.propagate = False
        log.addHandler(logging.FileHandler(os.devnull))
        (pathlib.Path(folder) / "started").touch()
        while True:
            for _ in range(100):
                log.warning("still %s", "here")
                with self.condition:
                    self.condition.notify_all()
            time.sleep(0.03)

    @tool
    def sound(self) -> bool:
        free = self.condition.acquire(timeout=1)
        self.condition.release()
        return free and sys.gettrace() is None

    @tool
    def yields(self, seconds: float):
        for number in range(int(seconds / 0.2)):
            yield {"n": number}
            time.sleep(0.2)


class AsyncHanging(Hanging):
    """On a loop."""

    concurrency = 2

    @tool
    async def awaits(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "whole"

    @tool
    async def blocks_the_loop(self) -> None:
        time.sleep(20)  # noqa: ASYNC251 - that is the point
