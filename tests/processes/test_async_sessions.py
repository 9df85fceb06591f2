"""Sessions of an `AsyncPool`: what `test_pool_sessions` shows of `Pool`, awaited."""

from __future__ import annotations

import asyncio
import pathlib
from typing import Any

import pytest

import snakepit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

TOOLS = "session_tools:SessionTools"


async def test_a_conversation() -> None:
    """State, metadata, streams, submitted calls and functions of one session, all on one worker."""
    async with snakepit.AsyncPool(TOOLS, size=2) as pool:
        async with pool.session("user-1", ttl=60.0, metadata={"user": "ann"}) as session:
            first = await session.execute("count")
            assert (first["count"], first["session"]) == (1, "user-1")
            assert (await session.submit("count"))["count"] == 2
            assert (await session.tools.count())["count"] == 3
            assert [chunk.get("session") async for chunk in session.stream("numbers", {"count": 2})][:2] == ["user-1"] * 2
            assert await session.execute("metadata") == {"user": "ann"}
            info = await session.update(lambda metadata: {**metadata, "step": 2})
            assert dict(info.metadata) == {"user": "ann", "step": 2}
            assert (await session.info()).state == "bound"
            assert [item.id for item in await pool.sessions()] == ["user-1"]
        assert await pool.session_info("user-1") is None
        with pytest.raises(snakepit.SessionEnded):
            await session.execute("count")


async def test_programs() -> None:
    """Kept, found, listed, forgotten; the quota names the session."""
    async with snakepit.AsyncPool(TOOLS, size=1, max_programs_per_session=2) as pool, pool.session("p") as session:
        await session.put_program("one", {"code": b"1"})
        await session.put_program("two", 2)
        assert await session.programs() == ("one", "two")
        assert await session.get_program("one") == {"code": b"1"}
        with pytest.raises(snakepit.ProgramQuotaExceeded) as caught:
            await session.put_program("three", 3)
        assert caught.value.details["session_id"] == "p"
        assert await session.delete_program("two") is True
        assert await session.delete_program("two") is False


async def test_loss_and_rebinding() -> None:
    """A strict session says that it is lost until it is bound anew."""
    async with snakepit.AsyncPool(TOOLS, size=2, affinity="strict_queue") as pool:
        session = pool.session()
        await session.execute("count")
        with pytest.raises(snakepit.WorkerCrashed):
            await session.execute("die")
        with pytest.raises(snakepit.SessionLost):
            await session.execute("count")
        await session.rebind()
        assert (await session.execute("count"))["count"] == 1


async def test_a_session_that_is_not_open_cannot_be_streamed_from() -> None:
    """`stream` and `submit` do not wait, so they cannot open it; the error says how."""
    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        session = pool.session()
        for call in (lambda: session.stream("numbers", {"count": 1}), lambda: session.submit("count")):
            with pytest.raises(RuntimeError, match="await session.open"):
                call()
        await session.open()
        assert (await session.submit("count"))["count"] == 1


async def test_the_end_lets_the_state_go(tmp_path: pathlib.Path) -> None:
    """Within a second, without any further call."""
    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        async with pool.session() as session:
            await session.execute("keep_telltale", {"path": str(tmp_path / "gone")})
        async with asyncio.timeout(1.0):
            while not (tmp_path / "gone").exists():  # noqa: ASYNC110 - a file on this machine
                await asyncio.sleep(0.01)


async def test_a_hundred_sessions_at_once() -> None:
    """Each counts its own calls."""

    async def converse(number: int) -> list[int]:
        async with pool.session(f"s{number}", affinity="strict_queue") as session:
            found: list[Any] = [await session.execute("count") for _ in range(5)]
            return [item["count"] for item in found]

    async with snakepit.AsyncPool(TOOLS, size=2) as pool:
        assert await asyncio.gather(*map(converse, range(100))) == [[1, 2, 3, 4, 5]] * 100


async def test_a_call_opens_the_session_it_is_given() -> None:
    """`execute` and `submit` open it, `stream` says how; a session of another pool is refused, at once also by `submit`."""
    async with snakepit.AsyncPool(TOOLS, size=1) as pool, snakepit.AsyncPool(TOOLS, size=1) as other:
        session = pool.session("a", ttl=77.0, metadata={"user": "ann"})
        with pytest.raises(RuntimeError, match="the session has not been opened"):
            pool.stream("numbers", {"count": 1}, session_id=session)
        assert await pool.execute("metadata", session_id=session) == {"user": "ann"}
        assert (await session.info()).ttl == 77
        assert await pool.submit("metadata", session_id=pool.session("b", metadata={"user": "bob"})) == {"user": "bob"}
        stranger = await other.session("theirs").open()
        for call in (pool.submit, pool.stream):
            with pytest.raises(snakepit.InvalidParameter, match="belongs to another pool"):
                call("metadata", session_id=stranger)  # type: ignore[operator]
        with pytest.raises(snakepit.InvalidParameter, match="belongs to another pool"):
            await pool.execute("metadata", session_id=stranger)


async def test_a_handle_whose_session_is_over_says_so_when_it_is_opened() -> None:
    """`open()` and `async with` ask the store; what has not been lost is not bound anew."""
    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        session = await pool.session("a").open()
        assert await session.rebind() is False
        assert await (await session.open()).execute("has_session") is True
        await pool.end_session("a")
        with pytest.raises(snakepit.SessionEnded):
            await session.open()
        with pytest.raises(snakepit.SessionEnded):
            async with session:
                pass


async def test_tools_are_a_collection_of_names() -> None:
    """On the pool and on its sessions, as on the other face."""
    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        names = [spec.name for spec in pool.tool_specs()]
        for tools in (pool.tools, pool.session().tools):
            assert (list(tools), len(tools), "count" in tools, "nix" in tools) == (names, len(names), True, False)
            assert not hasattr(tools, "nix")
