"""What the tests of workers share: one way to call both faces of a pool, and where the adapters under test are."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import leftovers
import snakepit

ADAPTERS = pathlib.Path(__file__).parent / "adapters"


def adapter(file: str, name: str) -> str:
    """The reference of a class or function of a file in `adapters/`."""
    return f"{ADAPTERS / file}.py:{name}"


class SyncFace:
    """Calls on a `Pool`."""

    def __init__(self, pool: snakepit.Pool) -> None:
        self.pool = pool

    def execute(self, tool: str, args: dict[str, Any] | None = None, **options: Any) -> Any:
        """`execute`."""
        return self.pool.execute(tool, args, **options)

    def stream(self, tool: str, args: dict[str, Any] | None = None, *, take: Callable[[Any], Any] = list, **options: Any) -> Any:
        """What `take` makes of the stream's chunks."""
        return take(self.pool.stream(tool, args, **options))

    def values(self, tool: str, args: dict[str, Any] | None = None, **options: Any) -> list[Any]:
        """All of `values()`."""
        return list(self.pool.stream(tool, args, **options).values())

    def result_of(self, tool: str, args: dict[str, Any] | None = None) -> Any:
        """`stream.result` after the end."""
        stream = self.pool.stream(tool, args)
        assert stream.result is None
        for _ in stream:
            pass
        return stream.result


class AsyncFace:
    """The same calls on an `AsyncPool`; its loop runs while a call does."""

    def __init__(self, pool: snakepit.AsyncPool, runner: asyncio.Runner) -> None:
        self.pool = pool
        self.run = runner.run

    def execute(self, tool: str, args: dict[str, Any] | None = None, **options: Any) -> Any:
        """`await execute`."""
        return self.run(self.pool.execute(tool, args, **options))

    def stream(self, tool: str, args: dict[str, Any] | None = None, *, take: Callable[[Any], Any] = list, **options: Any) -> Any:
        """What `take` makes of the stream's chunks."""
        stream = None

        async def following() -> Any:
            nonlocal stream
            stream = stream or aiter(self.pool.stream(tool, args, **options))
            return await anext(stream)

        def chunks() -> Iterator[Any]:
            with contextlib.suppress(StopAsyncIteration):
                while True:
                    yield self.run(following())

        return take(chunks())

    def values(self, tool: str, args: dict[str, Any] | None = None, **options: Any) -> list[Any]:
        """All of `values()`."""

        async def collect() -> list[Any]:
            return [value async for value in self.pool.stream(tool, args, **options).values()]

        return self.run(collect())

    def result_of(self, tool: str, args: dict[str, Any] | None = None) -> Any:
        """`stream.result` after the end."""

        async def read() -> Any:
            stream = self.pool.stream(tool, args)
            assert stream.result is None
            async for _ in stream:
                pass
            return stream.result

        return self.run(read())


@contextlib.contextmanager
def face_of(kind: str, adapter: Any, **settings: Any) -> Iterator[SyncFace | AsyncFace]:
    """A started pool of one worker (unless `size` says otherwise), by its sync or async face."""
    settings.setdefault("size", 1)
    settings.setdefault("cwd", str(ADAPTERS))
    if kind == "sync":
        with snakepit.Pool(adapter, **settings) as pool:
            yield SyncFace(pool)
        return
    with asyncio.Runner() as runner:
        pool = snakepit.AsyncPool(adapter, **settings)
        runner.run(pool.start())
        try:
            yield AsyncFace(pool, runner)
        finally:
            runner.run(pool.close())


@contextlib.contextmanager
def nothing_left(factory: pytest.TempPathFactory) -> Iterator[None]:
    """`leaves_nothing` around a whole module: for pools whose workers are replaced while its tests run."""
    factory.getbasetemp()  # pytest's own directory, made on first use, must not land in there
    with leftovers.watched():
        yield
