"""Adapters for templates: what is forked from a process that has imported this."""

import os
import pathlib
import random
import tempfile
import threading
import time
import uuid

import numpy

from snakepit_bridge import BaseAdapter, tool

IMPORTED_IN = os.getpid()
#: Shared with the template until somebody writes there.
BALLAST = bytearray(os.urandom(1024) * 1024 * 50)

numpy.random.seed(4711)  # noqa: NPY002 - the global generator is what this is about
random.seed(4711)
numpy.random.random()  # noqa: NPY002


class Forked(BaseAdapter):
    """Says what it is."""

    def initialize(self):
        self.initialized_in = os.getpid()

    @tool
    def where(self) -> dict:
        return {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "session": os.getsid(0),
            "imported_in": IMPORTED_IN,
            "initialized_in": self.initialized_in,
            "threads": sorted(thread.name for thread in threading.enumerate()),
            "comm": pathlib.Path("/proc/self/comm").read_text().strip(),
            "title": pathlib.Path("/proc/self/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(),
            "environment": dict(os.environ),
            "descriptors": len(list(pathlib.Path("/proc/self/fd").iterdir())),
        }

    @tool
    def draw(self) -> list:
        """One of everything that is to be different in each worker."""
        return [
            random.random(),
            float(numpy.random.random()),  # noqa: NPY002
            str(uuid.uuid1()),
            str(uuid.uuid4()),
            next(tempfile._get_candidate_names()),
        ]

    @tool
    def wait(self, folder: str) -> None:
        (pathlib.Path(folder) / "started").touch()
        time.sleep(600)

    @tool
    def pid(self) -> int:
        return os.getpid()
