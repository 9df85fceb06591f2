"""Tools of workers that are replaced: by their work, age and memory."""

import os
import pathlib
import time

from snakepit_bridge import BaseAdapter, tool


class Recycled(BaseAdapter):
    """Keeps what it was told, and hands it on."""

    def initialize(self):
        self.kept = []

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def keep(self, megabytes: int) -> int:
        self.kept.append(os.urandom(1024) * 1024 * megabytes)
        return os.getpid()

    @tool
    def work(self, seconds: float) -> int:
        time.sleep(seconds)
        return os.getpid()

    @tool
    def end(self, code: int) -> None:
        os._exit(code)

    @tool
    def count(self, n: int, folder: str):
        for number in range(n):
            yield {"n": number, "pid": os.getpid()}
            if number == 0:
                (pathlib.Path(folder) / "began").touch()
            time.sleep(0.01)

    @tool
    def grow(self) -> None:
        while True:
            self.kept.append(os.urandom(1024) * 1024 * 10)
            time.sleep(0.01)

    @tool
    def add(self, value: int) -> list:
        self.session.state.setdefault("seen", []).append(value)
        return [os.getpid(), list(self.session.state["seen"])]


class Remembering(Recycled):
    """The same, with sessions that go on elsewhere."""

    def snapshot(self, session):
        return dict(session.state)

    def restore(self, session, data):
        session.state.update(data)
