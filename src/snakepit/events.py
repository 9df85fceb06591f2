"""What workers tell while they work: telemetry events, and which of them a pool wants. Values alone; `_pool.events` handles them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import ConfigurationError, InvalidParameter


@dataclasses.dataclass(frozen=True, slots=True)
class TelemetryEvent:
    """Something that has happened in a worker, as `on_event` gets it.

    Attributes:
        name: with dots between its parts, such as `tool.execution.stop`.
        measurements: numbers (or text) by name. metadata: facts by name.
        time: when it happened (seconds since the epoch, by the worker's clock).
        worker_id: such as `worker-1`.
        correlation_id: of the call it belongs to; empty: of none.
    """

    name: str
    measurements: Mapping[str, int | float | str]
    metadata: Mapping[str, Any]
    time: float
    worker_id: str
    correlation_id: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """Which events a pool's workers send.

    Attributes:
        enabled: any at all?
        sampling: share (0 to 1) by pattern, the first that matches decides; what matches none is sent.
        allow: only what matches one of these patterns; none: everything. deny: nothing of this.
    """

    enabled: bool = True
    sampling: Mapping[str, float] = dataclasses.field(default_factory=dict)
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


def check_on_event(name: str, value: Any) -> Any:
    """A function, or None.

    Raises:
        ConfigurationError: it is something else.
    """
    if value is not None and not callable(value):
        message = f"{name} is {value!r}; allowed is a function that takes one TelemetryEvent, or None"
        raise ConfigurationError(message, field=name, value=value)
    return value


def check_enabled(value: bool, on_event: Any) -> bool:
    """Whether events are wanted.

    Raises:
        InvalidParameter: it is neither True nor False, or True and nobody would hear them.
    """
    if not isinstance(value, bool):
        raise InvalidParameter(f"enabled is {value!r}; allowed is True or False", field="enabled")
    if value and on_event is None:
        hint = "give the pool a function: Pool(..., on_event=print)"
        raise InvalidParameter("enabled is True, and the pool has no on_event, so nobody would hear an event", hint=hint, field="enabled")
    return value


def check_patterns(name: str, value: Sequence[str]) -> tuple[str, ...]:
    """A list of patterns, none of them empty.

    Raises:
        InvalidParameter: it is not.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) and item for item in value):
        message = f"{name} is {value!r}; allowed is a list of patterns"
        raise InvalidParameter(message, hint=f'for example {name}=["python.*", "tool.result_size"]', field=name)
    return tuple(value)


def check_sampling(value: Mapping[str, float]) -> dict[str, float]:
    """Shares from 0 to 1, by pattern.

    Raises:
        InvalidParameter: they are not.
    """
    if not isinstance(value, Mapping) or not all(_is_share(pattern, share) for pattern, share in value.items()):
        message = f"sampling is {value!r}; allowed are shares from 0 to 1, by pattern"
        raise InvalidParameter(message, hint='for example sampling={"python.*": 0.1}', field="sampling")
    return {pattern: float(share) for pattern, share in value.items()}


def _is_share(pattern: Any, share: Any) -> bool:
    number = isinstance(share, (int, float)) and not isinstance(share, bool)
    return isinstance(pattern, str) and bool(pattern) and number and 0 <= share <= 1
