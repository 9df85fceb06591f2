"""`ShowcaseAdapter`: a plain answer, an echo, a sum, and three streams. Standard library alone.

Every stream marks its own last chunk `is_final`, and every chunk of it has a `message`, so a callback may print
`chunk["message"]` without a look at what it got. The pauses are plain sleeps: cancelling a call interrupts them.
"""

import operator
import os
import time
from typing import Any, Callable, Dict, Iterator

from snakepit_bridge.base_adapter import BaseAdapter, tool

_OPERATIONS: Dict[str, Callable[[float, float], float]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": operator.pow,
}


class ShowcaseAdapter(BaseAdapter):
    """Tools to try a pool with: `ping`, `echo`, `compute`, and the streams `ping_stream`, `progress_stream`, `stream_progress`."""

    thread_safe = True  # it keeps nothing between calls

    @tool(description="Say that this worker is alive", idempotent=True)
    def ping(self) -> Dict[str, Any]:
        """Answer with `message` ("pong"), and the `pid` of the process that answered."""
        return {"message": "pong", "pid": os.getpid()}

    @tool(description="Give back the arguments, whatever they are", idempotent=True)
    def echo(self, **arguments: Any) -> Dict[str, Any]:
        """Return exactly the arguments of the call, by name."""
        return arguments

    @tool(description="Calculate with two numbers", idempotent=True)
    def compute(self, operation: str, a: float, b: float) -> float:
        """Apply `operation` (add, subtract, multiply, divide, power) to `a` and `b`.

        Raises:
            ValueError: there is no such operation.
            ZeroDivisionError: division by zero.
        """
        if operation not in _OPERATIONS:
            raise ValueError("operation: got %r, allowed are %s" % (operation, ", ".join(_OPERATIONS)))
        return _OPERATIONS[operation](a, b)

    @tool(description="Stream numbered messages at once", supports_streaming=True)
    def ping_stream(self, count: int = 5, message: str = "ping") -> Iterator[Dict[str, Any]]:
        """Give `count` chunks without pause.

        Args:
            count: how many chunks, at least 1.
            message: what each `message` begins with; the chunk's number follows.
        """
        _at_least("count", count, 1)
        for number in range(1, count + 1):
            yield {
                "message": "%s %d of %d" % (message, number, count),
                "progress": number,
                "total": count,
                "is_final": number == count,
            }

    @tool(description="Stream progress updates, then a summary", supports_streaming=True)
    def progress_stream(self, count: int = 10, delay: float = 0.5) -> Iterator[Dict[str, Any]]:
        """Work through `count` items, one chunk each; the final chunk says how many there were.

        Args:
            count: how many items, at least 0.
            delay: seconds spent on each item.
        """
        _at_least("count", count, 0)
        _at_least("delay", delay, 0)
        for done in range(1, count + 1):
            yield {
                "progress": done,
                "total": count,
                "percent": 100.0 * done / count,
                "message": "Processing item %d of %d" % (done, count),
                "is_final": False,
            }
            time.sleep(delay)
        yield {"is_final": True, "total_processed": count, "message": "Stream complete"}

    @tool(description="Stream one update per step, with a pause between steps", supports_streaming=True)
    def stream_progress(self, steps: int = 5, delay_ms: float = 750) -> Iterator[Dict[str, Any]]:
        """Give one chunk per step; the last step's chunk is the final one.

        Args:
            steps: how many steps, at least 1.
            delay_ms: milliseconds between one chunk and the next.
        """
        _at_least("steps", steps, 1)
        _at_least("delay_ms", delay_ms, 0)
        for step in range(1, steps + 1):
            if step > 1:
                time.sleep(delay_ms / 1000.0)
            yield {
                "message": "Step %d of %d" % (step, steps),
                "progress": 100.0 * step / steps,
                "step": step,
                "total": steps,
                "is_final": step == steps,
            }


def _at_least(name: str, value: float, least: float) -> None:
    if not value >= least:
        raise ValueError("%s: got %r, allowed is %r or more" % (name, value, least))
