"""Pools for tests: `MemoryPool` runs an adapter's tools on threads of this process, over the same frames as every other pool.

    with snakepit.testing.MemoryPool("my_app.tools:MyAdapter", size=1) as pool:
        assert pool.execute("add", {"a": 2}) == 4

Quick to start (some milliseconds), easy to debug, and mocks and patches of the test reach the tools. What only a process can do
is missing: a tool that blocks in C is not interrupted, and one that ends its process ends the test.
"""

from __future__ import annotations

import asyncio
import functools
import os
import pathlib
from collections.abc import Callable, Sequence
from types import FunctionType, ModuleType
from typing import Any, Unpack

from snakepit._api.async_pool import AsyncPool
from snakepit._api.base import WorkerHandle
from snakepit._api.pool import Pool
from snakepit._channel.carrier import Ends
from snakepit._workers.adapter_reference import resolve
from snakepit._workers.launchers import Launcher, LaunchSpec, PlainLauncher
from snakepit.config import Adapter, PoolSettings
from snakepit.errors import ConfigurationError
from snakepit_bridge.testing import MemoryWorker

from .faults import Faults
from .lanes import Lane


class _MemoryProcess:
    """A worker in this process in the place of a process, and the carrier of its channel. Lives on the pool's loop."""

    def __init__(self, spec: LaunchSpec, adapter: Sequence[Any], faults: Faults | None) -> None:
        self._loop = asyncio.get_running_loop()
        self.pid: int | None = os.getpid()
        self.rss = 0
        self.report: asyncio.Future[dict[str, Any] | None] = self._loop.create_future()
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self.channel = self
        self._ends: Ends | None = None
        self._flushing: asyncio.Handle | None = None
        self._worker = MemoryWorker(
            adapter,
            spec.worker_id,
            spec.threads,
            functools.partial(self._post, self._reported),
            functools.partial(self._post, self._received),
            functools.partial(self._post, self._over),
        )
        self._deliver: Callable[[bytes], None] = self._worker.receive  # to the worker
        self._arrive: Callable[[bytes], None] = self._arrived  # from the worker
        self._lanes: list[Lane] = []
        if faults is not None:
            inward = Lane(faults, spec.worker_id, "to_host", self._arrived, self.kill)
            outward = Lane(faults, spec.worker_id, "to_worker", self._worker.receive, self.kill)
            self._lanes = [inward, outward]
            self._arrive, self._deliver = inward.take, outward.take
        self._worker.start()

    def terminate(self) -> None:
        """Ask it to end."""
        self._worker.hang_up()

    def look(self, then: Callable[[str], None]) -> None:
        """Its threads are this process's own."""
        then("")

    def kill(self) -> None:
        """End it."""
        for lane in self._lanes:
            lane.cut()
        self._worker.kill()

    # The carrier ----------------------------------------------------------------------------------------------------------------

    def begin(self, codec: str) -> None:
        """Open the channel."""
        for lane in self._lanes:
            lane.begin(codec)
        self._worker.attach(codec)

    def start(self, ends: Ends, create_task: Callable[..., asyncio.Task[None]], name: str) -> None:
        """Begin to carry."""
        self._ends = ends

    def wake(self) -> None:
        """Something waits to be written."""
        if self._flushing is None:
            self._flushing = self._loop.call_soon(self._flush)

    def finish(self) -> None:
        """Nothing more will be written: there is nothing to close before the worker has ended."""

    async def close(self) -> None:
        """Hang up. The worker's thread ends with the tools that run on it, at the latest when Python code of theirs runs on."""
        self._worker.hang_up()
        self._closed("the worker has ended")

    def _flush(self) -> None:
        self._flushing = None
        while self._ends is not None and (message := self._ends.next_message()) is not None:
            self._deliver(message)

    def _post(self, function: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop has been closed under an open pool: nobody is left to be told
            self._worker.hang_up()

    def _reported(self, report: dict[str, Any]) -> None:
        if not self.report.done():
            self.report.set_result(report)

    def _received(self, message: bytes) -> None:
        self._arrive(message)

    def _arrived(self, message: bytes) -> None:
        if self._ends is not None and not self.exited.done() and not self._ends.receive(message):
            self._closed("the worker broke the protocol")

    def _over(self, status: int) -> None:
        if not self.exited.done():
            self.exited.set_result(status)
        if not self.report.done():
            self.report.set_result(None)
        self._closed("the worker has ended")

    def _closed(self, reason: str) -> None:
        ends, self._ends = self._ends, None
        if ends is not None:
            ends.closed(reason)


class _MemoryLauncher(PlainLauncher):
    """Starts workers inside this process, with the very classes and functions that the pool was given.

    Raises:
        ConfigurationError: the adapter is none.
    """

    name = "memory"

    def __init__(self, adapter: Adapter, faults: Faults | None) -> None:
        self._faults = faults
        items = list(adapter) if isinstance(adapter, (list, tuple)) and adapter else [adapter]
        self._adapter = [found for item in items for found in ([item] if _is_tools(item) else resolve(item, _no_directory))]

    def start(self, spec: LaunchSpec, on_output: Callable[[str, str, str], None]) -> _MemoryProcess:
        """Start a worker; what it prints goes where this process prints."""
        return _MemoryProcess(spec, self._adapter, self._faults)

    async def close(self) -> None:
        """Nothing is left: its workers end by themselves."""


class MemoryPool(Pool):
    """A `Pool` whose workers are threads of this process; `stats().protocol` is `memory`.

    Args:
        adapter: as for `Pool`. Classes and functions are used as they are, also those that were made inside a function.
        faults: what goes wrong on its channels; None: nothing.
        **settings: as for `Pool`, without those of a worker's process and its channel.

    Raises:
        ConfigurationError: a setting is wrong, or only makes sense for a process.
    """

    def __init__(self, adapter: Adapter = None, *, faults: Faults | None = None, **settings: Unpack[PoolSettings]) -> None:
        _refuse_settings_of_processes(settings)
        self._faults = faults
        super().__init__(adapter, **settings)

    def _launcher(self) -> Launcher:
        return _MemoryLauncher(self._adapter, self._faults)


class AsyncMemoryPool(AsyncPool):
    """The same for asyncio: an `AsyncPool`."""

    def __init__(self, adapter: Adapter = None, *, faults: Faults | None = None, **settings: Unpack[PoolSettings]) -> None:
        _refuse_settings_of_processes(settings)
        self._faults = faults
        super().__init__(adapter, **settings)

    def _launcher(self) -> Launcher:
        return _MemoryLauncher(self._adapter, self._faults)


def _is_tools(item: Any) -> bool:
    return isinstance(item, (type, FunctionType, ModuleType)) and getattr(item, "__name__", "") != "<lambda>"


def _no_directory() -> pathlib.Path:
    raise ConfigurationError("adapter: this cannot be found again by name", hint="give the class or function itself")


def _refuse_settings_of_processes(settings: PoolSettings) -> None:
    for name in ("launcher", "protocol", "python", "command", "base_port", "env", "cwd", "hang_timeout"):
        if settings.get(name) is not None:
            message = f"{name} is given, and a worker inside this process has none of its own"
            raise ConfigurationError(message, hint=f"leave {name} out; a Pool, whose workers are processes, has it", field=name)


def kill(worker: WorkerHandle) -> None:
    """End a worker of a pool without a word, whatever it is made of: how code takes a crash can be tested.

    Args:
        worker: one of `pool.workers()`.
    """
    worker._worker.kill()
