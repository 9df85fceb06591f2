"""Adapters with sessions: state, hooks, snapshots; sync and async."""

from __future__ import annotations

import asyncio
import os
import pathlib
import time
from typing import Any

from snakepit_bridge.base_adapter import BaseAdapter, tool


class Telltale:
    """Leaves a file when it is destroyed."""

    def __init__(self, path: str) -> None:
        self.path = pathlib.Path(path)

    def __del__(self) -> None:
        self.path.touch()


class _Counting(BaseAdapter):
    """Counts the calls of each session in its state."""

    @tool
    def count(self) -> dict[str, Any]:
        self.session.state["count"] = self.session.state.get("count", 0) + 1
        return {"count": self.session.state["count"], "pid": os.getpid(), "session": self.session.id}

    @tool
    def remember(self, key: str, value: Any) -> None:
        self.session.state[key] = value

    @tool
    def recall(self) -> dict[str, Any]:
        return dict(self.session.state)

    @tool
    def metadata(self) -> dict[str, Any]:
        return dict(self.session.metadata)

    @tool
    def metadata_is_frozen(self) -> str:
        try:
            self.session.metadata["more"] = 1  # type: ignore[index]
        except TypeError as error:
            return str(error)
        return ""

    @tool
    def change_metadata(self) -> list[str]:
        errors = []
        for change in (
            lambda: self.session.metadata["user"].update(name="eve"),
            lambda: self.session.metadata["user"]["roles"].append("admin"),
            lambda: self.session.metadata["user"].__init__(name="eve"),
            lambda: self.session.metadata.__init__(user="eve"),
        ):
            try:
                change()
            except TypeError as error:
                errors.append(str(error))
        return errors

    @tool
    def assign(self) -> dict[str, str]:
        """What each assignment says that would part a session from its state, or a call from its session; empty: it went through."""
        session, other = self.session, type(self.session)("other")
        attempts = {
            "self.session": lambda: setattr(self, "session", other),
            "self.context": lambda: setattr(self, "context", None),
            "self.host_tools": lambda: setattr(self, "host_tools", {}),
            "context.session": lambda: setattr(self.context, "session", other),
            "context.host_tools": lambda: setattr(self.context, "host_tools", {}),
            "session.state": lambda: setattr(session, "state", {"mine": 1}),
            "session.metadata": lambda: setattr(session, "metadata", {}),
            "session.id": lambda: setattr(session, "id", "other"),
            "del session.state": lambda: delattr(session, "state"),
            "session.more": lambda: setattr(session, "more", 1),
        }
        told = {}
        for name, attempt in attempts.items():
            try:
                attempt()
                told[name] = ""
            except AttributeError as error:
                told[name] = str(error)
        return told

    @tool
    def has_session(self) -> bool:
        return bool(self.session)

    @tool
    def keep_telltale(self, path: str) -> None:
        self.session.state["telltale"] = Telltale(path)

    @tool
    def sleep(self, seconds: float) -> str:
        time.sleep(seconds)
        return self.session.id

    @tool
    def die(self) -> None:
        os.kill(os.getpid(), 9)

    @tool
    def numbers(self, count: int) -> Any:
        for number in range(count):
            self.session.state["streamed"] = number + 1
            yield {"number": number, "session": self.session.id}


class SessionTools(_Counting):
    """Without hooks."""


class HookedTools(_Counting):
    """Says in files when sessions start and end."""

    def on_session_start(self, session: Any) -> None:
        if session.metadata.get("refuse"):
            raise ValueError("this session is refused")
        session.state["started"] = True
        self._say("start", session)

    def on_session_end(self, session: Any) -> None:
        self._say("end", session)

    @staticmethod
    def _say(what: str, session: Any) -> None:
        folder = session.metadata.get("folder")
        if folder:
            pathlib.Path(folder, f"{what}-{session.id}-{session.state.get('count', 0)}").touch()


class SnapshotTools(_Counting):
    """Its sessions go on elsewhere."""

    def snapshot(self, session: Any) -> Any:
        if session.state.get("unkeepable"):
            raise ValueError("cannot keep this")
        return {"count": session.state.get("count", 0)}

    def restore(self, session: Any, data: Any) -> None:
        session.state["count"] = data["count"]
        session.state["restored"] = True


class AsyncSessionTools(BaseAdapter):
    """Eight calls at once on one instance, with async hooks."""

    concurrency = 8

    async def on_session_start(self, session: Any) -> None:
        await asyncio.sleep(0.01)
        session.state["starts"] = session.state.get("starts", 0) + 1

    async def on_session_end(self, session: Any) -> None:
        await asyncio.sleep(0.01)
        folder = session.metadata.get("folder")
        if folder:
            _touch(folder, f"end-{session.id}")

    async def snapshot(self, session: Any) -> Any:
        await asyncio.sleep(0)
        return {"seen": session.state.get("seen", [])}

    async def restore(self, session: Any, data: Any) -> None:
        await asyncio.sleep(0)
        session.state["seen"] = data["seen"]

    @tool
    async def note(self, item: str, rounds: int = 5) -> list[str]:
        own = self.session.id
        for _ in range(rounds):
            await asyncio.sleep(0.001)
            assert self.session.id == own
        self.session.state.setdefault("seen", []).append(item)
        return self.session.state["seen"]  # type: ignore[no-any-return]

    @tool
    def starts(self) -> int:
        return self.session.state.get("starts", 0)  # type: ignore[no-any-return]

    @tool
    def die(self) -> None:
        os.kill(os.getpid(), 9)


def _touch(folder: str, name: str) -> None:
    pathlib.Path(folder, name).touch()
