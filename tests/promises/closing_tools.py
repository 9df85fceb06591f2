"""An adapter of which the first worker is fine, and those that come later fall or hang while they start; as the environment says."""

from __future__ import annotations

import os
import pathlib
import time

from snakepit_bridge.base_adapter import BaseAdapter, tool

_FOLDER = pathlib.Path(os.environ["CLOSING_FOLDER"])


class Moments(BaseAdapter):
    """What it does, it marks."""

    def initialize(self) -> None:
        try:
            (_FOLDER / "first").touch(exist_ok=False)
            how = os.environ.get("CLOSING_FIRST", "")
        except FileExistsError:
            how = os.environ.get("CLOSING_LATER", "")
        if how == "falls":
            os._exit(7)
        if how == "hangs":
            (_FOLDER / "hanging").touch()
            time.sleep(600)

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def fall(self) -> None:
        os._exit(9)

    @tool(idempotent=True)
    def refuse(self) -> None:
        raise ConnectionError

    @tool
    def swallow(self) -> None:
        (_FOLDER / "swallowing").touch()
        while True:
            try:
                time.sleep(600)
            except BaseException:
                pass
