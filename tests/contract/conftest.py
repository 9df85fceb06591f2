"""The executors that the contract of executors is for: the standard library's, and ours over two protocols."""

from __future__ import annotations

import concurrent.futures
import gc
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from typing import Any

import pytest

import snakepit


def standard(workers: int = 2, **options: Any) -> concurrent.futures.Executor:
    return concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), **options)


def ours(workers: int = 2, protocol: str = "msgpack", **options: Any) -> concurrent.futures.Executor:
    return snakepit.Pool("snakepit_bridge.functions", size=workers, protocol=protocol, allow_pickle=True).as_executor(**options)


def over_grpc(workers: int = 2, **options: Any) -> concurrent.futures.Executor:
    return ours(workers, "grpc", **options)


@pytest.fixture(params=[standard, ours, over_grpc], ids=["ProcessPoolExecutor", "msgpack", "grpc"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., concurrent.futures.Executor]]:
    """Makes an executor of one kind."""
    if request.param is not standard:
        request.getfixturevalue("leaves_nothing")
    yield request.param
    if request.param is standard:  # it leaves a process that lives as long as this one, and ends in its own time
        end = time.monotonic() + 20
        while any(type(thread).__name__ == "_ExecutorManagerThread" for thread in threading.enumerate()) and time.monotonic() < end:
            time.sleep(0.01)
        gc.collect()
        tracker: Any = resource_tracker
        tracker._resource_tracker._stop()
