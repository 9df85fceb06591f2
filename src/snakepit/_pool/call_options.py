"""What a worker is told of a call beside its tool and arguments. Pure."""

from __future__ import annotations

from typing import Any

from snakepit.config import PoolConfig

from .call import Call


def call_options(call: Call, config: PoolConfig, now: float) -> dict[str, Any]:
    """The options of its CALL frame, but for those of its session. `now`: by the clock of its deadline (seconds)."""
    options: dict[str, Any] = {"stream": call.streaming, "kill_after": config.cancel_timeout, "cid": call.correlation_id}
    if call.deadline is not None:
        options["timeout"] = max(0.0, call.deadline - now)
    if config.hang_timeout is not None:
        options["hang_timeout"] = config.hang_timeout
    if call.binary:
        options["binary"] = call.binary
    if call.pickles:
        options["pickles"] = list(call.pickles)
    if call.span is not None and call.span.trace is not None:
        options["trace"] = call.span.trace
    return options
