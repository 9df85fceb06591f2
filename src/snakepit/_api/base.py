"""What `Pool` and `AsyncPool` share: their settings, whether they may be used here, and the views on a running engine."""

from __future__ import annotations

import os
import sys
from typing import Any

from snakepit._pool.engine import Engine
from snakepit._pool.failures import closed, forked
from snakepit._pool.stats import PoolStats
from snakepit._pool.tools import ToolSpec
from snakepit._workers.worker import Worker, WorkerInfo
from snakepit.config import Adapter, PoolConfig, pool_config
from snakepit.errors import PlatformUnsupported


class WorkerHandle:
    """One worker of a pool, for looking at."""

    __slots__ = ("_worker", "id")

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        #: such as `worker-1`
        self.id = worker.id

    @property
    def pid(self) -> int | None:
        """Its process id; None if it was never started."""
        return self.info().pid

    def info(self) -> WorkerInfo:
        """What is known of it now."""
        return self._worker.info()

    def __repr__(self) -> str:
        info = self.info()
        return f"<WorkerHandle {self.id} pid={info.pid} {info.state}>"


class PoolBase:
    """Settings, fork check, and views. Making one starts nothing."""

    def __init__(self, adapter: Adapter, settings: dict[str, Any]) -> None:
        if sys.platform == "win32":
            raise PlatformUnsupported("a pool needs Linux or macOS", hint="on Windows, run it under WSL")
        self._adapter = adapter
        self._config: PoolConfig = pool_config(settings)
        self._engine: Engine | None = None
        self._closed = False
        self._pid = os.getpid()

    def stats(self) -> PoolStats:
        """The pool's figures now, frozen."""
        if self._engine is None:
            return PoolStats(size=self._config.size)
        return self._engine.stats()

    def workers(self) -> tuple[WorkerHandle, ...]:
        """Handles of the workers there are now."""
        return tuple(map(WorkerHandle, self._engine.workers())) if self._engine is not None else ()

    def _usable(self) -> None:
        if self._pid != os.getpid():
            raise forked(self._pid)
        if self._closed:
            raise closed()

    def _specs(self) -> tuple[ToolSpec, ...]:
        return tuple(self._engine.tools.values()) if self._engine is not None else ()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "not started" if self._engine is None else "running"
        return f"<{type(self).__name__} of {self._config.size}, {state}>"
