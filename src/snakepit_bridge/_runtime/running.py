"""One call while it runs in this worker: what was asked, its context, and how far it has come."""

import time
from typing import Any, Dict, Optional

from ..call_context import CallContext
from ..wire.frames import Call


class RunningCall:
    """Made by the executor for each call.

    Attributes:
        began: when it was received, in `time.perf_counter()` seconds.
        cleaning: True once its cleanup has begun by other means than an interruption: it is not cut short at once.
        kill_after: seconds after its cancel in which the host kills this worker if the call has not ended.
        entered: True once its code has begun; a task that is cancelled before would end without a word.
        ended: True once its code has left the stack for good; set on the main thread only.
        task: the asyncio task that runs it, for async tools.
    """

    __slots__ = ("args", "began", "call_id", "cleaning", "context", "ended", "entered", "kill_after", "streaming", "task", "tool")

    def __init__(self, call: Call, worker_id: str) -> None:
        timeout = call.options.get("timeout")
        self.call_id = call.call_id
        self.tool = call.tool
        self.args: Dict[str, Any] = call.args
        self.streaming = bool(call.options.get("stream"))
        self.context = CallContext(call.call_id, call.tool, worker_id, timeout)
        self.began = time.perf_counter()
        self.cleaning = False
        self.kill_after = float(call.options.get("kill_after") or 2.0)
        self.ended = False
        self.entered = False
        self.task: Optional[Any] = None

    def is_cancelled(self) -> bool:
        """Has the caller given this call up?"""
        return self.context.cancelled

    def has_ended(self) -> bool:
        """Has its code left the stack?"""
        return self.ended
