"""Adapters whose start is worth a test: they wait, fail or die while a worker imports or initializes them.

What they shall do stands in the environment, because nobody can call a tool of theirs yet.
"""

from __future__ import annotations

import os
import pathlib
import sys
import time

from pool_tools import mark, wait_for
from snakepit_bridge.base_adapter import BaseAdapter, tool

FOLDER = os.environ.get("POOL_STARTS_FOLDER", "")


class _Answers(BaseAdapter):
    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def die(self) -> None:
        os._exit(9)


class Together(_Answers):
    """Gets ready only when two workers are getting ready at once."""

    def initialize(self) -> None:
        mark(FOLDER, f"initializing-{os.getpid()}")
        while len(list(pathlib.Path(FOLDER).glob("initializing-*"))) < 2:
            time.sleep(0.002)


class OneFirst(_Answers):
    """The first worker gets ready at once; others when the host says `go`."""

    def initialize(self) -> None:
        try:
            (pathlib.Path(FOLDER) / "first").touch(exist_ok=False)
        except FileExistsError:
            mark(FOLDER, "second")
            wait_for(FOLDER, "go")


class Never(_Answers):
    """Says that it is there, and does not get ready."""

    def initialize(self) -> None:
        mark(FOLDER, "initializing")
        print("still loading the model", flush=True, file=sys.stderr)
        time.sleep(600)


class Fails(_Answers):
    """Raises while it gets ready."""

    def initialize(self) -> None:
        raise OSError("the model file is not there")


class OnlyOnce(_Answers):
    """The first worker gets ready; all that come after it die."""

    def initialize(self) -> None:
        try:
            (pathlib.Path(FOLDER) / "first").touch(exist_ok=False)
        except FileExistsError:
            print("there can be only one", flush=True, file=sys.stderr)
            os._exit(7)


class UntilMended(OnlyOnce):
    """As that, until somebody says that it is mended."""

    def initialize(self) -> None:
        if not (pathlib.Path(FOLDER) / "mended").exists():
            super().initialize()


class Slow(_Answers):
    """Takes its time when the pool closes."""

    def cleanup(self) -> None:
        mark(FOLDER, "cleaning")
        time.sleep(float(os.environ.get("POOL_STARTS_CLEANUP", "0")))
        mark(FOLDER, "cleaned")
