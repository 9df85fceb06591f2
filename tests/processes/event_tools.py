"""Tools that emit telemetry events."""

from __future__ import annotations

import os
import threading
from typing import Any

from snakepit_bridge import telemetry
from snakepit_bridge.base_adapter import BaseAdapter, tool


class EventTools(BaseAdapter):
    def initialize(self) -> None:
        telemetry.emit("model.loaded", {"seconds": 0.5})

    def cleanup(self) -> None:
        telemetry.emit("model.unloaded")

    @tool
    def emit(self, name: str, count: int = 1, size: int = 0) -> str:
        """Emit so many events; the correlation id of the call."""
        for number in range(count):
            telemetry.emit(name, {"number": number, "ratio": 0.5, "unit": "ms"}, {"tool": "emit", "pad": "x" * size})
        return self.context.correlation_id

    @tool(supports_streaming=True)
    def stream(self, count: int) -> Any:
        for number in range(count):
            telemetry.emit("stream.item", {"number": number})
            yield {"n": number}

    @tool
    def odd(self) -> None:
        """What cannot travel, in values and names; from a thread, too."""
        telemetry.emit("odd.value", {"n": 2**70}, {"object": object(), 3: {1, 2}})
        telemetry.emit("odd.large", {}, {"pad": "x" * 1_000_000})
        thread = threading.Thread(target=telemetry.emit, args=("odd.thread",))
        thread.start()
        thread.join()
        child = os.fork()
        if child == 0:
            telemetry.emit("odd.child")
            os._exit(0)
        os.waitpid(child, 0)
        with telemetry.span("odd.span", {"model": "m"}):
            pass

    @tool
    def crash(self) -> None:
        telemetry.emit("crash.near")
        os._exit(9)
