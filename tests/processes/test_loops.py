"""The loop that the sync face runs on: uvloop's where it is installed, asyncio's where that is wanted."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

import snakepit
from pool_helpers import TOOLS
from snakepit._api.loop_thread import LoopThread
from snakepit._api.loops import new_loop
from snakepit.errors import ConfigurationError

pytestmark = [pytest.mark.usefixtures("leaves_nothing")]

uvloop = pytest.importorskip("uvloop")


@pytest.fixture(params=["", "auto", "uvloop", "asyncio"])
def loop_name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What SNAKEPIT_LOOP is."""
    monkeypatch.setenv("SNAKEPIT_LOOP", request.param)
    return str(request.param)


@pytest.mark.slow
def test_a_pool_runs_on_it(loop_name: str) -> None:
    """Calls, streams, early ends and results in the background, on either."""
    with snakepit.Pool(TOOLS, size=2) as pool:
        loop = LoopThread._shared
        assert loop is not None
        assert isinstance(loop.loop, uvloop.Loop) is (loop_name != "asyncio")
        assert pool.execute("add", {"a": 1}) == 2
        assert list(pool.stream("count", {"n": 100}).values()) == [{"n": number} for number in range(100)]
        for chunk in pool.stream("endless"):
            assert chunk is not None
            break
        assert [future.result(20) for future in [pool.submit("add", {"a": number}) for number in range(50)]] == list(range(1, 51))


def test_a_name_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, with what is allowed."""
    monkeypatch.setenv("SNAKEPIT_LOOP", "trio")
    with pytest.raises(ConfigurationError, match="SNAKEPIT_LOOP is 'trio'; allowed are auto, asyncio, uvloop"):
        new_loop()


def test_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asyncio's is taken; asked for by name, it is missed by name."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    monkeypatch.setenv("SNAKEPIT_LOOP", "auto")
    loop = new_loop()
    assert isinstance(loop, asyncio.SelectorEventLoop)
    loop.close()
    monkeypatch.setenv("SNAKEPIT_LOOP", "uvloop")
    with pytest.raises(ConfigurationError, match="cannot be imported"):
        new_loop()


def test_not_where_a_standard_stream_is_closed() -> None:
    """Libuv would end the process."""
    program = "import os; os.close(2); from snakepit._api.loops import new_loop; print(type(new_loop()).__module__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "asyncio.unix_events"
