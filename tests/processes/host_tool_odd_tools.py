"""Adapters that call host tools in odd ways: wrong names and options, many streams at once, two readers of one, a sync call in a loop."""

from __future__ import annotations

import asyncio
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from snakepit_bridge.base_adapter import BaseAdapter, tool

NAMES = [5, None, b"name", "\ud800"]
BINARY = [{"blob": 5}, {5: b"x"}, {"\ud800": b"x"}, [b"x"]]


class Odd(BaseAdapter):
    """Sync tools."""

    @tool
    def ask(self, name: str, args: list = []) -> Any:  # noqa: B006
        return self.host_tools[name](*args)

    @tool
    def ask_by(self, which: int) -> str:
        try:
            self.host_tools[NAMES[which]]  # type: ignore[index]
        except TypeError as error:
            return str(error)
        return ""

    @tool
    def send(self, name: str, blob: bytes) -> Any:
        return self.host_tools[name].options(binary_parameters={"blob": blob})()

    @tool
    def timeout(self, name: str, seconds: float) -> Any:
        return self.host_tools[name].options(timeout=seconds)()

    @tool
    def refused(self, name: str, timeout: str = "", binary: int = -1) -> str:
        options: dict[str, Any] = {"timeout": float(timeout)} if timeout else {"binary_parameters": BINARY[binary]}
        try:
            self.host_tools[name].options(**options)
        except (TypeError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    @tool
    def released(self, name: str) -> str:
        view = memoryview(b"x")
        view.release()
        try:
            self.host_tools[name].options(binary_parameters={"blob": view})
        except TypeError as error:
            return str(error)
        return ""

    @tool
    def chained(self, name: str) -> Any:
        return self.host_tools[name].options(timeout=0.1).options(binary_parameters={"blob": b"x"})()

    @tool
    def unlimited(self, name: str) -> Any:
        return self.host_tools[name].options(timeout=0.05).options(timeout=None)()

    @tool
    def zipped(self, name: str, streams: int, rows: int) -> int:
        return sum(1 for items in zip(*(self.host_tools[name](rows) for _ in range(streams)), strict=True) if len(set(items)) == 1)

    @tool
    def hold(self, name: str, streams: int, other: str) -> list[Any]:
        held = [self.host_tools[name](100_000) for _ in range(streams)]
        return [self.host_tools[other](), *[next(items) for items in held]]

    @tool
    def hold_still(self, name: str, seconds: float) -> int:
        items = self.host_tools[name]()
        time.sleep(seconds)
        return next(items)

    @tool
    def until_it_fails(self, name: str) -> list[Any]:
        items, found = self.host_tools[name](), []
        time.sleep(0.2)  # the host is as far ahead as it may be
        try:
            found.extend(items)
        except Exception as error:
            found.append(type(error).__name__)
        return found

    @tool
    def mark_later(self, path: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                time.sleep(0.01)
        except BaseException as error:
            _write(path, type(error).__name__)
            raise
        _write(path, "finished")

    @tool
    def rest(self, seconds: float) -> str:
        time.sleep(seconds)
        return "rested"

    @tool
    def numbers(self, count: int) -> Iterator[int]:
        yield from range(count)

    @tool
    def names(self) -> list[str]:
        return list(self.host_tools)

    @tool
    def pid(self) -> int:
        return os.getpid()


class OddAsync(BaseAdapter):
    """Async tools and a sync one, four calls at once."""

    concurrency = 4

    @tool
    async def ask(self, name: str) -> Any:
        return await self.host_tools[name]()

    @tool
    def sync_ask(self, name: str) -> Any:
        return self.host_tools[name]()

    @tool
    def block(self, seconds: float) -> int:
        time.sleep(seconds)
        return os.getpid()

    @tool
    async def pid(self) -> int:
        return os.getpid()

    @tool
    async def two_readers(self, name: str, rows: int) -> list[Any]:
        items = await self.host_tools[name](rows)

        async def read() -> int:
            return sum([1 async for _ in items])

        return [found if isinstance(found, int) else str(found) for found in await asyncio.gather(read(), read(), return_exceptions=True)]


def _write(path: str, text: str) -> None:
    pathlib.Path(path).write_text(text, encoding="utf-8")
