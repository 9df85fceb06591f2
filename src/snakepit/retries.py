"""`RetryPolicy`: which calls run once more when they fail, how often, and after how long."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ._setting_checks import check_exceptions, is_named
from .errors import ConfigurationError, InvalidParameter

__all__ = ["RetryPolicy", "check_retry"]

_MOST_ATTEMPTS = 1000
_LONGEST = 86400.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When a call runs once more. Only calls of tools that are `@tool(idempotent=True)` ever do: a started call may have done its work.

    Never: a stream of which a chunk has come, a call that belongs to a session or was made by a host tool, one that was cancelled, and
    one whose deadline would pass meanwhile.

    Attributes:
        attempts: how often a call runs at most; 1: no retries.
        crashes: once more when its worker died or was lost.
        errors: once more when the tool raised one of these: exception classes, or their names, with the module
            (`"requests.exceptions.Timeout"`) or without. Exactly these; a name says nothing of the classes below it.
        first_delay: seconds before the second run; twice as long before each that follows, up to `max_delay`.
        jitter: how much of a delay is left to chance: 0.5 makes it half as long at the least, 0 leaves it as it is.
    """

    attempts: int = 2
    crashes: bool = True
    errors: Sequence[str | type[BaseException]] = ()
    first_delay: float = 0.0
    max_delay: float = 10.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or not 1 <= self.attempts <= _MOST_ATTEMPTS:
            raise _wrong("attempts", self.attempts, f"a whole number from 1 to {_MOST_ATTEMPTS}")
        if not isinstance(self.crashes, bool):
            raise _wrong("crashes", self.crashes, "True or False")
        for name, most in (("first_delay", _LONGEST), ("max_delay", _LONGEST), ("jitter", 1.0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
                raise _wrong(name, value, f"{'seconds' if most > 1 else 'a number'} from 0 to {most:g}")
        object.__setattr__(self, "errors", check_exceptions("retry.errors", self.errors))

    def pause(self, runs: int, error: str | None, left: float | None, chance: float) -> float | None:
        """Seconds to wait before a call runs once more; None: it does not.

        Args:
            runs: how often it has run.
            error: the name of what its tool raised; None: its worker died.
            left: seconds until its deadline; None: it has none.
            chance: a random number from 0 to 1.
        """
        if runs >= self.attempts or not (self.crashes if error is None else is_named(error, self.errors)):
            return None
        seconds = min(self.first_delay * 2.0 ** min(runs - 1, 30), self.max_delay) * (1.0 - self.jitter * chance)
        return seconds if left is None or seconds < left else None


def _wrong(name: str, value: Any, allowed: str) -> ConfigurationError:
    return ConfigurationError(f"retry.{name} is {value!r}; allowed is {allowed}", field=f"retry.{name}", value=value)


def check_retry(name: str, value: Any, error: type[ConfigurationError | InvalidParameter] = ConfigurationError) -> RetryPolicy:
    """What a pool or a call is given: a `RetryPolicy`, its fields as a mapping, True or None for the usual one, False for no retries.

    Raises:
        ConfigurationError: it is something else (or `error`, where it is a call's option).
    """
    if value is None or value is True:
        return RetryPolicy()
    if value is False:
        return RetryPolicy(attempts=1)
    if isinstance(value, RetryPolicy):
        return value
    known = [field.name for field in dataclasses.fields(RetryPolicy)]
    if not isinstance(value, Mapping):
        message = f"{name} is {value!r}; allowed are a snakepit.RetryPolicy, a dict of its fields, True and False"
        raise error(message, hint="for example retry={'attempts': 3, 'first_delay': 0.1}", field=name)
    for key in value:
        if key not in known:
            raise error(f"{name} has no field {key!r}", hint="known: " + ", ".join(known), field=name)
    try:
        return RetryPolicy(**value)
    except ConfigurationError as wrong:
        raise error(wrong.message, hint=wrong.hint, **wrong.details) from None
