"""Tools of sessions that put down in which order their calls run, and what they see; short, unless they are told otherwise."""

from __future__ import annotations

import os
import pathlib
import time
from typing import Any

from snakepit_bridge import BaseAdapter, tool


class SessionMarkTools(BaseAdapter):
    """See the module."""

    @tool
    def step(self, folder: str, number: int, wait_for: str = "", die: bool = False, load: Any = None, ask: str = "") -> dict[str, Any]:
        """Add a number to those of the session; gives all of them, and the metadata at the beginning and at the end.

        Args:
            wait_for: go on when there is a file of this name. die: end the process. ask: a host tool to ask.
            load: to be carried, and no more.
        """
        before = dict(self.session.metadata)
        numbers = self.session.state.setdefault("numbers", [])
        numbers.append(number)
        with (pathlib.Path(folder) / "marks").open("a") as marks:
            marks.write(f"{self.session.id} {number}\n")
        if wait_for:
            (pathlib.Path(folder) / f"{wait_for}-waits").touch()
            end = time.monotonic() + 30
            while not (pathlib.Path(folder) / wait_for).exists() and time.monotonic() < end:
                time.sleep(0.005)
        if ask:
            self.host_tools[ask]()
        if die:
            os._exit(3)
        return {"numbers": list(numbers), "before": before, "after": dict(self.session.metadata), "pid": os.getpid()}


class SnapshotMarkTools(SessionMarkTools):
    """The same, and sessions go on elsewhere."""

    def snapshot(self, session: Any) -> Any:
        return dict(session.state)

    def restore(self, session: Any, data: Any) -> None:
        session.state.update(data)


class AsyncHookMarkTools(SessionMarkTools):
    """A hook that is `async def` makes a task of each session's first call."""

    async def on_session_start(self, session: Any) -> None:
        session.state["started"] = True
