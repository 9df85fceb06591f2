"""What one asks asyncio, without importing it: a worker whose tools are all sync has no use for it, and it is a fifth of its start.

Modules that such a worker imports say `import asyncio` where they use it, for type checkers alone at their top.
"""

import sys
from typing import Any


def _found(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), name, None)  # None also while another thread is just importing it


def in_loop() -> bool:
    """Does an asyncio loop run on this thread?"""
    get = _found("asyncio.events", "_get_running_loop")
    return get is not None and get() is not None


def is_task_cancelled(error: object) -> bool:
    """Is it what asyncio raises in a task that is cancelled?"""
    kind = _found("asyncio.exceptions", "CancelledError")
    return kind is not None and isinstance(error, kind)


def leave_loop() -> None:
    """No loop runs on this thread any more, whatever was begun."""
    leave = _found("asyncio.events", "_set_running_loop")
    if leave is not None:
        leave(None)
