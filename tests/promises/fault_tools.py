"""Tools for calls of every kind, for workers inside this process and outside."""

import time

from snakepit_bridge import BaseAdapter, tool


class Tools(BaseAdapter):
    """What a call did shows in its result."""

    @tool
    def square(self, n: int) -> int:
        return n * n

    @tool
    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    @tool
    def count(self, n: int, pause: float):
        for number in range(n):
            time.sleep(pause)
            yield number
        return n

    @tool
    def report(self, n: int) -> int:
        for number in range(n):
            self.progress(number, n)
        return n

    @tool
    def ask(self, n: int) -> int:
        return self.host_tools["double"](n)

    @tool
    def ask_rows(self, n: int) -> list:
        return list(self.host_tools["rows"](n))

    @tool
    def remember(self, n: int) -> int:
        seen = self.session.state.setdefault("seen", [])
        seen.append(n)
        return seen[-1]
