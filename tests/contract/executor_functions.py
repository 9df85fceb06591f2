"""What the contract of executors runs in other processes."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from pathlib import Path
from typing import Any


class OfMine:
    """A class of somebody's own."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OfMine) and other.value == self.value

    __hash__ = None  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]


class Refused(Exception):
    """An error of somebody's own, with more than a text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code


_state: dict[str, Any] = {}


def add(a: Any, b: Any = 1) -> Any:
    return a + b


def wrapped(value: Any) -> OfMine:
    return OfMine(value)


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """Takes no attributes."""


def freeze() -> None:
    raise Frozen


def refuse(code: int) -> None:
    raise Refused(code, "not today")


def leave(code: int) -> None:
    raise SystemExit(code)


def lock() -> Any:
    return threading.Lock()


def begin(value: Any) -> None:
    _state["value"] = value, os.getpid(), _state.get("value") is None


def fail_to_begin() -> None:
    raise ValueError("no such device")


def begun() -> Any:
    value, pid, first = _state["value"]
    return value, pid == os.getpid(), first


def process(seconds: float = 0.0) -> int:
    time.sleep(seconds)
    return os.getpid()


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def wait_for(path: str, began: str = "") -> bool:
    """Until there is such a file."""
    if began:
        Path(began).touch()
    end = time.monotonic() + 30
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return Path(path).exists()


def note(path: str, number: int) -> int:
    with Path(path).open("a") as file:
        file.write(f"{number}\n")
    return number


class Counted:
    """Counts how often it is read from a pickle in this process."""

    read = 0

    def __init__(self) -> None:
        self.size = 1_000_000

    def __setstate__(self, state: dict[str, Any]) -> None:
        Counted.read += 1
        self.__dict__.update(state)


def begin_with(counted: Counted, path: str = "") -> None:
    """Slow; the first that finds no such file makes it, and then waits to be interrupted."""
    if path and not Path(path).exists():
        Path(path).touch()
        time.sleep(30)
    time.sleep(0.3)
    _state["value"] = counted


def times_read() -> int:
    return Counted.read if "value" in _state else -1


def leave_at_once() -> None:
    raise SystemExit("no such device")


class Unreadable(Exception):
    """An error whose pickle cannot be read, as those are that do not tell `super().__init__` all they are made with."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


def fail_unreadably() -> None:
    raise Unreadable(7, "not today")


class Locked(Exception):
    """An error that cannot be pickled."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


def fail_locked() -> None:
    raise Locked("not today")


def wait_and_note(folder: str, number: int) -> int:
    """Notes that it was run to its end, once it is let go."""
    wait_for(f"{folder}/go{number}", f"{folder}/began{number}")
    return note(f"{folder}/noted", number)


_may_be_pickled = threading.Event()
_is_being_pickled = threading.Event()


class SlowToPickle:
    """Pickled once `_may_be_pickled` is set."""

    def __reduce__(self) -> Any:
        _is_being_pickled.set()
        _may_be_pickled.wait(30)
        return int, (5,)
