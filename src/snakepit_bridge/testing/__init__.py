"""For tests of tools, with the standard library alone: one tool by itself, and the worker that `snakepit.testing` puts a pool on."""

from typing import Optional

from .._runtime.cancel import uninterrupted
from ..call_context import CallContext, Cancelled, current_call
from .memory import MemoryWorker
from .one_tool import ToolRun, run_tool, run_tool_async
from .player import player_of, read_recording

__all__ = [
    "Cancelled",
    "MemoryWorker",
    "ToolRun",
    "player_of",
    "read_recording",
    "run_tool",
    "run_tool_async",
    "running_call",
    "uninterrupted",
]


def running_call() -> Optional[CallContext]:
    """The call that runs in this thread or task; None: none does."""
    try:
        return current_call()
    except RuntimeError:
        return None
