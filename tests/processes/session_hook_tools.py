"""Adapters whose session hooks are slow, stubborn, wrong or half there."""

from __future__ import annotations

import asyncio
import ctypes
import time
from typing import Any

from session_tools import _Counting, _touch
from snakepit_bridge.base_adapter import BaseAdapter, tool


class NotedEnds(_Counting):
    """Says in files which state ended on which worker."""

    @tool
    def note(self, text: str) -> dict[str, Any]:
        notes = self.session.state.setdefault("notes", [])
        notes.append(text)
        return {"notes": notes, "worker": self.context.worker_id}

    def on_session_end(self, session: Any) -> None:
        _touch(session.metadata["folder"], "ended-" + "-".join(session.state.get("notes", ())))


class AsyncNotedEnds(BaseAdapter):
    """Several calls at once on one state."""

    concurrency = 4

    @tool
    async def note(self, text: str, seconds: float = 0.0) -> dict[str, Any]:
        notes = self.session.state.setdefault("notes", [])
        notes.append(text)
        if seconds:
            _touch(self.session.metadata["folder"], "waiting-" + text)
        await asyncio.sleep(seconds)
        if seconds:
            self.session.state["waited"] = True
        return {"notes": notes, "worker": self.context.worker_id}

    async def on_session_end(self, session: Any) -> None:
        folder = session.metadata["folder"]
        waited = "-waited" if session.state.get("waited") else ""
        _touch(folder, "ended-" + "-".join(session.state.get("notes", ())) + waited)


class SlowEnds(_Counting):
    """End hooks that take long, each in its own way, as the session's metadata says."""

    def on_session_end(self, session: Any) -> None:
        way = session.metadata.get("way")
        deadline = time.monotonic() + 25
        if way == "sleep":
            time.sleep(25)
        elif way == "compute":
            while time.monotonic() < deadline:
                pass
        elif way == "hold the interpreter":
            ctypes.PyDLL(None).sleep(25)
        while way == "stubborn" and time.monotonic() < deadline:
            try:
                time.sleep(25)
            except BaseException:
                continue


class SlowAsyncEnds(BaseAdapter):
    """The same on a loop."""

    @tool
    async def count(self) -> int:
        return 1

    async def on_session_end(self, session: Any) -> None:
        if session.metadata.get("way") == "block":
            time.sleep(25)  # noqa: ASYNC251
        try:
            await asyncio.sleep(25)
        finally:
            _touch(session.metadata["folder"], "cleaned up")


class WrongHooks(_Counting):
    """Hooks that do what the session's metadata says."""

    def on_session_start(self, session: Any) -> None:
        if session.metadata.get("start") == "raise":
            raise RuntimeError("no licence")
        if session.metadata.get("start") == "exit":
            raise SystemExit(3)
        session.state["starts"] = session.state.get("starts", 0) + 1

    def snapshot(self, session: Any) -> Any:
        if session.metadata.get("snapshot") == "unsendable":
            return {"model": object()}
        return {"count": session.state.get("count", 0)}

    def restore(self, session: Any, data: Any) -> None:
        if session.metadata.get("restore") == "raise":
            raise RuntimeError("the file is of version 1")
        session.state["count"] = data["count"]


class OnlySnapshot(_Counting):
    """Half of what keeps sessions."""

    def snapshot(self, session: Any) -> Any:
        return dict(session.state)
