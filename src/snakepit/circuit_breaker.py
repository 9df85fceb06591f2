"""`CircuitBreaker`: when calls of a tool that keeps failing are refused at once, and `CircuitInfo`: how that stands."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ._setting_checks import check_exceptions
from .errors import ConfigurationError

__all__ = ["CircuitBreaker", "CircuitInfo", "check_circuit_breaker"]

_LONGEST = 365 * 86400.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class CircuitBreaker:
    """After so many failures within a while, calls are refused at once (`CircuitOpen`), until one that is let through ends well.

    Failures are crashes, calls that reached their deadline in a worker, and calls for which a worker had to be killed. What callers
    cancel, and what never reached a worker, says nothing of a tool; nor do calls that had begun before the circuit opened.

    Attributes:
        failures: so many within `window` seconds open the circuit.
        recovery: seconds until one call is let through, to see whether the tool is well again; another, while that runs for longer.
        scope: "tool": each tool has a circuit of its own. "pool": one for all.
        tool_errors: exceptions that tools raise count too: all of them (True), or these classes or names, as `RetryPolicy.errors` has them.
    """

    failures: int = 5
    window: float = 60.0
    recovery: float = 30.0
    scope: Literal["tool", "pool"] = "tool"
    tool_errors: bool | Sequence[str | type[BaseException]] = False

    def __post_init__(self) -> None:
        if isinstance(self.failures, bool) or not isinstance(self.failures, int) or not 1 <= self.failures <= 1_000_000:
            raise _wrong("failures", self.failures, "a whole number from 1 to 1000000")
        for name in ("window", "recovery"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.001 <= value <= _LONGEST:
                raise _wrong(name, value, f"seconds from 0.001 to {_LONGEST:g}")
        if self.scope not in ("tool", "pool"):
            raise _wrong("scope", self.scope, "'tool' or 'pool'")
        if not isinstance(self.tool_errors, bool):
            object.__setattr__(self, "tool_errors", check_exceptions("circuit_breaker.tool_errors", self.tool_errors))


@dataclasses.dataclass(frozen=True, slots=True)
class CircuitInfo:
    """A circuit at one moment.

    Attributes:
        tool: whose it is; empty: the whole pool's.
        state: "closed": calls run. "open": they are refused. "half_open": one is let through, to see.
        failures: within the window, while it is closed; else those that opened it.
        refused: calls that were refused since the pool's start.
        cause: the last failure; empty: there was none.
        until: until when it is open (seconds since the epoch); 0.0: it is not.
    """

    tool: str
    state: Literal["closed", "open", "half_open"]
    failures: int = 0
    refused: int = 0
    cause: str = ""
    until: float = 0.0


def _wrong(name: str, value: Any, allowed: str) -> ConfigurationError:
    return ConfigurationError(f"circuit_breaker.{name} is {value!r}; allowed is {allowed}", field=f"circuit_breaker.{name}", value=value)


def check_circuit_breaker(name: str, value: Any) -> CircuitBreaker | None:
    """The setting of a pool: a `CircuitBreaker`, its fields as a mapping, True for the usual one, None or False for none.

    Raises:
        ConfigurationError: it is something else.
    """
    if value is None or value is False:
        return None
    if value is True:
        return CircuitBreaker()
    if isinstance(value, CircuitBreaker):
        return value
    known = [field.name for field in dataclasses.fields(CircuitBreaker)]
    if not isinstance(value, Mapping):
        message = f"{name} is {value!r}; allowed are a snakepit.CircuitBreaker, a dict of its fields, True, False and None"
        raise ConfigurationError(message, hint="for example circuit_breaker={'failures': 3, 'recovery': 10.0}", field=name)
    for key in value:
        if key not in known:
            raise ConfigurationError(f"{name} has no field {key!r}", hint="known: " + ", ".join(known), field=name)
    return CircuitBreaker(**value)
