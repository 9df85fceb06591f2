"""`replay`: what `snakepit run --record` wrote, as a worker."""

from __future__ import annotations

import os
import pathlib
from typing import Any, Unpack

from snakepit.config import PoolSettings
from snakepit.errors import ConfigurationError
from snakepit_bridge.testing import player_of, read_recording

from .memory import AsyncMemoryPool, MemoryPool, kill


def replay(*files: str | os.PathLike[str], delays: bool = True, **settings: Unpack[PoolSettings]) -> MemoryPool:
    """A pool whose tools do again what was recorded: chunks, reports, and the end, also an error or the worker's death.

    Whatever arguments a tool is called with, it plays its recording; of several recordings of one tool each call plays the next, and
    further calls the last. A recorded timeout or cancel plays a tool that goes on until its own caller ends it.

    Args:
        files: recordings, as `snakepit run --record FILE` writes them.
        delays: each step comes as long after the call as it had; False: at once.
        **settings: as for `MemoryPool`; one worker unless `size` says otherwise.

    Raises:
        ConfigurationError: a file cannot be read, or is no recording.
    """
    played = _Played(files, delays)
    settings.setdefault("size", 1)
    pool = played.pool = MemoryPool(played.tools, **settings)
    return pool


def replay_async(*files: str | os.PathLike[str], delays: bool = True, **settings: Unpack[PoolSettings]) -> AsyncMemoryPool:
    """`replay` for asyncio."""
    played = _Played(files, delays)
    settings.setdefault("size", 1)
    pool = played.pool = AsyncMemoryPool(played.tools, **settings)
    return pool


class _Played:
    """The recordings of some files as tools, and the pool that they run in."""

    pool: MemoryPool | AsyncMemoryPool | None = None

    def __init__(self, files: tuple[str | os.PathLike[str], ...], delays: bool) -> None:
        if not files:
            raise ConfigurationError("replay() has no file; allowed are one or more that `snakepit run --record FILE` has written")
        by_tool: dict[str, list[Any]] = {}
        for name in files:
            try:
                recording = read_recording(pathlib.Path(name).read_bytes().splitlines())
            except OSError as error:
                raise ConfigurationError(f"the recording {os.fspath(name)} cannot be read: {error.strerror or error}") from error
            except ValueError as error:
                hint = "`snakepit run TOOL --record FILE` writes one"
                raise ConfigurationError(f"{os.fspath(name)} is no recording: {error}", hint=hint) from error
            by_tool.setdefault(recording.tool, []).append(recording)
        self.tools = [player_of(recordings, delays, self._crash) for recordings in by_tool.values()]

    def _crash(self, worker_id: str) -> None:
        for worker in self.pool.workers() if self.pool is not None else ():
            if worker.id == worker_id:
                kill(worker)
