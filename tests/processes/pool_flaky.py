"""An adapter of which the first worker to come dies at once, again and again, while the second takes its time and is fine."""

from __future__ import annotations

import os
import pathlib
import time

from snakepit_bridge.base_adapter import BaseAdapter, tool

FOLDER = pathlib.Path(os.environ["POOL_STARTS_FOLDER"])


class SecondIsFine(BaseAdapter):
    """Fine is who comes first to the mark; the others die until it is ready."""

    def initialize(self) -> None:
        try:
            (FOLDER / "fine").touch(exist_ok=False)
        except FileExistsError:
            (FOLDER / f"died-{os.getpid()}").touch()
            os._exit(1)
        while len(list(FOLDER.glob("died-*"))) < 3:
            time.sleep(0.002)

    @tool
    def pid(self) -> int:
        return os.getpid()
