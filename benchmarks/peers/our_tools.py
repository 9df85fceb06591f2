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
count_up = tool(work.count_up)
read_csv = tool(work.read_csv)
read_csv_at_once = tool(work.read_csv_at_once)
label_images = tool(work.label_images)
label_images_at_once = tool(work.label_images_at_once)
