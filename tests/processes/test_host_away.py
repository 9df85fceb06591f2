"""A host that was stopped, or whose loop was held up, reads first what has come meanwhile: then it judges."""

from __future__ import annotations

import asyncio
import pathlib
import time

import pytest

import snakepit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

TOOLS = """
import os, pathlib, time
from snakepit_bridge import BaseAdapter, tool

class Model(BaseAdapter):
    def initialize(self):
        self.loaded = os.urandom(4).hex()

    @tool
    def nap(self, folder: str):
        (pathlib.Path(folder) / "napping").touch()
        time.sleep(60)

    @tool
    def model(self) -> str:
        return self.loaded
"""


@pytest.fixture
def tools(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "model.py"
    path.write_text(TOOLS)
    return str(path)


@pytest.mark.parametrize("protocol", ["msgpack", "grpc"])
async def test_a_worker_that_has_obeyed_is_not_killed(tools: str, tmp_path: pathlib.Path, protocol: str) -> None:
    """The word that the call has ended lay there before the patience was over."""
    async with snakepit.AsyncPool(tools, size=1, protocol=protocol, cancel_timeout=0.5) as pool:
        model = await pool.execute("model")
        task = pool.submit("nap", {"folder": str(tmp_path)})
        while not (tmp_path / "napping").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0.005)  # the cancel leaves
        time.sleep(1.2)  # noqa: ASYNC251 - the application holds the loop up
        assert await pool.execute("model") == model
        assert pool.stats().killed == 0


@pytest.mark.parametrize("protocol", ["msgpack", "grpc"])
async def test_a_result_that_came_in_time_counts(tools: str, protocol: str) -> None:
    """Although its deadline has passed when it is read."""
    async with snakepit.AsyncPool(tools, size=1, protocol=protocol) as pool:
        model = await pool.execute("model")
        task = pool.submit("model", timeout=0.5)
        await asyncio.sleep(0.002)
        time.sleep(1.2)  # noqa: ASYNC251 - as above
        assert await task == model


async def test_a_deadline_is_told_also_after_that(tools: str, tmp_path: pathlib.Path) -> None:
    """Where nothing has come."""
    async with snakepit.AsyncPool(tools, size=1) as pool:
        await pool.execute("model")
        task = pool.submit("nap", {"folder": str(tmp_path)}, timeout=0.5)
        await asyncio.sleep(0.05)
        time.sleep(1.0)  # noqa: ASYNC251 - as above
        began = time.monotonic()
        with pytest.raises(snakepit.WorkerTimeout):
            await task
        assert time.monotonic() - began < 0.5
