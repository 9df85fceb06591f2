"""A worker's output becomes lines: at once where there is a line end, after a moment where there is none."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from snakepit._workers.launchers.lines import UNFINISHED_SECONDS, WAITED_SECONDS, Lines


class _Clock:
    """Stands in for the loop's timers: they fire when the test says so."""

    def __init__(self) -> None:
        self.due: list[tuple[float, asyncio.TimerHandle, Callable[[], None]]] = []
        self._loop = asyncio.new_event_loop()

    def create_future(self) -> asyncio.Future[None]:
        return self._loop.create_future()

    def call_later(self, seconds: float, function: Callable[..., None], *args: object) -> asyncio.TimerHandle:
        handle = self._loop.call_later(3600, lambda: None)
        self.due.append((seconds, handle, functools.partial(function, *args)))
        return handle

    def fire(self, seconds: float) -> None:
        """So much time passes."""
        due, self.due = self.due, []
        for after, handle, function in due:
            if after > seconds:
                self.due.append((after - seconds, handle, function))
            elif not handle.cancelled():
                function()

    def close(self) -> None:
        self._loop.close()


def _heard(*parts: bytes, fire_between: bool = False) -> list[str]:
    clock, heard = _Clock(), []

    def hear(_name: str, line: str, state: str) -> None:
        if state != "overwritten" and (line or state != "end"):
            heard.append(line)

    lines = Lines(clock, "stdout", hear)  # type: ignore[arg-type]
    for part in parts:
        lines.data_received(part)
        if fire_between:
            clock.fire(UNFINISHED_SECONDS)
    lines.connection_lost(None)
    clock.close()
    return heard


@given(st.lists(st.binary(max_size=12).map(lambda part: part.replace(b"\r", b"-")), max_size=8))
def test_lines_do_not_depend_on_how_the_bytes_came(parts: list[bytes]) -> None:
    """However the bytes are cut, the lines are the same, the last one also without an end."""
    text = b"".join(parts)
    expected = text.decode("utf-8", "backslashreplace").split("\n")
    if not expected[-1]:
        expected.pop()
    assert _heard(*parts) == expected


def test_text_without_a_line_end_is_shown_after_a_moment() -> None:
    """Dots printed one by one appear while they come, not when the line ends."""
    assert _heard(b".", b"..", b".\n", fire_between=True) == [".", "..", "."]


def test_a_character_is_not_torn_by_a_pause() -> None:
    """What has come of one waits for its rest, so that a secret with such a letter is known; what is no such letter comes as it is."""
    for letter in ("ä", "語", "🐍"):
        raw = letter.encode()
        for cut in range(1, len(raw)):
            assert _heard(b"one " + raw[:cut], raw[cut:] + b" two\n", fire_between=True) == ["one ", f"{letter} two"]
    assert _heard(b"one \xc3", b"(\n", b"\xe4", fire_between=True) == ["one ", "\\xc3(", "\\xe4"]


def test_a_bar_shows_its_newest_state() -> None:
    """What a carriage return has overwritten is shown only if nothing newer stands there when the moment has passed."""
    assert _heard(b"\r10%", b"\r20%\r30%", b"\r40%\r", b"\n", fire_between=True) == ["10%", "30%", "40%", ""]
    assert _heard(b"\r10%", b"\r20%", b"\r100%\n") == ["100%"]


def test_what_has_waited_for_long() -> None:
    """It is told once, when nothing has followed a part for some seconds; not where a line end or more of the line came."""
    clock, heard = _Clock(), []
    lines = Lines(clock, "stdout", lambda _name, text, state: heard.append((text, state)))  # type: ignore[arg-type]
    lines.data_received(b"one")
    clock.fire(UNFINISHED_SECONDS)
    clock.fire(WAITED_SECONDS / 2)
    lines.data_received(b" two")
    clock.fire(UNFINISHED_SECONDS)
    clock.fire(WAITED_SECONDS / 2)
    assert heard == [("one", "part"), (" two", "part")]
    clock.fire(WAITED_SECONDS / 2)
    clock.fire(WAITED_SECONDS)
    assert heard[2:] == [("", "waited")]
    lines.data_received(b" three")
    clock.fire(UNFINISHED_SECONDS)
    lines.data_received(b"\n")
    clock.fire(WAITED_SECONDS)
    lines.close()
    clock.close()
    assert heard[3:] == [(" three", "part"), ("", "line"), ("", "end")]
