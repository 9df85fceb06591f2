"""`snakepit.Pool`, with the settings of one contestant; many small calls by futures, or by `map`.

../README.md, ../docs/reference/api.md
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import snakepit

from . import player

TOOLS = "benchmarks.peers.our_tools"


class Player(player.Player):
    """Tools are called by name, with arguments by name."""

    def __init__(self, *, mapped: bool = False, at_once: bool = False, loop: str = "auto", **settings: Any) -> None:
        logging.getLogger("snakepit").setLevel(logging.ERROR)  # It warns of each worker that is gone.
        os.environ["SNAKEPIT_LOOP"] = loop  # uvloop's, which this project's environment has, where nothing else is said
        self._mapped = mapped
        self._at_once = at_once
        self._settings = {"protocol": "msgpack", **settings}

    @contextlib.contextmanager
    def opened(self, workers: int) -> Iterator[snakepit.Pool]:
        with snakepit.Pool(TOOLS, size=workers, **self._settings) as pool:
            yield pool

    def warm(self, pool: Any, workers: int) -> None:
        while self.ready(pool) < workers:  # A worker that is up takes the calls of one that is not yet.
            self.pause(pool, 0.005)
        super().warm(pool, workers)

    def ready(self, pool: Any) -> int:
        """How many workers are."""
        return int(pool.stats().workers_ready)

    def submit(self, pool: snakepit.Pool, tool: Callable[..., Any], *args: Any) -> Any:
        return pool.submit(tool.__name__, by_name(tool, args))

    def result(self, handle: Any) -> Any:
        return handle.result(30)

    def call(self, pool: snakepit.Pool, tool: Callable[..., Any], *args: Any) -> Any:
        return pool.execute(tool.__name__, by_name(tool, args))

    def many(self, pool: snakepit.Pool, window: int, count: int) -> Iterator[Any]:
        if self._mapped:
            return iter(pool.map("echo", ({"value": {"x": i}} for i in range(count)), window=window))
        return super().many(pool, window, count)

    def chunks(self, pool: snakepit.Pool, count: int, size: int = 0) -> Iterable[dict[str, Any]]:
        return pool.stream("chunks", {"count": count, "size": size}).values()

    def pieces(self, pool: snakepit.Pool, tool: Callable[..., Any], *args: Any) -> Iterable[dict[str, Any]]:
        if self._at_once:
            return super().pieces(pool, tool, *args)
        return pool.stream(tool.__name__, by_name(tool, args)).values()

    def session(self, pool: snakepit.Pool) -> Callable[[], Any]:
        session = pool.session()
        args = {"key": session.id}
        return lambda: session.execute("count_up", args)

    def cancel_one(self, pool: snakepit.Pool, handle: Any) -> None:
        handle.cancel()

    def after_cancel(self, pool: snakepit.Pool, workers: int) -> player.Figures:
        return {"model": all(pool.map("loaded", [{"seconds": 0.1}] * workers))}


def by_name(tool: Callable[..., Any], args: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(_names(tool), args, strict=False))


@functools.cache
def _names(tool: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(tool).parameters)
