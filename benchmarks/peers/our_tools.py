"""What the workers of all peers are asked to do, as tools of an adapter."""

from __future__ import annotations

from snakepit_bridge.base_adapter import tool

from . import work

echo = tool(work.echo)
chunks = tool(work.chunks)
total = tool(work.total)
numbers = tool(work.numbers)
prepare = tool(work.prepare)
die = tool(work.die)
hang = tool(work.hang)
loaded = tool(work.loaded)
