"""A worker whose tools are all sync starts without asyncio, and keeps without it what has to do with loops."""

from __future__ import annotations

from typing import Any

import pytest

import snakepit
import sync_tools

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]


@pytest.mark.parametrize("protocol", ["msgpack", "json"])
def test_it_is_not_imported(protocol: Any) -> None:
    """Neither as calls end well, fail, or are cancelled; and a tool may use it all the same."""
    with snakepit.Pool(sync_tools, size=1, protocol=protocol) as pool:
        with pytest.raises(snakepit.ToolError, match="as told"):
            pool.execute("fail")
        with pytest.raises(snakepit.WorkerTimeout):
            pool.execute("wait", timeout=0.2)
        assert [pool.execute("imported", {"name": name}) for name in ("json", "asyncio", "ssl", "subprocess")] == [
            True,
            False,
            False,
            False,
        ]
        assert pool.execute("run_loop") == 7
        assert pool.execute("imported", {"name": "asyncio"}) is True
        assert pool.stats().restarts == 0
