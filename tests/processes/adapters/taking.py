"""Tools that take all sorts of arguments."""

import os
import pathlib
import time

from snakepit_bridge import BaseAdapter, tool


class Taking(BaseAdapter):
    @tool
    def pid(self):
        return os.getpid()

    @tool
    def add(self, a: int, b: int):
        return a + b

    @tool
    def take(self, value):
        return value

    @tool
    def anything(self, **kwargs):
        return kwargs

    @tool
    def named_like_ours(self, call, function, tool, args, timeout, kind, following, on_progress):
        return {
            "call": call,
            "function": function,
            "tool": tool,
            "args": args,
            "timeout": timeout,
            "kind": kind,
            "following": following,
            "on_progress": on_progress,
        }

    @tool
    def wait_for(self, mark: str):
        while not pathlib.Path(mark).exists():
            self.context.check()
            time.sleep(0.001)
        return "went"
