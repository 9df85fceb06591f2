"""A `Cancelled` that C code has swallowed is noticed; everything else is told as before."""

from __future__ import annotations

import sys
import weakref
from typing import Any

import pytest

from snakepit_bridge._runtime import vanished
from snakepit_bridge.call_context import Cancelled


class Thing:
    """Something to refer to."""


def swallowed(error: BaseException) -> None:
    """Raise where nobody hears it."""

    def gone(_: Any) -> None:
        raise error

    thing = Thing()
    reference = weakref.ref(thing, gone)
    del thing
    assert reference() is None


def test_only_cancelled_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watcher is told of it, with the frame beneath; the hook that there was before is told of the rest, and is put back."""
    others: list[Any] = []
    seen: list[Any] = []

    def before(unraisable: Any) -> None:
        others.append(unraisable.exc_type)

    monkeypatch.setattr(sys, "unraisablehook", before)
    put_back = vanished.watch(lambda error, beneath: seen.append((type(error), beneath.f_code.co_name)))
    swallowed(Cancelled("x"))
    swallowed(ValueError("x"))
    put_back()
    assert seen == [(Cancelled, "swallowed")]
    assert others == [ValueError]
    assert sys.unraisablehook is before
