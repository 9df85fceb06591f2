"""Tools in a module that imports next to nothing."""

from __future__ import annotations

import sys

from snakepit_bridge import current_call, tool


@tool
def imported(name: str) -> bool:
    """Is a module imported?"""
    return name in sys.modules


@tool
def fail() -> None:
    """Raises."""
    raise ValueError("as told")


@tool
def wait() -> None:
    """Until it is cancelled."""
    while True:
        current_call().check()


@tool
def run_loop() -> int:
    """Runs a loop of its own, and imports what that needs."""
    import asyncio

    async def main() -> int:
        await asyncio.sleep(0)
        return 7

    return asyncio.run(main())
