"""Tools with sections that must not be left halfway."""

import asyncio
import pathlib
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
