"""What tests of tools, and of what uses them, need.

    with snakepit.testing.MemoryPool("my_app.tools:MyAdapter", size=1) as pool:
        assert pool.execute("add", {"a": 2}) == 4

Pools whose workers are threads of this process, faults on their channels, a clock to turn, one tool by itself, and what
`snakepit run --record` wrote as a worker. The pytest plugin of the same distribution has fixtures of it.
"""

from snakepit_bridge.testing import ToolRun, run_tool, run_tool_async

from .clock import TurnedClock
from .faults import Fault, Faults, Passed
from .memory import AsyncMemoryPool, MemoryPool, kill
from .replaying import replay, replay_async
from .turns import ClockStuck

__all__ = [
    "AsyncMemoryPool",
    "ClockStuck",
    "Fault",
    "Faults",
    "MemoryPool",
    "Passed",
    "ToolRun",
    "TurnedClock",
    "kill",
    "replay",
    "replay_async",
    "run_tool",
    "run_tool_async",
]
