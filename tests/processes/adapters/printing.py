"""Tools that print, in every way there is."""

import logging
import os
import subprocess
import sys
import threading
import warnings

from snakepit_bridge import BaseAdapter, tool

print("printed at import")


class Printing(BaseAdapter):
    def initialize(self):
        print("printed by initialize")

    def cleanup(self):
        print("printed by cleanup")

    @tool
    def say(self, text: str, err: bool = False, end: str = "\n"):
        print(text, file=sys.stderr if err else sys.stdout, end=end, flush=True)
        return len(text)

    @tool
    def say_in_parts(self, parts: list):
        for part in parts:
            print(part, end="", flush=True)

    @tool
    def unflushed(self, text: str):
        print(text, end="")

    @tool
    def raw(self, data: bytes, fd: int = 1):
        """Past Python's own buffers, as libraries written in C print."""
        sys.stdout.flush()
        while data:
            data = data[os.write(fd, data) :]

    @tool
    def buffer(self, data: bytes):
        sys.stdout.buffer.write(data)
        sys.stdout.flush()

    @tool
    def surrogates(self):
        print("a file name: \udcff")

    @tool
    def many(self, n: int):
        """Prints while it streams."""
        for i in range(n):
            print("line", i)
            yield {"i": i}

    @tool
    def by_a_child(self):
        return subprocess.run(["sh", "-c", "echo from a child; echo to its stderr >&2"], check=True).returncode

    @tool
    def by_a_thread(self):
        thread = threading.Thread(target=print, args=("from a thread",))
        thread.start()
        thread.join()

    @tool
    def by_logging(self):
        logging.getLogger("my.library").warning("a library warns")
        warnings.warn("deprecated thing", DeprecationWarning, stacklevel=1)

    @tool
    def on_a_terminal(self):
        return [sys.stdin.read(), sys.stdout.isatty(), os.isatty(0), sys.stdout.encoding.lower()]
