"""`Heartbeat`: how a pool notices that a worker no longer answers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .errors import ConfigurationError

__all__ = ["Heartbeat", "check_heartbeat"]

#: Every worker's environment has the settings here, as JSON, so that both sides agree.
VARIABLE = "SNAKEPIT_HEARTBEAT_CONFIG"
_LONGEST = 365 * 86400.0
_LEAST_SILENCE = 60.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """Each worker is asked for a sign of life now and then; any frame of it counts as one.

    The worker answers on its own thread, whatever its tools do: one that computes for an hour and lets other threads run never
    misses a beat. Time in which the host itself was stopped or busy does not count.

    Attributes:
        interval: seconds between two questions.
        timeout: seconds in which it must answer; else a beat is missed.
        max_missed: so many beats missed in a row, and it is taken for dead.
        initial_delay: seconds after its start before it is first asked.
        dependent: a worker taken for dead is killed and replaced. False: it is only logged, and asked on.
        enabled: ask at all.
        ping_fun: asked in place of the channel, with the worker's id, on the pool's loop: true or None: it lives. May be `async`.
    """

    interval: float = 2.0
    timeout: float = 10.0
    max_missed: int = 3
    initial_delay: float = 0.0
    dependent: bool = True
    enabled: bool = True
    ping_fun: Callable[[str], bool | Awaitable[bool | None] | None] | None = None

    def __post_init__(self) -> None:
        for name, least in (("interval", 0.001), ("timeout", 0.001), ("initial_delay", 0.0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= _LONGEST:
                message = f"heartbeat.{name} is {value!r}; allowed are seconds from {least:g} to {_LONGEST:g}"
                raise ConfigurationError(message, field=f"heartbeat.{name}", value=value)
        if isinstance(self.max_missed, bool) or not isinstance(self.max_missed, int) or not 1 <= self.max_missed <= 1_000_000:
            message = f"heartbeat.max_missed is {self.max_missed!r}; allowed is a whole number from 1 to 1000000"
            raise ConfigurationError(message, field="heartbeat.max_missed", value=self.max_missed)
        for name in ("dependent", "enabled"):
            if not isinstance(getattr(self, name), bool):
                message = f"heartbeat.{name} is {getattr(self, name)!r}; allowed are True and False"
                raise ConfigurationError(message, field=f"heartbeat.{name}", value=getattr(self, name))
        if self.ping_fun is not None and not callable(self.ping_fun):
            message = f"heartbeat.ping_fun is a {type(self.ping_fun).__name__}; allowed is a function of a worker's id, or None"
            raise ConfigurationError(message, field="heartbeat.ping_fun")

    @property
    def longest_silence(self) -> float:
        """How long the host may be silent before a worker behind a command takes the line for dead (seconds); 0: as long as it likes."""
        if not (self.enabled and self.dependent):
            return 0.0
        return max(_LEAST_SILENCE, 10.0 * max(self.interval, self.timeout) * self.max_missed)

    def as_json(self) -> str:
        """For the worker, with the keys that Snakepit uses: whole milliseconds."""
        return json.dumps(
            {
                "enabled": self.enabled,
                "interval_ms": round(self.interval * 1e3),
                "timeout_ms": round(self.timeout * 1e3),
                "max_missed_heartbeats": self.max_missed,
                "initial_delay_ms": round(self.initial_delay * 1e3),
                "dependent": self.dependent,
            },
            sort_keys=True,
        )


def check_heartbeat(name: str, value: Any) -> Heartbeat:
    """The setting of a pool: a `Heartbeat`, its fields as a mapping, True or None for the usual one, False for none.

    Raises:
        ConfigurationError: it is something else.
    """
    if value is None or value is True:
        return Heartbeat()
    if value is False:
        return Heartbeat(enabled=False)
    if isinstance(value, Heartbeat):
        return value
    known = [field.name for field in dataclasses.fields(Heartbeat)]
    if not isinstance(value, Mapping):
        message = f"{name} is a {type(value).__name__}; allowed are a snakepit.Heartbeat, a dict of its fields, True and False"
        raise ConfigurationError(message, hint="for example heartbeat={'interval': 1.0, 'timeout': 5.0}", field=name)
    for key in value:
        if key not in known:
            raise ConfigurationError(f"{name} has no field {key!r}", hint="known: " + ", ".join(known), field=name)
    return Heartbeat(**value)
