"""Tools of sessions that put down in which order their calls run, and what they see; short, unless they are told otherwise."""

from __future__ import annotations

import logging
import os
import pathlib
import time
from typing import Any

from snakepit_bridge import BaseAdapter, tool


class SessionMarkTools(BaseAdapter):
    """See the module."""

    @tool
    def step(
        self,
        folder: str,
        number: int,
        wait_for: str = "",
        die: bool = False,
        load: Any = None,
        ask: str = "",
        take: float = 0.0,
        give: int = 0,
        reports: bool = False,
    ) -> dict[str, Any]:
        """Add a number to those of the session; gives all of them, and the metadata at the beginning and at the end.

        Args:
            wait_for: go on when there is a file of this name. die: end the process. ask: a host tool to ask.
            load: to be carried, and no more. take: so many seconds. give: so many bytes more. reports: how far it is.
        """
        before = dict(self.session.metadata)
        numbers = self.session.state.setdefault("numbers", [])
        numbers.append(number)
        with (pathlib.Path(folder) / "marks").open("a") as marks:
            marks.write(f"{self.session.id} {number}\n")
        time.sleep(take)
        if reports:
            self.progress(1)
        if wait_for:
            (pathlib.Path(folder) / f"{wait_for}-waits").touch()
            end = time.monotonic() + 30
            while not (pathlib.Path(folder) / wait_for).exists() and time.monotonic() < end:
                time.sleep(0.005)
        if ask:
            self.host_tools[ask]()
        if die:
            os._exit(3)
        more = {"before": before, "after": dict(self.session.metadata), "pid": os.getpid(), "more": "m" * give}
        return {"numbers": list(numbers), **more}

    @tool
    def hold_a_lock(self, folder: str, name: str) -> None:
        """Take the lock of a handler of `logging`, and never give it back."""
        handler = logging.StreamHandler()
        logging.getLogger("held").addHandler(handler)
        handler.acquire()
        (pathlib.Path(folder) / name).touch()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            time.sleep(0.001)


class SnapshotMarkTools(SessionMarkTools):
    """The same, and sessions go on elsewhere."""

    def snapshot(self, session: Any) -> Any:
        return dict(session.state)

    def restore(self, session: Any, data: Any) -> None:
        session.state.update(data)


class UnrestorableMarkTools(SnapshotMarkTools):
    """What is kept of a session is of no use."""

    def restore(self, session: Any, data: Any) -> None:
        raise ValueError("it cannot be restored")


class AsyncHookMarkTools(SessionMarkTools):
    """A hook that is `async def` makes a task of each session's first call."""

    async def on_session_start(self, session: Any) -> None:
        session.state["started"] = True
