"""Adapters that call host tools: sync and async, streams, nested, cancelled."""

from __future__ import annotations

import asyncio
import contextvars
import os
import pathlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from snakepit_bridge import HostToolError
from snakepit_bridge.base_adapter import BaseAdapter, tool


class Calling(BaseAdapter):
    """Sync tools."""

    @tool
    def ask(self, name: str, args: list = [], kwargs: dict = {}, timeout: float = 0.0) -> Any:  # noqa: B006
        function = self.host_tools[name]
        if timeout:
            function = function.options(timeout=timeout)
        return function(*args, **kwargs)

    @tool
    def ask_twice(self, name: str) -> list[Any]:
        return [self.host_tools[name](number) for number in range(2)]

    @tool
    def collect(self, name: str, args: list = [], limit: int = -1) -> list[Any]:  # noqa: B006
        found = []
        for item in self.host_tools[name](*args):
            found.append(item)
            if len(found) == limit:
                break
        return found

    @tool
    def relay(self, name: str, args: list = []) -> Iterator[Any]:  # noqa: B006
        yield from self.host_tools[name](*args)

    @tool
    def drop(self, name: str) -> int:
        items = self.host_tools[name]()
        next(items)
        del items
        time.sleep(2)
        return 1

    @tool
    def names(self) -> list[str]:
        return sorted(self.host_tools)

    @tool
    def offers(self, name: str) -> bool:
        return name in self.host_tools

    @tool
    def handled(self, name: str) -> dict[str, Any]:
        try:
            self.host_tools[name]()
        except HostToolError as error:
            return {"code": error.code, "type": error.type, "message": error.message, "traceback": error.traceback, "text": str(error)}
        return {}

    @tool
    def unsendable(self, name: str) -> Any:
        return self.host_tools[name](object())

    @tool
    def in_thread(self, name: str) -> Any:
        found: list[Any] = []
        context = contextvars.copy_context()
        thread = threading.Thread(target=lambda: found.append(context.run(self.call_by_name, name)))
        thread.start()
        thread.join()
        return found[0]

    def call_by_name(self, name: str) -> Any:
        return self.host_tools[name]()

    @tool
    def after_its_end(self, name: str, path: str) -> None:
        context = contextvars.copy_context()

        def later() -> None:
            time.sleep(0.3)
            try:
                context.run(self.call_by_name, name)
            except RuntimeError as error:
                pathlib.Path(path).write_text(str(error), encoding="utf-8")

        threading.Thread(target=later).start()

    @tool
    def binary(self, name: str, size: int) -> Any:
        return self.host_tools[name].options(binary_parameters={"blob": b"x" * size})(note="n")

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    @tool
    def loop_of_its_own(self, name: str) -> Any:
        async def main() -> Any:
            return await self.host_tools[name]()

        return asyncio.run(main())

    @tool
    def give(self, name: str) -> Any:
        return self.host_tools[name]()

    @tool
    def as_attribute(self) -> str:
        try:
            self.host_tools.double(1)
        except AttributeError as error:
            return str(error)
        return ""

    @tool
    def metadata(self) -> Any:
        return self.session.metadata


class AsyncCalling(BaseAdapter):
    """Async tools, several at once."""

    concurrency = 16

    @tool
    async def ask(self, name: str, args: list = []) -> Any:  # noqa: B006
        return await self.host_tools[name](*args)

    @tool
    async def gather(self, name: str, count: int) -> list[Any]:
        return list(await asyncio.gather(*(self.host_tools[name](number) for number in range(count))))

    @tool
    async def collect(self, name: str, args: list = [], limit: int = -1) -> list[Any]:  # noqa: B006
        found = []
        async for item in await self.host_tools[name](*args):
            found.append(item)
            if len(found) == limit:
                break
        return found

    @tool
    async def relay(self, name: str, args: list = []) -> AsyncIterator[Any]:  # noqa: B006
        async for item in await self.host_tools[name](*args):
            yield item

    @tool
    async def drop(self, name: str) -> int:
        items = await self.host_tools[name]()
        await items.__anext__()
        del items
        await asyncio.sleep(2)
        return 1

    @tool
    def sync_ask(self, name: str) -> Any:
        return self.host_tools[name]()

    @tool
    async def forget(self, name: str, *, inside: bool = False) -> Any:
        answer = self.host_tools[name](1)
        return {"answer": answer} if inside else answer

    @tool
    async def give(self, name: str) -> Any:
        return await self.host_tools[name](3)
