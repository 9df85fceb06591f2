"""Adapters whose sessions move, meet large calls, and are shared by hosts."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from session_tools import SnapshotTools, _touch
from snakepit_bridge.base_adapter import BaseAdapter, tool


class Crowded(BaseAdapter):
    """Several calls at once on one state."""

    concurrency = 4

    @tool
    async def count(self, blob: str = "") -> dict[str, Any]:
        self.session.state["count"] = self.session.state.get("count", 0) + 1
        return {"count": self.session.state["count"], "pid": os.getpid(), "metadata": dict(self.session.metadata)}

    @tool
    async def remember(self, key: str, value: Any, seconds: float = 0.0) -> None:
        await asyncio.sleep(seconds)
        self.session.state[key] = value

    @tool
    async def recall(self) -> dict[str, Any]:
        return dict(self.session.state)


class CrowdedSnapshots(Crowded):
    """And it goes on elsewhere."""

    async def snapshot(self, session: Any) -> Any:
        return {"count": session.state.get("count", 0)}

    async def restore(self, session: Any, data: Any) -> None:
        session.state["count"] = data["count"]


class Restoring(SnapshotTools):
    """Its restore fails when it is told to; it says where its sessions end."""

    @tool
    def fail(self) -> None:
        raise ValueError("this tool always fails")

    @tool
    def mark(self, folder: str, name: str, seconds: float) -> None:
        _touch(folder, name)
        time.sleep(seconds)


class Ending(BaseAdapter):
    """Says in a folder with which state its sessions end."""

    @tool
    def count(self) -> int:
        self.session.state["count"] = self.session.state.get("count", 0) + 1
        return int(self.session.state["count"])

    @tool
    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def on_session_end(self, session: Any) -> None:
        _touch(session.metadata["folder"], f"ended-{session.id}-{session.state.get('count', 0)}")
