"""`run_tool`: one tool by itself, with all that it finds around it in a worker."""

from __future__ import annotations

import asyncio
import pathlib
from typing import Any

import pytest

import snakepit_bridge
from snakepit.testing import run_tool, run_tool_async
from snakepit_bridge import BaseAdapter, HostToolError, StreamChunk, tool

pytestmark = pytest.mark.usefixtures("leaves_nothing")


class Shop(BaseAdapter):
    """Sync tools, with hooks that leave traces."""

    seen: list[str] = []

    def initialize(self) -> None:
        self.seen.append("initialize")

    def cleanup(self) -> None:
        self.seen.append("cleanup")

    def on_session_start(self, session: Any) -> None:
        session.state["basket"] = ["bag"]

    @tool
    def price(self, article: str, folder: pathlib.Path = pathlib.Path()) -> list[Any]:
        return [article, self.host_tools["rate"](2), type(folder).__name__, self.context.remaining is not None]

    @tool
    def put(self, article: str) -> list[str]:
        self.session.state["basket"].append(article)
        return self.session.state["basket"] + [self.session.metadata.get("name")]

    @tool
    def restock(self, n: int):  # type: ignore[no-untyped-def]
        try:
            for number in range(n):
                self.progress(number + 1, n)
                yield {"n": number}
            return "all"
        finally:
            self.seen.append(f"left, cancelled: {self.context.cancelled}")

    @tool
    def rows(self) -> list[int]:
        return sorted(self.host_tools) and list(self.host_tools["rows"](3))

    @tool
    def wrap(self):  # type: ignore[no-untyped-def]
        yield StreamChunk({"a": (1, 2)}, is_final=True)

    @tool
    def odd(self) -> object:
        return object()

    @tool
    def fail(self) -> None:
        raise KeyError("sold out")


class AsyncShop(BaseAdapter):
    """The same on a loop."""

    async def initialize(self) -> None:
        self.ready = True

    @tool
    async def price(self) -> Any:
        return [self.ready, await self.host_tools["rate"](2)]

    @tool
    async def rows(self):  # type: ignore[no-untyped-def]
        async for row in await self.host_tools["rows"](10):
            yield row


def rate(n: int) -> float:
    return n * 1.5


def rows(n: int):  # type: ignore[no-untyped-def]
    yield from range(n)


async def rate_async(n: int) -> float:
    await asyncio.sleep(0)
    return n * 2.5


def test_a_tool_finds_its_surroundings() -> None:
    """Converted arguments, host tools, a deadline; its adapter is initialized and cleaned up."""
    Shop.seen.clear()
    run = run_tool(Shop, "price", {"article": "tea", "folder": "/tmp"}, host_tools={"rate": rate}, timeout=3.0)
    assert run.result == ["tea", 3.0, "PosixPath", True]
    assert Shop.seen == ["initialize", "cleanup"]
    assert run.context.tool == "price"
    assert run_tool(Shop, "price", {"article": "tea"}, host_tools={"rate": rate_async}).result[1] == 5.0
    assert repr(run).startswith("<ToolRun of 'price'")


def test_a_session_goes_on_from_run_to_run() -> None:
    """Its start hook runs once; its metadata are there; an object that is given stays as it is."""
    shop = Shop()
    first = run_tool(shop, "put", {"article": "tea"}, session="s-1", metadata={"name": "Ada"})
    second = run_tool(shop, "put", {"article": "rice"}, session=first.session)
    assert first.result == ["bag", "tea", "Ada"]
    assert second.result == ["bag", "tea", "rice", "Ada"]
    assert second.session.id == "s-1"


def test_a_stream_gives_chunks_progress_and_its_return_value() -> None:
    """To the end, or as far as its caller reads: then it is closed, as when a caller leaves."""
    Shop.seen.clear()
    run = run_tool(Shop, "restock", {"n": 2})
    assert (run.chunks, run.result) == ([{"n": 0}, {"n": 1}], "all")
    assert run.progress[-1] == {"progress": 2, "total": 2, "percent": 100.0}
    left = run_tool(Shop, "restock", {"n": 10**9}, chunks=3)
    assert len(left.chunks) == 3
    assert Shop.seen[1] == "left, cancelled: False"
    assert Shop.seen[-2:] == ["left, cancelled: True", "cleanup"]
    assert run_tool(Shop, "wrap").chunks == [{"a": (1, 2)}], "as a caller gets it"


def test_host_tools_may_stream_and_are_listed() -> None:
    """A generator of the test stands for one of the application."""
    assert run_tool(Shop, "rows", host_tools={"rows": rows}).result == [0, 1, 2]
    with pytest.raises(HostToolError, match="offers no host tool of this name; there are: none") as caught:
        run_tool(Shop, "price", {"article": "tea"})
    assert caught.value.code == "unknown_tool"

    def broken(_n: int) -> float:
        raise OSError("no rates today")

    with pytest.raises(HostToolError, match="raised OSError: no rates today"):
        run_tool(Shop, "price", {"article": "tea"}, host_tools={"rate": broken})


def test_what_goes_wrong_is_told_as_it_is() -> None:
    """The tool's own exception; what cannot travel; arguments that do not fit; a tool that is not there."""
    with pytest.raises(KeyError, match="sold out"):
        run_tool(Shop, "fail")
    with pytest.raises(TypeError, match="result of 'odd' is a object, which cannot travel"):
        run_tool(Shop, "odd")
    with pytest.raises(ValueError, match="argument .folder. must be"):
        run_tool(Shop, "price", {"article": "tea", "folder": 3})
    with pytest.raises(LookupError, match="there is no tool 'prise'; there are fail, odd, price"):
        run_tool(Shop, "prise")
    with pytest.raises(RuntimeError, match="no call is running"):
        snakepit_bridge.current_call()


async def test_async_tools_run_in_the_tests_loop() -> None:
    """Awaited host tools and async generators; sync tools too."""
    assert (await run_tool_async(AsyncShop, "price", host_tools={"rate": rate_async})).result == [True, 5.0]
    assert (await run_tool_async(AsyncShop, "rows", host_tools={"rows": rows}, chunks=4)).chunks == [0, 1, 2, 3]
    assert (await run_tool_async(Shop, "restock", {"n": 1})).result == "all"
    with pytest.raises(TypeError, match="sesion is no option; allowed are session"):
        await run_tool_async(Shop, "fail", sesion="s")


def test_async_tools_need_no_loop_of_the_test() -> None:
    """`run_tool` makes one."""
    assert run_tool(AsyncShop, "price", host_tools={"rate": rate}).result == [True, 3.0]
    assert run_tool(AsyncShop, "rows", host_tools={"rows": rows}).chunks == list(range(10))
