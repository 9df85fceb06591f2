"""Tools with sections that must not be left halfway."""

import asyncio
import ctypes
import pathlib
import threading
import time

from snakepit_bridge import BaseAdapter, tool


class Shielded(BaseAdapter):
    """Notes each step in a file."""

    def say(self, folder, word):
        with (pathlib.Path(folder) / "said").open("a") as file:
            file.write(word + "\n")

    @tool
    def write(self, folder: str, seconds: float, takes: float) -> None:
        try:
            with self.context.shield(seconds):
                self.say(folder, "begin")
                end = time.monotonic() + takes
                while time.monotonic() < end:
                    time.sleep(0.01)
                self.say(folder, "end")
            self.say(folder, "behind")
            time.sleep(600)
        finally:
            self.say(folder, "left")

    @tool
    def nested(self, folder: str) -> None:
        with self.context.shield(5.0):
            with self.context.shield(0.01):
                self.say(folder, "begin")
                time.sleep(0.4)
            self.say(folder, "end")
            time.sleep(0.1)
            self.say(folder, "still")
        self.say(folder, "behind")

    @tool
    def tidies(self, folder: str, way: str, takes: float) -> None:
        try:
            self.leave(folder, way)
        finally:
            time.sleep(takes)
            self.say(folder, "tidied")

    def leave(self, folder, way):
        if way == "shield":
            with self.context.shield(5.0):
                self.say(folder, "begin")
                time.sleep(0.3)
        else:
            self.say(folder, "begin")
            while True:
                self.context.check()
                time.sleep(0.001)

    @tool
    def beside(self, folder: str) -> None:
        def checks(context):
            while not context.cancelled:
                time.sleep(0.001)
            context.check()

        threading.Thread(target=checks, args=(self.context,), daemon=True).start()
        self.say(folder, "begin")
        try:
            while True:
                time.sleep(0.01)
        finally:
            self.say(folder, "left")

    @tool
    def checks_in_callbacks(self, folder: str) -> None:
        checks = ctypes.CFUNCTYPE(None)(self.context.check)
        try:
            self.say(folder, "begin")
            while True:
                checks()
        finally:
            for _ in range(100):
                checks()
                time.sleep(0.005)
            self.say(folder, "tidied")


class AsyncShielded(Shielded):
    """The same in a coroutine."""

    @tool
    async def awaits(self, folder: str, seconds: float, takes: float) -> None:
        try:
            with self.context.shield(seconds):
                self.say(folder, "begin")
                await asyncio.sleep(takes)
                self.say(folder, "end")
            self.say(folder, "behind")
        finally:
            self.say(folder, "left")

    @tool
    async def tidies_awaiting(self, folder: str, way: str, takes: float) -> None:
        try:
            if way == "shield":
                with self.context.shield(0.8):
                    self.say(folder, "begin")
                    await asyncio.sleep(0.3)
            self.leave(folder, way)
        finally:
            await asyncio.sleep(takes)
            self.say(folder, "tidied")

    @tool
    async def streams(self, folder: str, takes: float):
        try:
            self.say(folder, "begin")
            while not self.context.cancelled:
                time.sleep(0.001)  # noqa: ASYNC251 - the cancel of the task waits for the loop, which this keeps
            yield 1
        finally:
            await asyncio.sleep(takes)
            self.say(folder, "tidied")
