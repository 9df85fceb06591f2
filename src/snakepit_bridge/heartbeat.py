"""How a worker under a Snakepit host beats there: the settings, from arguments, a mapping or the environment."""

import json
import re
from typing import Any, Mapping, NamedTuple, Optional

VARIABLE = "SNAKEPIT_HEARTBEAT_CONFIG"
_TRUE = ("1", "true", "t", "yes", "y", "on")


class HeartbeatConfig(NamedTuple):
    """Settings, in milliseconds as on the wire.

    Attributes:
        max_missed_heartbeats: so many in a row, and the host is taken for gone.
        dependent: the worker ends then; else it says so and goes on.
    """

    enabled: bool = True
    interval_ms: float = 2_000
    timeout_ms: float = 10_000
    max_missed_heartbeats: int = 3
    initial_delay_ms: float = 0
    jitter_ms: float = 0
    dependent: bool = True

    @classmethod
    def from_mapping(cls, options: Optional[Mapping[str, Any]], *, defaults: "Optional[HeartbeatConfig]" = None) -> "HeartbeatConfig":
        """Settings by their names, in snake_case or camelCase; what is not given is as in `defaults`, what is not known is left out.

        Raises:
            ValueError: a value is not of the setting's kind; the message names it.
        """
        base = defaults or cls()
        told = {}
        for key, value in (options or {}).items():
            name = re.sub("([A-Z])", lambda match: "_" + match.group(1).lower(), str(key))
            if name in base._fields:
                told[name] = _converted(name, value, getattr(base, name))
        return base._replace(**told)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], defaults: "HeartbeatConfig") -> "HeartbeatConfig":
        """What the host says in `SNAKEPIT_HEARTBEAT_CONFIG`.

        Raises:
            ValueError: that is no JSON object, or one of its values is wrong.
        """
        told = json.loads(environment.get(VARIABLE) or "{}")
        if not isinstance(told, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004 - one kind of error for all that is wrong with it
        return cls.from_mapping(told, defaults=defaults)


def _converted(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, bool):
        return value.strip().lower() in _TRUE if isinstance(value, str) else bool(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError("%s is %r; allowed is a number" % (name, value)) from None
    if not 0 <= number < float("inf"):
        raise ValueError("%s is %r; allowed is a number of at least 0" % (name, value))
    return int(number) if name == "max_missed_heartbeats" else number
