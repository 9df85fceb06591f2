"""An adapter whose tool needs the application, which needs the pool."""

from __future__ import annotations

from snakepit_bridge.base_adapter import BaseAdapter, tool


class Asks(BaseAdapter):
    """Asks the host tool `double`."""

    @tool
    def ask(self, value: int) -> int:
        return int(self.host_tools["double"](value))

    @tool
    def twice(self, value: int) -> int:
        return 2 * value
