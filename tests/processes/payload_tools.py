"""Tools that give what they are asked for, however large."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from snakepit_bridge import HostToolError
from snakepit_bridge.base_adapter import BaseAdapter, tool


def made(kind: str, count: int) -> Any:
    return "x" * count if kind == "text" else bytes(count)


class PayloadTools(BaseAdapter):
    def __init__(self) -> None:
        self._go_on = threading.Event()

    @tool
    def size(self, value: Any) -> int:
        return len(value)

    @tool
    def give(self, kind: str, count: int) -> Any:
        return made(kind, count)

    @tool
    def chunks(self, kind: str, counts: list) -> Iterator[Any]:
        for count in counts:
            yield made(kind, count)

    @tool
    async def chunks_later(self, kind: str, counts: list) -> AsyncIterator[Any]:
        for count in counts:
            yield made(kind, count)

    @tool
    def ask(self, name: str, kind: str, given: int, wanted: int) -> Any:
        """How large the host tool's answer is, or the code of its error and what it says."""
        try:
            answer = self.host_tools[name](made(kind, given), wanted)
            return len(answer) if isinstance(answer, (str, bytes)) else [len(item) for item in answer]
        except HostToolError as error:
            return [error.code, error.message]

    @tool
    def wait(self) -> str:
        self._go_on.wait(30)
        return "undisturbed"

    @tool
    def release(self) -> None:
        self._go_on.set()


class Keeping(BaseAdapter):
    """Keeps of each session as many bytes as its last call has said."""

    @tool
    def keep(self, count: int, answer: int = 0) -> str:
        self.session.state["count"] = count
        return "x" * answer

    @tool
    def kept(self) -> int:
        return int(self.session.state["count"])

    def snapshot(self, session: Any) -> Any:
        return bytes(session.state["count"])

    def restore(self, session: Any, data: Any) -> None:
        session.state["count"] = len(data)
